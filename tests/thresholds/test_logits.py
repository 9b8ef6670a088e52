from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score

from raysearch.thresholds import METRICS, Logits, at, at_by_class, one_label, roc_curves

AUC, ERROR, ACCURACY, F1 = (METRICS[name] for name in ("auc", "classification_error", "accuracy", "f1_score"))


def logits(scores: np.ndarray, labels: np.ndarray, view: str = "multi") -> Logits:
    count, classes = scores.shape
    patients = [f"p{n % 5}" for n in range(count)]
    return Logits.from_scores(scores, labels, range(count), patients, [f"c{k}" for k in range(classes)], view)  # type: ignore[arg-type]


def test_classification_error() -> None:
    scores = np.array([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5]])
    single = logits(scores, np.array([[1, 0], [1, 0], [0, 1]]), "single")
    assert at(single, ERROR) == pytest.approx(2 / 3), "on ties the first class"
    assert at_by_class(single, ERROR) == {"c0": 0.5, "c1": 1.0}
    multi = logits(scores, np.array([[1, 0], [1, -1], [1, 1]]))
    assert at(multi, ERROR) == pytest.approx(1 / 5)
    unknown = logits(scores, np.array([[1, 0], [-1, -1], [0, 1]]), "single")
    assert at(unknown, ERROR) == 0.5


def test_auc_skips_a_class_with_one_label() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.random((40, 3)).astype(np.float32), rng.integers(0, 2, (40, 3))
    labels[:, 1] = 1
    labels[:5, 0] = -1
    evidence = logits(scores, labels)
    areas = at_by_class(evidence, AUC)
    assert areas.keys() == {"c0", "c2"}
    assert one_label(evidence) == ["c1"]
    assert areas["c0"] == pytest.approx(roc_auc_score(labels[5:, 0], scores[5:, 0]))
    assert at(evidence, AUC) == pytest.approx((areas["c0"] + areas["c2"]) / 2)
    assert at(logits(scores, np.ones((40, 3))), AUC) == 0.5


def test_auc_of_the_single_label_view_is_one_against_the_rest() -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.random((30, 3)).astype(np.float32), rng.integers(0, 3, 30)
    expected = np.mean([roc_auc_score(labels == k, scores[:, k]) for k in range(3)])
    assert at(logits(scores, np.eye(3)[labels], "single"), AUC) == pytest.approx(expected)


@settings(max_examples=40)
@given(st.integers(0, 999), st.sampled_from(["single", "multi"]))
def test_weights_are_repetitions_and_ties_count_half(seed: int, view: str) -> None:
    rng = np.random.default_rng(seed)
    count, classes = int(rng.integers(2, 15)), int(rng.integers(2, 4))
    scores = rng.choice([0.2, 0.5, 0.8], (count, classes))
    labels = (
        np.eye(classes)[rng.integers(0, classes, count)] if view == "single" else rng.integers(-1, 2, (count, classes))
    )
    weights = rng.integers(0, 3, (1, count))
    times = np.repeat(np.arange(count), weights[0])
    evidence, repeated = logits(scores, labels, view), logits(scores[times], labels[times], view)
    for metric in (AUC, ERROR, ACCURACY, F1):
        found = metric.function(evidence, weights.astype(np.float64), None)
        expected = at(repeated, metric)
        if metric is AUC and not at_by_class(repeated, AUC):
            # a draw that leaves no class with both labels says nothing, evidence that never had both says chance
            expected = np.nan if at_by_class(evidence, AUC) else expected
        assert found[0] == pytest.approx(expected, nan_ok=True)
    for k in range(classes):
        known = labels[times, k] >= 0
        area = AUC.function(evidence, weights.astype(np.float64), k)[0]
        if len(set(labels[times, k][known])) == 2:
            assert area == pytest.approx(roc_auc_score(labels[times, k][known], scores[times, k][known]))
        else:
            assert np.isnan(area)


def test_nothing_known_is_no_value() -> None:
    evidence = logits(np.zeros((3, 2)), np.full((3, 2), -1))
    for metric in (AUC, ERROR, ACCURACY, F1):
        assert np.isnan(at(evidence, metric))
        assert at_by_class(evidence, metric) == {}


@settings(max_examples=40)
@given(st.integers(0, 999), st.sampled_from(["single", "multi"]))
def test_f1_is_that_of_scikit_learn(seed: int, view: str) -> None:
    rng = np.random.default_rng(seed)
    count, classes = int(rng.integers(2, 12)), int(rng.integers(2, 5))
    scores = rng.random((count, classes))
    if view == "single":
        labels = np.eye(classes)[rng.integers(0, classes, count)]
        taken = np.eye(classes)[scores.argmax(axis=1)]
    else:
        labels, taken = rng.integers(0, 2, (count, classes)), scores >= 0.5
    evidence = logits(scores, labels, view)
    expected = f1_score(labels, taken, average=None, zero_division=1)
    assert list(at_by_class(evidence, F1).values()) == pytest.approx(expected)
    assert at(evidence, F1) == pytest.approx(expected.mean())
    assert at(evidence, ACCURACY) == pytest.approx(1 - at(evidence, ERROR))


def test_f1_of_unknown_labels_and_of_a_class_that_nothing_is() -> None:
    # two sources: of the last two images nothing is known, and of the third class no image's label is
    labels = np.array([[1, 0, -1], [0, 1, -1], [1, 0, -1], [-1, -1, -1], [-1, -1, -1]])
    scores = np.array([[0.9, 0.1, 0], [0.2, 0.8, 0], [0.3, 0.7, 0], [0.9, 0.1, 0], [0.1, 0.9, 0]])
    single = logits(scores, labels, "single")
    assert at_by_class(single, F1) == pytest.approx({"c0": 2 / 3, "c1": 2 / 3})
    assert at(single, F1) == pytest.approx(2 / 3)
    assert at(single, ACCURACY) == pytest.approx(2 / 3)
    none = logits(np.array([[0.1, 0.9], [0.2, 0.6]]), np.array([[0, 1], [0, 1]]))
    assert at_by_class(none, F1) == {"c0": 1.0, "c1": 1.0}, "no image has the class, and none is taken for it"
    assert at_by_class(logits(np.array([[0.6, 0.9]]), np.array([[0, 1]])), F1)["c0"] == 0


@pytest.mark.parametrize("view", ["single", "multi"])
def test_the_area_under_the_roc_curve_is_the_auc(view: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.eye(3, dtype=np.int8)[rng.integers(3, size=200)] if view == "single" else rng.integers(-1, 2, (200, 3))
    found = logits(rng.random((200, 3)).round(1), labels.astype(np.int8), view)
    curves = roc_curves(found)
    assert list(curves) == list(found.classes)
    for name, value in at_by_class(found, METRICS["auc"]).items():
        curve = curves[name]
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(value)
        assert (curve["fpr"][0], curve["tpr"][0], curve["fpr"][-1], curve["tpr"][-1]) == (0, 0, 1, 1)


def test_a_class_without_both_labels_has_no_roc_curve() -> None:
    found = logits(np.full((3, 3), 0.5), np.array([[1, 0, -1], [1, 1, -1], [1, -1, -1]], np.int8))
    assert list(roc_curves(found)) == [found.classes[1]]
    assert one_label(found) == [found.classes[0]], "of the last class nothing is known"
