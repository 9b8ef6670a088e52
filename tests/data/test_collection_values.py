"""What a collection, or a method's own regions, may hold: checked where it is made from Python, or as it is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.made_collections import collection, one_hot
from raysearch.data import Collection
from raysearch.data._pool_regions import PoolRegions
from raysearch.method import Pool, PseudoRegions


def pool_of(made: Collection) -> Pool:
    rows = np.arange(len(made))
    return Pool(
        rows=rows,
        labels=made.labels,
        truth=made.truth,
        source=np.zeros(len(made), np.int8),
    )


@pytest.mark.parametrize("value", [2, -2, 127])
def test_labels_and_truth_of_other_values_are_refused(value: int) -> None:
    made = collection(one_hot([0, 1, 0]))
    for field in ("labels", "truth"):
        with pytest.raises(ValueError, match=f"of made must be 1 .*, found {value}"):
            replace(made, **{field: np.full((3, 2), value, np.int8)})


@pytest.mark.parametrize("row", [[1, 1], [0, 0], [0, -1]])
def test_in_the_single_view_an_image_is_of_one_class(row: list[int]) -> None:
    labels = one_hot([0, 1, 0])
    labels[1] = row
    with pytest.raises(ValueError, match="image i1 of made has labels"):
        collection(labels)
    assert len(collection(labels, view="multi")) == 3


def test_masks_are_looked_at_as_they_are_read() -> None:
    made = collection(one_hot([0, 1]))
    assert PoolRegions(made, pool_of(made)).of(np.arange(2))[0].max() == 1
    void = replace(made, masks=np.full_like(made.masks, 255))
    with pytest.raises(ValueError, match="regions must be 0 or 1, found 255"):
        PoolRegions(void, pool_of(void)).of(np.arange(2))


def test_truth_of_pseudo_regions_of_other_values_is_refused() -> None:
    made = collection(one_hot([0, 1]), truth=np.full((2, 2), -1))
    pseudo = PseudoRegions(rows=np.arange(2), truth=np.full((2, 2), 2, np.int8), packed=np.zeros((0, 1), np.uint8))
    with pytest.raises(ValueError, match="truth of pseudo-regions must be 1"):
        PoolRegions(made, pool_of(made), pseudo)
