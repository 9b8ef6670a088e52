from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score
from threshold_examples import naive_confusion, random_batch

from raysearch.errors import UserError
from raysearch.thresholds import (
    METRICS,
    Counts,
    MaskMetric,
    at,
    at_by_class,
    cross_fit,
    find_metric,
    fit_interval,
    mask_metric,
    objective,
    solve,
)

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
    for name in ("f1_minus", "precision", "recall", "false_positive_area", "ior_accuracy", "ior_accuracy@0.25"):
        with pytest.raises(UserError, match=f"--metric {name}: cannot be the only objective, because .*f1_plus"):
            objective(name)
    for name in (
        "f1_plus",
        "iou",
        "iou_pooled:classes",
        "iou_per_image:classes",
        "iou_accuracy",
        "classification_error",
        "accuracy",
        "f1_score",
        "auc",
        "cdice",
    ):
        assert objective(name) is METRICS[name]


def test_names() -> None:
    with pytest.raises(UserError, match=r"unknown metric; did you mean 'f1_plus'\?"):
        objective("f1plus")
    with pytest.raises(UserError, match="thresholds do not change it"):
        mask_metric("auc")
    assert all(name == metric.name for name, metric in METRICS.items())
    better_low = {name for name, metric in METRICS.items() if metric.direction == "minimize"}
    distances = {"hausdorff", "hausdorff_max", "hausdorff_classical"}
    assert better_low == {"false_positive_area", "classification_error", *distances}


@given(pixels, st.sampled_from([0.1, 0.25, 0.3, 0.5, 1.0]))
def test_accuracy_is_closed_at_its_least_overlap(pairs: list[tuple[bool, bool]], least: float) -> None:
    predicted, region = np.array(pairs).T
    tp, fp, fn, _ = naive_confusion(predicted, region)
    if tp + fn:  # of a region that is there
        assert _value(f"iou_accuracy@{least}", predicted, region) == (tp >= least * (tp + fp + fn) - 1e-9)
    assert _value(f"ior_accuracy@{least}", predicted, region) == (tp + fp > 0 and tp >= least * (tp + fp) - 1e-9)


def test_accuracy_takes_its_least_overlap_from_its_name() -> None:
    counts = Counts.from_maps(**random_batch(0, images=20))
    iou = solve(counts, mask_metric("iou"))
    by_name = [at(counts, find_metric(f"iou_accuracy@{least}"), iou.levels) for least in (0.01, 0.3, 1)]
    assert by_name == sorted(by_name, reverse=True)
    assert at(counts, find_metric("iou_accuracy@0.1"), iou.levels) == at(counts, METRICS["iou_accuracy"], iou.levels)
    assert find_metric("iou_accuracy@0.30").name == "iou_accuracy@0.30"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("iou_accuracy@0", r"expected a number in \(0, 1\] after the @, as in iou_accuracy@0.3; got '0'"),
        ("iou_accuracy@1.5", "got '1.5'"),
        ("iou_accuracy@", "got ''"),
        ("iou_accuracy@nan", "got 'nan'"),
        ("iou@0.3", "iou takes no @T; give iou, or one of iou_accuracy, ior_accuracy, box_accuracy with @T"),
        ("auc@0.3", "auc takes no @T"),
        ("iou_acuracy@0.3", "did you mean 'iou_accuracy@T'"),
    ],
)
def test_bad_names_with_a_number(name: str, message: str) -> None:
    with pytest.raises(UserError, match=f"--metric {name}: .*{message}"):
        find_metric(name)


def test_any_function_of_pixel_counts_is_a_metric() -> None:
    def youden(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray) -> np.ndarray:
        return tp / np.maximum(tp + fn, 1) - fp / np.maximum(fp + tn, 1)

    own = MaskMetric(name="youden", title="Youden's J", function=youden, pooled=True, pairs="known")
    counts = Counts.from_maps(**random_batch(4))
    solution = solve(counts, own, per_class=True)
    by_class = at_by_class(counts, own, solution.levels)
    for k, name in enumerate(counts.classes):
        tp, fp, fn, tn = (count.sum(axis=0) for count in counts.select(counts.label == k).confusion())
        assert by_class[name] == pytest.approx(np.max(tp / (tp + fn) - fp / (fp + tn)))


def slow_iou_per_image(counts: Counts, levels: dict[str, int]) -> dict[str, float]:
    """By class with a region, one image after the other: an image that neither has nor gets a pixel is left out."""
    tp, fp, fn, _ = counts.confusion()
    out = {}
    for k, name in enumerate(counts.classes):
        found = []
        for row in np.flatnonzero(counts.label == k):
            n = levels[name]
            either = int(tp[row, n]) + int(fp[row, n]) + int(fn[row, n])
            if either:
                found.append(int(tp[row, n]) / either)
        if (counts.present & (counts.label == k)).any():
            out[name] = sum(found) / len(found)
    return out


def test_iou_per_image_leaves_out_what_is_empty_at_that_level() -> None:
    counts = Counts.from_maps(**random_batch(3, images=12))
    metric = find_metric("iou_per_image:classes")
    values = []
    for n in range(257):
        expected = slow_iou_per_image(counts, dict.fromkeys(counts.classes, n))
        assert at_by_class(counts, metric, n) == pytest.approx(expected)
        values.append(sum(expected.values()) / len(expected))
        assert at(counts, metric, n) == pytest.approx(values[-1])
    solution = solve(counts, mask_metric("iou_per_image:classes"))
    assert solution.curve == pytest.approx(values)
    assert solution.value == pytest.approx(max(values))
    absent = counts.select(~counts.present)
    assert len(absent), "images without the finding, some with pixels"
    assert max(abs(a - b) for a, b in zip(values, solve(counts, mask_metric("iou")).curve, strict=True)) > 0.01
    own = solve(counts, mask_metric("iou_per_image:classes"), per_class=True)
    assert own.value >= solution.value
    assert np.mean(list(slow_iou_per_image(counts, own.levels).values())) == pytest.approx(own.value)


def test_iou_per_image_is_cross_fitted_at_the_other_halfs_levels() -> None:
    counts = Counts.from_maps(**random_batch(5, images=16))
    metric = mask_metric("iou_per_image:classes")
    fit = cross_fit(counts, metric, repeats=3)
    tp, fp, fn, _ = counts.confusion()
    repeats = []
    for levels in fit.applied(counts):
        by_class = []
        for k in range(len(counts.classes)):
            rows = np.flatnonzero(counts.label == k)
            pixels = [(int(tp[r, levels[r]]), int((tp + fp + fn)[r, levels[r]])) for r in rows]
            if counts.present[rows].any():
                by_class.append(np.mean([inside / either for inside, either in pixels if either]))
        repeats.append(np.mean(by_class))
    assert fit.value == pytest.approx(np.mean(repeats))
    interval = fit_interval(fit, counts, metric, resamples=50)
    assert interval.low <= fit.value <= interval.high


def test_by_class_are_the_values_of_each_class_alone() -> None:
    counts = Counts.from_maps(**random_batch(2, images=9))
    counts = counts.select((counts.label != 2) | ~counts.present)
    for name, metric in METRICS.items():
        if metric.evidence != "counts":
            continue
        found = at_by_class(counts, metric, 120)
        for k, label in enumerate(counts.classes):
            alone = at(counts.select(counts.label == k), metric, 120)
            assert found.get(label, np.nan) == pytest.approx(alone, nan_ok=True), name
    assert "c2" not in at_by_class(counts, METRICS["iou"], 120)
