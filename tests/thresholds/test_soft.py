from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from threshold_examples import random_batch

from raysearch.thresholds import METRICS, Counts, at, at_by_class

CDICE, PXAP = METRICS["cdice"], METRICS["pxap"]


def present_pairs(batch: dict, label: int | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (batch["maps"][n, k].ravel() / 255, batch["masks"][n, k].ravel())
        for n, k in np.argwhere(batch["truth"] == 1)
        if label in (None, k)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_cdice_is_that_of_the_maps(seed: int) -> None:
    batch = random_batch(seed)
    counts = Counts.from_maps(**batch)
    values = [2 * (a * b).sum() / ((a * a).sum() + (b * b).sum()) for a, b in present_pairs(batch)]
    assert at(counts, CDICE) == pytest.approx(np.mean(values))
    own = [2 * (a * b).sum() / ((a * a).sum() + (b * b).sum()) for a, b in present_pairs(batch, 1)]
    assert at_by_class(counts, CDICE)["c1"] == pytest.approx(np.mean(own))


@pytest.mark.parametrize("seed", range(3))
def test_pxap_is_the_average_precision_of_pooled_pixels(seed: int) -> None:
    batch = random_batch(seed)
    counts = Counts.from_maps(**batch)
    for label in (None, 0, 1, 2):
        values, truth = (np.concatenate(side) for side in zip(*present_pairs(batch, label), strict=True))
        found = at(counts, PXAP) if label is None else at_by_class(counts, PXAP)[f"c{label}"]
        assert found == pytest.approx(average_precision_score(truth, values))


@pytest.mark.parametrize("metric", [CDICE, PXAP])
def test_weights_are_repetitions(metric) -> None:  # type: ignore[no-untyped-def]
    counts = Counts.from_maps(**random_batch(1))
    weights = np.random.default_rng(0).integers(0, 3, (2, len(counts)))
    found = metric.function(counts, weights.astype(np.float64), None)
    for row, value in zip(weights, found, strict=True):
        times = np.repeat(np.arange(len(counts)), row)
        images = np.arange(len(times))  # rows of their own
        again = Counts(
            classes=counts.classes, image=images, label=counts.label[times], patient=counts.patient[times],
            present=counts.present[times], foreground=counts.foreground[times], background=counts.background[times],
        )  # fmt: skip
        assert value == pytest.approx(at(again, metric))


def test_empty_maps_and_regions_and_no_pair() -> None:
    maps, masks = np.zeros((1, 1, 4, 4), np.uint8), np.zeros((1, 1, 4, 4), np.uint8)
    empty = Counts.from_maps(maps, masks, np.ones((1, 1), np.int8), [0], ["p"], ["a"])
    assert at(empty, CDICE) == 0
    assert np.isnan(at(empty, PXAP))
    absent = Counts.from_maps(maps, masks, np.zeros((1, 1), np.int8), [0], ["p"], ["a"])
    assert np.isnan(at(absent, CDICE))
    assert np.isnan(at(absent, PXAP))
    assert at_by_class(absent, CDICE) == {}
