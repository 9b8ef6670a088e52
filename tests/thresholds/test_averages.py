"""Over pairs or over classes: what a metric of regions is a mean over, by its name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from threshold_examples import random_batch

from raysearch.errors import UserError
from raysearch.thresholds import (
    Components,
    Counts,
    LevelMetric,
    Maps,
    Metric,
    PlainMetric,
    Sweep,
    SweepMetric,
    at,
    at_by_class,
    bootstrap,
    cross_fit,
    find_metric,
    fit_interval,
    interval,
    mask_metric,
    objective,
    paired_bootstrap,
    scores_at,
    solve,
)

MAKERS: dict[str, Any] = {"counts": Counts, "components": Components, "maps": Maps}
NAMES = (
    "f1_plus",
    "iou",
    "iou_accuracy@0.3",
    "precision",
    "false_positive_area",
    "box_iou",
    "box_accuracy@0.3",
    "hausdorff",
    "cdice",
    "pxap",
    "max_box_acc_v2",
)


def unequal(metric: Metric, images: int = 24) -> Sweep:
    """Evidence of classes with very different numbers of pairs, and of one without any present pair."""
    batch = random_batch(7, images=images, classes=4)
    batch["truth"][6:, 1] = -1
    batch["truth"][:, 3] = np.minimum(batch["truth"][:, 3], 0)
    batch["masks"][batch["truth"] != 1] = 0
    batch["patients"] = [f"p{n // 2}" for n in range(images)]
    found = MAKERS[metric.evidence].from_maps(**batch)
    assert isinstance(found, Sweep)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_over_classes_is_the_mean_of_the_classes_own_values(name: str) -> None:
    over_pairs, over_classes = find_metric(name), find_metric(f"{name}:classes")
    assert find_metric(f"{name}:pairs").name == name == over_pairs.name
    assert over_classes.name == f"{name}:classes"
    assert over_classes.title.endswith(", mean over classes")
    evidence = unequal(over_pairs)
    level = None if isinstance(over_pairs, PlainMetric) else 110
    by_class = at_by_class(evidence, over_pairs, level)
    assert at_by_class(evidence, over_classes, level) == by_class
    assert 1 < len(by_class) <= 4
    assert at(evidence, over_classes, level) == pytest.approx(np.mean(list(by_class.values())))
    if isinstance(over_pairs, LevelMetric):
        scores = scores_at(evidence, over_pairs, 110)
        assert at(evidence, over_pairs, level) == pytest.approx(np.nanmean(scores))
        assert abs(at(evidence, over_pairs, level) - at(evidence, over_classes, level)) > 1e-4


def slow_value(counts: Counts, levels: np.ndarray, name: str) -> float:
    """Class by class, pair by pair; `levels` (R,)."""
    tp, fp, fn, _ = counts.confusion()
    values: dict[int, list[float]] = {}
    for r in np.flatnonzero(counts.present):
        n = levels[r]
        either = 2 * tp[r, n] + fp[r, n] + fn[r, n]
        values.setdefault(int(counts.label[r]), []).append(2 * tp[r, n] / either if either else 1.0)
    if name.endswith(":classes"):
        return float(np.mean([np.mean(own) for own in values.values()]))
    return float(np.mean([value for own in values.values() for value in own]))


@pytest.mark.parametrize("name", ["f1_plus", "f1_plus:classes"])
def test_solves_and_honest_values_use_the_metrics_mean(name: str) -> None:
    metric = mask_metric(name)
    counts = unequal(metric)
    assert isinstance(counts, Counts)
    curve = [slow_value(counts, np.full(len(counts), n), name) for n in range(257)]
    shared = solve(counts, metric)
    assert shared.curve == pytest.approx(curve)
    assert shared.value == pytest.approx(max(curve))
    own = solve(counts, metric, per_class=True)
    levels = np.array([own.levels[counts.classes[k]] for k in counts.label])
    assert own.value == pytest.approx(slow_value(counts, levels, name))
    assert own.levels["c3"] == shared.levels["c3"], "no pair of its own"
    fit = cross_fit(counts, metric, repeats=4, per_class=True)
    honest = [slow_value(counts, applied, name) for applied in fit.applied(counts)]
    assert fit.value == pytest.approx(np.mean(honest))
    assert set(fit.by_class) == {"c0", "c1", "c2"}
    for k in range(3):
        assert fit.scores is not None
        assert fit.by_class[f"c{k}"] == pytest.approx(np.nanmean(fit.scores[counts.label == k]))
    again = cross_fit(counts, mask_metric("iou"), repeats=4, per_class=True).rescore(counts, metric)
    assert again.value == pytest.approx(np.mean([slow_value(counts, own, name) for own in again.applied(counts)]))


def test_the_mean_decides_which_threshold_is_shared() -> None:
    """Nine images of a class lose a little above level 100, one image of another gains much above 150."""
    maps, masks, truth = (np.zeros((10, 2, *size), np.uint8) for size in ((1, 20), (1, 20), ()))
    maps[:, 0] = [220] * 6 + [100] * 4 + [50] * 10
    masks[:, 0, 0, :10] = 1
    maps[9, 1] = [200] * 2 + [150] * 18
    masks[9, 1, 0, :2] = 1
    truth[:9, 0] = truth[9, 1] = 1
    patients = [f"p{n}" for n in range(10)]
    counts = Counts.from_maps(maps, masks, truth.astype(np.int8), range(10), patients, ("often", "once"))
    frequent, scarce = solve(counts, mask_metric("f1_plus")), solve(counts, mask_metric("f1_plus:classes"))
    assert 50 < frequent.levels["once"] <= 100
    assert frequent.value == pytest.approx((9 * 1 + 4 / 22) / 10)
    assert 150 < scarce.levels["often"] <= 200
    assert scarce.value == pytest.approx((12 / 16 + 1) / 2)


def test_by_class_of_a_pooled_metric() -> None:
    counts = unequal(mask_metric("iou"))
    metric = mask_metric("iou_pooled:classes")
    fit = cross_fit(counts, metric, repeats=1)
    half = fit.halves(counts)[0]
    tp, fp, fn, _ = (np.array(count)[np.arange(len(counts)), fit.applied(counts)[0]] for count in counts.confusion())
    assert len(set(half)) == 2
    for k, name in enumerate(("c0", "c1", "c2")):
        own = counts.label == k
        assert fit.by_class[name] == pytest.approx(tp[own].sum() / (tp + fp + fn)[own].sum())
    assert fit.value == pytest.approx(np.mean(list(fit.by_class.values())))


@pytest.mark.parametrize("name", ["f1_plus:classes", "cdice:classes", "box_iou:classes"])
def test_intervals_are_those_of_drawn_patients(name: str) -> None:
    """Resamples made one at a time, the mean over classes of each."""
    metric = find_metric(name)
    evidence = unequal(metric)
    evidence = evidence.select(evidence.present)
    level = None if isinstance(metric, PlainMetric) else 110
    rng = np.random.default_rng(3)
    names = np.unique(evidence.patient)
    values = []
    for _ in range(1500):
        drawn = np.concatenate([np.flatnonzero(evidence.patient == p) for p in rng.choice(names, len(names))])
        by_class = []
        for k in range(4):
            own = drawn[evidence.label[drawn] == k]
            if len(own):
                single = [at(evidence.select(np.array([r])), metric, level) for r in sorted(set(own))]
                by_class.append(np.average(single, weights=[np.count_nonzero(own == r) for r in sorted(set(own))]))
        values.append(np.mean(by_class))
    low, high = np.quantile(values, (0.025, 0.975))
    found = interval(evidence, metric, level, resamples=4000)
    assert found.mean == at(evidence, metric, level)
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))
    if isinstance(metric, LevelMetric):
        scores = scores_at(evidence, metric, 110)
        by_scores = bootstrap(scores, evidence.patient, classes=evidence.label, resamples=4000)
        assert by_scores == pytest.approx(found)
        nothing = paired_bootstrap(scores, scores, evidence.patient, classes=evidence.label)
        assert nothing == (0, 0, 0)
        if isinstance(metric, SweepMetric):
            fit = cross_fit(evidence, metric)
            spread = fit_interval(fit, evidence, metric)
            assert spread.mean == pytest.approx(fit.value)
            assert spread.low < fit.value < spread.high


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("iou_pooled", "only its mean over classes can be solved for; give iou_pooled:classes"),
        ("iou_pooled:pairs", "give iou_pooled:classes"),
        ("iou_per_image", "give iou_per_image:classes"),
        ("iou:class", "expected :classes or :pairs at the end, as in iou:classes"),
        ("iou_pooled:class", "as in iou_pooled:classes"),
        ("box_accuracy:classes@0.3", "expected :classes or :pairs at the end, as in box_accuracy:classes"),
        ("iou_acuracy@0.3:classes", r"did you mean 'iou_accuracy@T'\?"),
        ("iou@0.3:classes", "iou takes no @T"),
        ("iou_accuracy@3:classes", "got '3'"),
        ("auc:classes", "auc is a metric of labels and has one mean; give auc"),
    ],
)
def test_means_that_there_are_not(name: str, said: str) -> None:
    with pytest.raises(UserError, match=f"--metric {name}: .*{said}"):
        objective(name)
