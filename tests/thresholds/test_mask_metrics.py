from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score, roc_auc_score
from threshold_examples import naive_confusion

from raysearch.errors import UserError
from raysearch.thresholds import METRICS, auc, auc_by_class, classification_error, mask_metric, objective

pixels = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


def _value(name: str, predicted: np.ndarray, region: np.ndarray) -> float:
    counted = (np.array([count]) for count in naive_confusion(predicted, region))
    return float(mask_metric(name).function(*counted)[0])


@given(pixels)
def test_agrees_with_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    predicted, region = np.array(pairs).T
    precision_of_nothing = float(not region.any())
    assert _value("f1_plus", predicted, region) == pytest.approx(f1_score(region, predicted, zero_division=1))
    assert _value("f1_minus", predicted, region) == pytest.approx(f1_score(~region, ~predicted, zero_division=1))
    assert _value("iou", predicted, region) == pytest.approx(jaccard_score(region, predicted, zero_division=1))
    assert _value("recall", predicted, region) == pytest.approx(recall_score(region, predicted, zero_division=1))
    assert _value("precision", predicted, region) == pytest.approx(
        precision_score(region, predicted, zero_division=precision_of_nothing)
    )


def test_all_ones_mask() -> None:
    region = np.arange(10) < 3
    everything = np.ones(10, np.bool_)
    assert _value("f1_plus", everything, region) == pytest.approx(2 * 0.3 / 1.3)
    assert _value("f1_minus", everything, region) == 0
    assert _value("false_positive_area", everything, np.zeros(10, np.bool_)) == 1
    assert _value("f1_plus", ~everything, np.zeros(10, np.bool_)) == 1


def test_one_sided_metrics_are_no_objective() -> None:
    for name in ("f1_minus", "precision", "recall", "false_positive_area"):
        with pytest.raises(UserError, match=f"--metric {name}: cannot be the only objective, because .*f1_plus"):
            objective(name)
    for name in ("f1_plus", "iou", "iou_pooled", "classification_error", "auc"):
        assert objective(name) is METRICS[name]


def test_names() -> None:
    with pytest.raises(UserError, match=r"unknown metric; did you mean 'f1_plus'\?"):
        objective("f1plus")
    with pytest.raises(UserError, match="thresholds do not change it"):
        mask_metric("auc")
    assert all(name == metric.name for name, metric in METRICS.items())
    better_low = {name for name, metric in METRICS.items() if metric.direction == "minimize"}
    assert better_low == {"false_positive_area", "classification_error"}


def test_classification_error() -> None:
    scores = np.array([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5]])
    assert classification_error(scores, np.array([0, 0, 1])) == pytest.approx(2 / 3)
    labels = np.array([[1, 0], [1, -1], [1, 1]])
    assert classification_error(scores, labels) == pytest.approx(1 / 5)


def test_auc_skips_a_class_with_one_label() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random((40, 3)), rng.integers(0, 2, (40, 3))
    labels[:, 1] = 1
    labels[:5, 0] = -1
    areas = auc_by_class(scores, labels)
    assert areas[0] == pytest.approx(roc_auc_score(labels[5:, 0], scores[5:, 0]))
    assert np.isnan(areas[1])
    assert auc(scores, labels) == pytest.approx((areas[0] + areas[2]) / 2)
    assert auc(scores, np.ones((40, 3))) == 0.5


def test_auc_of_class_indices_is_one_against_the_rest() -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.random((30, 3)), rng.integers(0, 3, 30)
    expected = np.mean([roc_auc_score(labels == k, scores[:, k]) for k in range(3)])
    assert auc(scores, labels) == pytest.approx(expected)


def test_scores_and_labels_must_fit() -> None:
    with pytest.raises(ValueError, match="expected scores"):
        classification_error(np.zeros((3, 2)), np.zeros(4))
    with pytest.raises(ValueError, match="no label is known"):
        auc(np.zeros((3, 2)), np.full((3, 2), -1))
