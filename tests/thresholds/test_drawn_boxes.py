"""Boxes drawn into one mask are told apart; outlines of anything else are one box."""

from __future__ import annotations

import time

import numpy as np
import pytest

from raysearch.thresholds import Components, at, find_metric, region_boxes

Box = tuple[int, int, int, int]


def mask_of(*boxes: Box, side: int = 32) -> np.ndarray:
    mask = np.zeros((side, side), np.bool_)
    for x1, y1, x2, y2 in boxes:
        mask[y1:y2, x1:x2] = True
    return mask


@pytest.mark.parametrize(
    "boxes",
    [
        [(2, 2, 12, 12), (16, 16, 28, 28)],
        [(2, 2, 15, 15), (14, 14, 28, 28)],
        [(2, 2, 14, 14), (14, 14, 28, 28)],
        [(2, 2, 14, 20), (14, 5, 28, 28)],
        [(2, 2, 12, 12), (11, 11, 20, 20), (19, 2, 30, 13)],
        [(2, 2, 12, 20), (12, 6, 28, 14)],  # one alongside the other
        [(0, 0, 32, 32)],
        [(3, 4, 4, 5)],
    ],
)
def test_boxes_come_back(boxes: list[Box]) -> None:
    assert sorted(map(tuple, region_boxes(mask_of(*boxes)).tolist())) == sorted(boxes)


@pytest.mark.parametrize("second", [(16, 16, 28, 28), (14, 14, 28, 28), (15, 15, 28, 28)])
def test_a_map_that_is_one_of_two_drawn_boxes_fits_it(second: Box) -> None:
    mask, first = mask_of((2, 2, 15, 15), second), mask_of((2, 2, 15, 15))
    maps = np.where(first, 230, 25).astype(np.uint8)
    one = np.ones((1, 1), np.int8)
    found = Components.from_maps(maps[None, None], mask[None, None], one, [0], ["p"], ("a",))
    assert at(found, find_metric("max_box_acc_v2")) == 1


@pytest.mark.parametrize("radius", [1.5, 2, 2.5, 3, 3.6, 4.5, 6, 10])
def test_a_disc_is_one_region(radius: float) -> None:
    y, x = np.mgrid[:32, :32] - 15.5
    disc = x * x + y * y <= radius * radius
    (box,) = region_boxes(disc)
    ys, xs = np.nonzero(disc)
    assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@pytest.mark.parametrize(
    "boxes",
    [
        [(4, 8, 14, 9), (10, 9, 20, 10)],  # a stair of two rows
        [(10, 4, 11, 20), (6, 11, 16, 12)],  # a cross of thin lines
        [(4, 4, 20, 10), (6, 6, 24, 12)],  # two that share most of each
        [(4, 4, 10, 20), (4, 14, 20, 20)],  # an L, which two cuts take apart equally well
    ],
)
def test_what_outlines_are_made_of_is_not_taken_apart(boxes: list[Box]) -> None:
    x1, y1, x2, y2 = np.array(boxes).T
    assert region_boxes(mask_of(*boxes)).tolist() == [[x1.min(), y1.min(), x2.max(), y2.max()]]


def test_an_empty_region_has_no_box() -> None:
    assert region_boxes(mask_of()).shape == (0, 4)


def test_many_small_outlines_take_no_time() -> None:
    mask = np.zeros((256, 256), np.bool_)
    y, x = np.mgrid[-3:4, -3:4]
    disc = x * x + y * y <= 10
    for top in range(0, 248, 8):
        for left in range(0, 248, 8):
            mask[top : top + 7, left : left + 7] = disc
    started = time.perf_counter()
    assert len(region_boxes(mask)) == 31 * 31
    assert time.perf_counter() - started < 8  # a third of a second; all choices of rectangles took 20
