"""Numbers of another meaning are not taken for regions, truth or labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raysearch.thresholds import Components, Counts, Logits, Regions, quantise

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
