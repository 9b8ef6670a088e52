"""Distances and similarity of masks: against the slow obvious way, and at given levels only."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from threshold_examples import random_batch

from raysearch.errors import UserError
from raysearch.thresholds import (
    METRICS,
    Counts,
    MapMetric,
    Maps,
    at,
    at_by_class,
    cross_fit,
    fit_interval,
    interval,
    mask_metric,
    objective,
    scores_at,
    sweep_metric,
)
from raysearch.thresholds._map_metrics import hausdorff, hausdorff_classical, hausdorff_max, ssim

NAMES = ("ssim", "hausdorff", "hausdorff_max", "hausdorff_classical")
sides = st.tuples(st.integers(1, 12), st.integers(1, 12))
two_masks = sides.flatmap(lambda size: st.tuples(*[arrays.arrays(np.bool_, size)] * 2))


def distances(a: np.ndarray, b: np.ndarray) -> list[float]:
    """Of each foreground pixel of a to the nearest one of b."""
    return [min(math.dist(p, q) for q in np.argwhere(b)) for p in np.argwhere(a)]


@settings(max_examples=60)
@given(two_masks)
def test_hausdorff_distances_pixel_by_pixel(masks: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = masks
    if not (a.any() or b.any()):
        expected = [0.0] * 3
    elif not (a.any() and b.any()):
        expected = [math.hypot(*a.shape)] * 3
    else:
        there, back = distances(a, b), distances(b, a)
        means = np.mean(there), np.mean(back)
        expected = [sum(means) / 2, max(means), max(there + back)]
    found = [function(a, b) for function in (hausdorff, hausdorff_max, hausdorff_classical)]
    assert found == pytest.approx(expected)
    assert found == [function(b, a) for function in (hausdorff, hausdorff_max, hausdorff_classical)]
    assert found == sorted(found)


def slow_ssim(a: np.ndarray, b: np.ndarray, window: int) -> float:
    """Window by window, from its own mean and sample covariance."""
    values = []
    height, width = a.shape
    for y, x in product(range(height - window + 1), range(width - window + 1)):
        one, other = (each[y : y + window, x : x + window].ravel().astype(float) for each in (a, b))
        covariance = np.cov(one, other) if window > 1 else np.zeros((2, 2))
        luminance = (2 * one.mean() * other.mean() + 1e-4) / (one.mean() ** 2 + other.mean() ** 2 + 1e-4)
        values.append(luminance * (2 * covariance[0, 1] + 9e-4) / (covariance[0, 0] + covariance[1, 1] + 9e-4))
    return float(np.mean(values))


@settings(max_examples=40)
@given(two_masks)
def test_ssim_window_by_window(masks: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = masks
    window = max(w for w in (1, 3, 5, 7) if w <= min(a.shape))
    assert ssim(a, b) == pytest.approx(slow_ssim(a, b, window), abs=1e-9)
    assert ssim(a, a) == pytest.approx(1)


def test_a_figure_of_ssim_that_scikit_image_gave() -> None:
    rows, columns = np.mgrid[:16, :20]
    a, b = (rows - 7) ** 2 + (columns - 9) ** 2 < 30, (rows - 8) ** 2 + (columns - 11) ** 2 < 24
    # structural_similarity(a, b, win_size=7, data_range=1) of scikit-image 0.26, a and b as float64
    assert ssim(a, b) == pytest.approx(0.3981099711223405, abs=1e-12)


def batch_of(seed: int, maps: int | None = None) -> tuple[Maps, Counts]:
    batch = random_batch(seed, images=12, maps=maps)
    return Maps.from_maps(**batch), Counts.from_maps(**batch)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("maps", [None, 1])
def test_values_of_pairs_at_levels(name: str, maps: int | None) -> None:
    evidence, _ = batch_of(1, maps)
    metric = METRICS[name]
    assert isinstance(metric, MapMetric)
    levels = {"c0": 60, "c1": 120, "c2": 256}
    scores = scores_at(evidence, metric, levels)
    regions = evidence.regions()
    for r in range(len(evidence)):
        expected = np.nan
        if evidence.present[r]:
            mask = evidence.maps[r].astype(int) >= levels[evidence.classes[evidence.label[r]]]
            expected = metric.compare(mask, regions[r])
        assert scores[r] == pytest.approx(expected, nan_ok=True)
    entering = scores[evidence.present]
    assert at(evidence, metric, levels) == pytest.approx(entering.mean())
    for k, label in enumerate(evidence.classes):
        own = entering[evidence.label[evidence.present] == k]
        assert at_by_class(evidence, metric, levels).get(label, np.nan) == pytest.approx(own.mean(), nan_ok=True)
    found = interval(evidence, metric, levels)
    assert found.low <= found.mean <= found.high


@pytest.mark.parametrize("per_class", [False, True])
def test_cross_fitted_values_are_of_the_levels_that_another_metric_chose(per_class: bool) -> None:
    evidence, counts = batch_of(2)
    fit = cross_fit(counts, mask_metric("f1_plus"), repeats=4, per_class=per_class)
    metric = METRICS["hausdorff"]
    assert isinstance(metric, MapMetric)
    found = fit.rescore(evidence, metric)
    applied = fit.applied(evidence)
    by_repeat = [scores_at(evidence.select(np.array([r])), metric, int(applied[t, r]))[0]
                 for r in range(len(evidence)) for t in range(4)]  # fmt: skip
    assert found.value == pytest.approx(np.nanmean(by_repeat))
    spread = fit_interval(found, evidence, metric)
    assert spread.mean == pytest.approx(found.value)
    assert spread.low <= found.value <= spread.high


def test_a_pair_is_looked_at_once_for_each_of_its_levels() -> None:
    evidence, counts = batch_of(3)
    looked = []

    def compare(mask: np.ndarray, region: np.ndarray) -> float:
        looked.append(1)
        return float((mask & region).sum())

    metric = MapMetric(name="own", title="for tests", compare=compare)
    fit = cross_fit(counts, mask_metric("f1_plus"), repeats=20)
    fit.rescore(evidence, metric)
    applied = fit.applied(evidence)[:, evidence.present]
    assert len(looked) == sum(len(set(column)) for column in applied.T)
    assert len(looked) < applied.size


@pytest.mark.parametrize("name", NAMES)
def test_none_is_an_objective(name: str) -> None:
    with pytest.raises(UserError, match=f"--metric {name}: cannot be the only objective, because its masks are comp"):
        objective(name)
    with pytest.raises(UserError, match=f"--metric {name}: its masks are compared one by one"):
        sweep_metric(name)


def test_other_evidence_is_refused() -> None:
    evidence, counts = batch_of(0)
    with pytest.raises(ValueError, match="hausdorff needs evidence of kind maps, got counts"):
        at(counts, METRICS["hausdorff"], 128)
    with pytest.raises(ValueError, match="hausdorff has a value at given levels only"):
        at(evidence, METRICS["hausdorff"])
    with pytest.raises(ValueError, match="needs evidence of kind counts, got maps"):
        at(evidence, METRICS["iou"], 128)
