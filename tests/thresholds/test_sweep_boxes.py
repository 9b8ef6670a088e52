from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from threshold_examples import boxes_iou

from raysearch.thresholds._boxes import BOX_RULES, CONNECTIVITIES, Connectivity, boxes_at, region_boxes
from raysearch.thresholds._sweep_boxes import BoxSweep, dense_ranks, sweep_boxes


@st.composite
def maps(draw: st.DrawFn) -> NDArray[np.uint8]:
    """Small maps of every shape, with few values (plateaus and ties) or many, rough or smooth."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.random((draw(st.integers(1, 12)), draw(st.integers(1, 12))))
    smooth = ndimage.gaussian_filter(values, draw(st.sampled_from([0.0, 0.7, 2.0])))
    scaled = (smooth - smooth.min()) / max(float(np.ptp(smooth)), 1e-9)
    bins = draw(st.sampled_from([2, 5, 255]))
    return (np.rint(scaled * bins) * (255 // bins)).astype(np.uint8)


def naive_boxes(mask: NDArray[np.bool_], own: NDArray[np.uint8], rule: str, connectivity: Connectivity) -> list[tuple]:
    """From the definition: components by flood fill, in raster order of their first pixels."""
    left, components = set(zip(*np.nonzero(mask), strict=True)), []
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if abs(dy) + abs(dx) == 1 or connectivity == 8]
    for first in sorted(left):
        if first not in left:
            continue
        component, reached = [], [first]
        left.discard(first)
        while reached:
            y, x = reached.pop()
            component.append((y, x))
            beside = {(y + dy, x + dx) for dy, dx in steps} & left
            left -= beside
            reached += sorted(beside)
        components.append(component)
    if rule == "largest":
        components = sorted(components, key=len, reverse=True)[:1]
    if rule == "most_active":
        components = sorted(components, key=lambda pixels: -max(int(own[p]) for p in pixels))[:1]
    out = []
    for pixels in components:
        ys, xs = zip(*pixels, strict=True)
        out.append((min(xs), min(ys), max(xs) + 1, max(ys) + 1))
    return out


def iou(swept: BoxSweep) -> NDArray[np.float64]:
    return swept.overlap / np.maximum(swept.either, 1)


@settings(max_examples=60)
@given(maps(), st.integers(0, 256), st.sampled_from(BOX_RULES), st.sampled_from(CONNECTIVITIES))
def test_boxes_of_one_mask_are_those_of_its_flood_filled_components(
    own: NDArray[np.uint8], level: int, rule: str, connectivity: Connectivity
) -> None:
    expected = naive_boxes(own >= level, own, rule, connectivity)
    assert [tuple(box) for box in boxes_at(own, level, rule, connectivity).tolist()] == expected


@settings(max_examples=40)
@given(maps(), st.integers(0, 2**32 - 1), st.sampled_from(CONNECTIVITIES))
def test_the_sweep_equals_labelling_each_mask(own: NDArray[np.uint8], seed: int, connectivity: Connectivity) -> None:
    region = np.random.default_rng(seed).random(own.shape) < 0.3
    truth = region_boxes(region)
    swept = sweep_boxes(own, 256, truth, connectivity)
    shares = iou(swept)
    # a mask changes only where the map has a value
    for level in sorted({0, 256, *np.unique(own).tolist(), *(np.unique(own) + 1).tolist()}):
        every = [boxes_at(own, level, rule, connectivity) for rule in BOX_RULES]
        for n, boxes in enumerate(every[:2]):
            assert swept.boxes[n, level].tolist() == (boxes[0].tolist() if len(boxes) else [0, 0, 0, 0])
        expected = [boxes_iou(boxes, truth, own.shape) for boxes in every]
        fits = [boxes_iou(a[None], b[None], own.shape) for a in every[2] for b in truth]
        np.testing.assert_allclose(shares[:, level], [*expected, max(fits, default=0)], atol=1e-12)
    for level in range(256):
        if level not in own:
            assert (swept.overlap[:, level] == swept.overlap[:, level + 1]).all()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from(CONNECTIVITIES))
def test_a_float_map_over_all_its_distinct_values(seed: int, connectivity: Connectivity) -> None:
    rng = np.random.default_rng(seed)
    own = rng.standard_normal((6, 7)).astype(np.float32)
    own[rng.random((6, 7)) < 0.2] = own[0, 0]
    truth = np.array([[1, 1, 5, 4]])
    ranks, distinct = dense_ranks(own)
    swept = sweep_boxes(ranks, len(distinct), truth, connectivity)
    for level, value in enumerate([*distinct, np.inf]):
        for n, rule in enumerate(BOX_RULES):
            boxes = np.array(naive_boxes(own >= value, ranks.astype(np.uint8), rule, connectivity)).reshape(-1, 4)
            assert iou(swept)[n, level] == pytest.approx(boxes_iou(boxes, truth, own.shape))


def test_of_equals_the_component_that_comes_first() -> None:
    own = np.zeros((3, 7), np.uint8)
    own[0, 5] = own[2, 0] = 200  # two of one pixel, both the highest
    own[1, 2] = 100  # grows into none of them
    swept = sweep_boxes(own, 256, np.array([[5, 0, 6, 1]]))
    assert swept.boxes[0, 200].tolist() == swept.boxes[1, 200].tolist() == [5, 0, 6, 1]
    assert boxes_at(own, 100, "largest").tolist() == [[5, 0, 6, 1]]
    # the lower one gets a pixel further up: now it begins first
    own[:2, 0] = 150
    swept = sweep_boxes(own, 256, np.array([[5, 0, 6, 1]]))
    assert swept.boxes[1, 150].tolist() == swept.boxes[0, 150].tolist() == [0, 0, 1, 3]
    assert boxes_at(own, 150, "most_active").tolist() == [[0, 0, 1, 3]]


def test_diagonal_neighbours_are_connected_in_8_only() -> None:
    own = np.eye(4, dtype=np.uint8) * 255
    assert boxes_at(own, 1, "largest", 8).tolist() == [[0, 0, 4, 4]]
    assert boxes_at(own, 1, "largest", 4).tolist() == [[0, 0, 1, 1]]
    assert len(boxes_at(own, 1, "union", 4)) == 4


def test_several_truth_boxes() -> None:
    region = np.zeros((10, 10), np.bool_)
    region[1:4, 1:3] = region[6:9, 5:9] = True
    assert region_boxes(region).tolist() == [[1, 1, 3, 4], [5, 6, 9, 9]]
    swept = sweep_boxes(region * np.uint8(255), 256, region_boxes(region))
    # one box leaves the other out; all boxes, and the best fit of one to one, are right
    assert iou(swept)[:, 255].tolist() == [12 / 18, 6 / 18, 1, 1]
    assert region_boxes(np.zeros((3, 3), np.bool_)).shape == (0, 4)
    assert region_boxes(np.eye(3, dtype=np.bool_)).tolist() == [[0, 0, 3, 3]]


def test_the_best_match_moves_on_when_its_component_outgrows_the_truth() -> None:
    truth = np.array([[0, 0, 4, 1], [6, 0, 10, 1], [12, 0, 16, 1]])
    own = np.zeros((1, 40), np.uint8)
    own[0, 0], own[0, 6:9], own[0, 12:16], own[0, 16:30] = 250, 240, 230, 220
    best = iou(sweep_boxes(own, 256, truth))[3]
    assert best[[250, 240, 230, 220]].tolist() == [0.25, 0.75, 1, 0.75]


def test_a_map_of_one_value_and_no_truth() -> None:
    swept = sweep_boxes(np.full((2, 3), 7, np.uint8), 256, np.zeros((0, 4), np.int64))
    assert not swept.overlap.any()
    assert swept.boxes[0, 7].tolist() == [0, 0, 3, 2]
    assert swept.boxes[0, 8].tolist() == [0, 0, 0, 0]
    assert swept.either[:3, 7].tolist() == [6, 6, 6]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ranks \(H, W\) in 0\.\.3"):
        sweep_boxes(np.full((2, 2), 4), 4, np.zeros((0, 4), np.int64))
    with pytest.raises(ValueError, match="half-open"):
        sweep_boxes(np.zeros((4, 4), np.uint8), 256, np.array([[0, 0, 5, 2]]))
    with pytest.raises(ValueError, match="half-open"):
        sweep_boxes(np.zeros((4, 4), np.uint8), 256, np.array([[2, 0, 2, 2]]))
    with pytest.raises(ValueError, match="NaN"):
        dense_ranks(np.array([[0.0, np.nan]]))


def test_without_a_cache_folder_it_compiles_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import caching

    from raysearch.thresholds import _sweep_kernel

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])

    def plus(a: int) -> int:
        return a + 1

    assert _sweep_kernel.compiled(plus)(2) == 3


def test_the_compiler_is_loaded_by_a_sweep_only() -> None:
    check = "import sys, raysearch.thresholds; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
