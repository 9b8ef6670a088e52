from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from raysearch.thresholds import Regions

STATISTICS = ("total", "inside", "outside", "blob", "positive_outside")


def batch(seed: int, images: int = 5, classes: int = 3, size: tuple[int, int] = (5, 4)) -> dict:
    """Arguments of `Regions.from_maps`: every kind of truth and label, regions from none to all of the grid."""
    rng = np.random.default_rng(seed)
    pairs = (images, classes)
    share = rng.choice([0.0, 0.3, 0.7, 1.0], pairs)
    return {
        "grid": rng.random((*pairs, *size)).astype(np.float32),
        "cells": rng.random((*pairs, *size)) < share[:, :, None, None],
        "truth": rng.choice([1, 0, -1], pairs, p=[0.5, 0.2, 0.3]).astype(np.int8),
        "labels": rng.choice([1, 0, -1], pairs).astype(np.int8),
        "rows": rng.permutation(100)[:images],
        "patients": [f"p{n % 3}" for n in range(images)],
        "classes": [f"c{k}" for k in range(classes)],
    }


def blob_size(positive: NDArray[np.bool_]) -> int:
    """Cells of the largest 8-connected component, by flooding."""
    left, largest = set(map(tuple, np.argwhere(positive))), 0
    while left:
        queue, size = deque([left.pop()]), 0
        while queue:
            r, c = queue.popleft()
            size += 1
            near = {(r + dr, c + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)} & left
            left -= near
            queue.extend(near)
        largest = max(largest, size)
    return largest


@settings(deadline=None)  # the first example imports scipy
@given(st.integers(0, 2**32 - 1))
def test_is_what_the_definitions_say(seed: int) -> None:
    data = batch(seed)
    regions = Regions.from_maps(**data)
    place = {(image, k): row for row, (image, k) in enumerate(zip(regions.image, regions.label, strict=True))}
    known = 0
    for n, row in enumerate(data["rows"]):
        for k in range(3):
            truth, label = data["truth"][n, k], data["labels"][n, k]
            presence = truth if truth >= 0 else label
            assert ((row, k) in place) == (presence >= 0)
            if presence < 0:
                continue
            known += 1
            at = place[row, k]
            grid, cells = data["grid"][n, k].astype(float), data["cells"][n, k]
            assert regions.present[at] == (presence == 1)
            assert regions.annotated[at] == (truth == 1 and cells.any())
            assert regions.patient[at] == data["patients"][n]
            assert regions.total[at] == pytest.approx(grid.mean())
            if not regions.annotated[at]:
                assert all(np.isnan(getattr(regions, name)[at]) for name in STATISTICS[1:])
                continue
            assert regions.inside[at] == pytest.approx(grid[cells].mean())
            assert regions.blob[at] == pytest.approx(blob_size((grid >= 0.5) & cells) / cells.sum())
            outside = grid[~cells]
            assert regions.outside[at] == pytest.approx(outside.mean() if outside.size else 0)
            assert regions.positive_outside[at] == pytest.approx((outside >= 0.5).mean() if outside.size else 0)
    assert len(regions) == known


@given(st.integers(0, 2**32 - 1), st.permutations(range(5)))
def test_parts_add_up_in_any_order(seed: int, order: list[int]) -> None:
    data = batch(seed)
    parts = []
    for n in order:
        one = {key: data[key][n : n + 1] for key in ("grid", "cells", "truth", "labels", "rows", "patients")}
        parts.append(Regions.from_maps(**one, classes=data["classes"]))
    whole, merged = Regions.from_maps(**data), Regions.merge(parts)
    for name in ("image", "label", "patient", "present", "annotated", *STATISTICS):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name), err_msg=name)


def test_blobs_of_different_images_do_not_touch() -> None:
    data = batch(0, images=2, classes=1, size=(2, 2))
    data |= {"truth": np.ones((2, 1), np.int8), "cells": np.ones((2, 1, 2, 2), bool)}
    data["grid"][:] = np.array([[1, 0], [0, 0.5]])
    np.testing.assert_array_equal(Regions.from_maps(**data).blob, [0.5, 0.5])


def test_a_map_with_nan_has_no_statistics_and_leaves_the_others_theirs() -> None:
    data = batch(1) | {"truth": np.ones((5, 3), np.int8), "cells": np.ones((5, 3, 5, 4), bool)}
    whole = Regions.from_maps(**data)
    data["grid"][2, 1, 0, 0] = np.nan
    regions = Regions.from_maps(**data)
    broken = np.isnan(regions.total)
    assert broken.sum() == 1
    for name in STATISTICS:
        values = getattr(regions, name)
        assert np.isnan(values[broken]).all()
        np.testing.assert_array_equal(values[~broken], getattr(whole, name)[~broken])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grid": np.zeros((5, 2, 5, 4), np.float32)}, "expected grid and bool cells"),
        ({"cells": np.zeros((5, 3, 5, 4), np.uint8)}, "expected grid and bool cells"),
        ({"labels": np.zeros((5, 2), np.int8)}, "expected grid and bool cells"),
        ({"patients": ["p0"]}, "expected grid and bool cells"),
        ({"grid": np.full((5, 3, 5, 4), 1.5, np.float32)}, r"total must be shares in \[0, 1\], found 1.5 to 1.5"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Regions.from_maps(**batch(2) | change)


def test_contradictions_are_refused() -> None:
    regions = Regions.from_maps(**batch(3))
    columns = {name: getattr(regions, name) for name in ("classes", *Regions.columns)}
    with pytest.raises(ValueError, match="an absent pair has no region"):
        Regions(**columns | {"present": np.zeros(len(regions), bool)})
    with pytest.raises(ValueError, match="inside must be known of the annotated pairs, and of no other"):
        Regions(**columns | {"inside": np.zeros(len(regions))})
