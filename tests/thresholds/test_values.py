"""Numbers of another meaning are not taken for regions, truth or labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from raysearch.thresholds import (
    METRICS,
    Components,
    Counts,
    Logits,
    Regions,
    at,
    binarise,
    boxes_at,
    interval,
    quantise,
    region_boxes,
    scores_at,
)

MASKS = np.zeros((4, 1, 8, 8))
MASKS[:, :, 2:5, 2:5] = 1
MAPS = quantise(np.where(MASKS > 0, 0.9, 0.1))
PATIENTS = list("abcd")
VOID = MASKS.copy()
VOID[:, :, 0] = 255


@pytest.mark.parametrize("kind", [Counts, Components])
def test_ones_and_zeros_of_any_type_are_regions(kind: Any) -> None:
    for masks in (MASKS, MASKS > 0, MASKS.astype(np.uint8), MASKS.astype(np.int64)):
        found = kind.from_maps(MAPS, masks, np.ones((4, 1), np.int8), np.arange(4), PATIENTS, ("a",))
        assert len(found) == 4


@pytest.mark.parametrize("kind", [Counts, Components])
@pytest.mark.parametrize(
    ("masks", "found"),
    [
        (2 * MASKS - 1, "-1"),
        (np.where(MASKS > 0, 1, np.nan), "nan"),
        (np.where(MASKS > 0, 0.9, 0.1), "0.1"),
        (VOID, "255"),
        (VOID.astype(np.uint8), "255"),
        (2 * MASKS.astype(np.int32), "2"),
    ],
)
def test_regions_of_other_values_are_refused(kind: Any, masks: np.ndarray, found: str) -> None:
    with pytest.raises(ValueError, match=f"regions must be 0 or 1, found {found}"):
        kind.from_maps(MAPS, masks, np.ones((4, 1)), np.arange(4), PATIENTS, ("a",))


@pytest.mark.parametrize("value", [2, 0.5, np.nan, 255, -2])
def test_truth_and_labels_of_other_values_are_refused(value: float) -> None:
    truth, known = np.full((4, 1), value), np.ones((4, 1), np.int8)
    with pytest.raises(ValueError, match="truth must be 1"):
        Counts.from_maps(MAPS, MASKS, truth, np.arange(4), PATIENTS, ("a",))
    grid, cells = np.zeros((4, 1, 2, 2), np.float32), np.ones((4, 1, 2, 2), np.bool_)
    with pytest.raises(ValueError, match="truth must be 1"):
        Regions.from_maps(grid, cells, truth, known, np.arange(4), PATIENTS, ("a",))
    with pytest.raises(ValueError, match="labels must be 1"):
        Regions.from_maps(grid, cells, known, truth, np.arange(4), PATIENTS, ("a",))
    with pytest.raises(ValueError, match="labels must be 1"):
        Logits.from_scores(np.zeros((4, 1)), truth, np.arange(4), PATIENTS, ("a",), "multi")


@pytest.mark.parametrize("levels", [0.5, [0.5], {"a": 0.5}, np.float64(128)])
def test_thresholds_are_not_taken_for_levels(levels: Any) -> None:
    counts = Counts.from_maps(MAPS, MASKS, np.ones((4, 1), np.int8), np.arange(4), PATIENTS, ("a",))
    for judge in (at, scores_at, interval):
        with pytest.raises(ValueError, match="expected levels, whole numbers"):
            judge(counts, METRICS["f1_plus"], levels)
    with pytest.raises(ValueError, match="expected levels"):
        binarise(MAPS, 0.5)  # type: ignore[arg-type]


def test_levels_name_every_class() -> None:
    counts = Counts.from_maps(MAPS, MASKS, np.ones((4, 1), np.int8), np.arange(4), PATIENTS, ("a",))
    with pytest.raises(ValueError, match="none for a"):
        at(counts, METRICS["f1_plus"], {"b": 128})


def test_maps_between_0_and_1_are_not_taken_for_quantised_ones() -> None:
    for call in (binarise, lambda maps, level: boxes_at(maps[0, 0], level, "largest")):
        with pytest.raises(ValueError, match="expected maps of uint8"):
            call(MAPS / 255, 128)


def test_boxes_of_regions_of_other_values_are_refused() -> None:
    assert region_boxes(MASKS[0, 0]).tolist() == [[2, 2, 5, 5]]
    with pytest.raises(ValueError, match=r"found 0\.1"):
        region_boxes(np.where(MASKS[0, 0] > 0, 0.9, 0.1))


def test_areas_that_are_no_numbers_are_refused() -> None:
    found = Components.from_maps(MAPS, MASKS, np.ones((4, 1), np.int8), np.arange(4), PATIENTS, ("a",))
    with pytest.raises(ValueError, match="boxes overlap"):
        replace(found, overlap=np.full_like(found.overlap, np.nan))
