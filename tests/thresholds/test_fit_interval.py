from __future__ import annotations

import numpy as np
import pytest

from raysearch.thresholds import Counts, SweepMetric, bootstrap, cross_fit, find_metric, fit_interval


def example(images: int = 12) -> Counts:
    rng = np.random.default_rng(1)
    masks = (rng.random((images, 2, 6, 6)) < 0.3).astype(np.uint8)
    maps = np.clip(masks * 90 + rng.integers(0, 160, masks.shape), 0, 255).astype(np.uint8)
    truth = rng.integers(0, 2, (images, 2)).astype(np.int8)
    truth[:4] = 1
    patients = np.array([f"p{n // 2}" for n in range(images)])
    return Counts.from_maps(maps, masks, truth, np.arange(images), patients, ("a", "b"))


def metric_named(name: str) -> SweepMetric:
    metric = find_metric(name)
    assert isinstance(metric, SweepMetric)
    return metric


def test_of_a_mean_over_pairs_it_is_the_bootstrap_of_their_scores() -> None:
    counts, metric = example(), metric_named("iou")
    fit = cross_fit(counts, metric)
    assert fit.scores is not None
    assert fit_interval(fit, counts, metric) == bootstrap(fit.scores, counts.patient)


@pytest.mark.parametrize("seed", range(3))
def test_of_a_pooled_metric_it_counts_pixels_again_for_each_draw(seed: int) -> None:
    counts, metric = example(), metric_named("iou_pooled:classes")
    fit = cross_fit(counts, metric, per_class=True)
    found = fit_interval(fit, counts, metric, resamples=60, seed=seed)
    names = np.unique(counts.patient)
    draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), 60)
    applied, pixels = fit.applied(counts), counts.confusion()
    values = []
    for draw in draws:
        times = dict(zip(names, draw, strict=True))
        repeats = []
        for levels in applied:
            by_class = []
            for label in (0, 1):
                tp = fp = fn = present = 0
                for r in np.flatnonzero(counts.label == label):
                    n = times[counts.patient[r]]
                    tp += n * pixels.tp[r, levels[r]]
                    fp += n * pixels.fp[r, levels[r]]
                    fn += n * pixels.fn[r, levels[r]]
                    present += n * counts.present[r]
                if present:
                    by_class.append(tp / (tp + fp + fn))
            repeats.append(np.mean(by_class))
        values.append(np.mean(repeats))
    low, high = np.quantile(values, (0.025, 0.975))
    assert found == (pytest.approx(fit.value), pytest.approx(low), pytest.approx(high))
    assert low < fit.value < high
