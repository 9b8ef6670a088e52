"""Padded pixels enter no evidence: that of a picture on a larger canvas is that of the picture alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.thresholds import (
    FROM_MAPS,
    Components,
    Counts,
    Maps,
    Outlines,
    Regions,
    at,
    find_metric,
    known_pairs,
    solve,
    sweep_metric,
)

ABOUT = ([0, 1], ["p", "q"], ("a", "b"))
TRUTH = np.array([[1, 0], [1, 1]], np.int8)


def on_canvas(layers: np.ndarray, fill: int, top: int, left: int, side: int) -> np.ndarray:
    out = np.full((*layers.shape[:-2], side, side), fill, layers.dtype)
    out[..., top : top + layers.shape[-2], left : left + layers.shape[-1]] = layers
    return out


@given(seed=st.integers(0, 2**16), one_map=st.booleans(), boxed=st.booleans())
@settings(max_examples=20)
def test_evidence_of_a_padded_picture_is_that_of_the_picture(seed: int, one_map: bool, boxed: bool) -> None:
    rng = np.random.default_rng(seed)
    height, width, side = 9, 15, 15
    maps = rng.integers(0, 256, (2, 1 if one_map else 2, height, width)).astype(np.uint8)
    regions = (rng.random((3, height, width)) < 0.4).astype(np.uint8)
    regions[:, 0, 0] = 1
    boxes = np.array([[1.25, 0.5, 6.0, 4.75], [3.0, 2.0, 12.5, 9.0]])
    owner = np.array([0, 2])
    plain = Outlines(boxes, owner) if boxed else Outlines(np.empty((0, 4)), np.empty(0, np.int64))
    top = int(rng.integers(0, side - height + 1))
    moved = Outlines(plain.boxes + np.array([0, top, 0, top]), plain.region)
    alone = known_pairs(maps, regions, TRUTH, *ABOUT, outlines=plain)
    padded = known_pairs(
        on_canvas(maps, 255, top, 0, side),
        on_canvas(regions, 0, top, 0, side),
        TRUTH,
        *ABOUT,
        areas=np.array([[0, top, width, top + height]] * 2),
        outlines=moved,
    )
    for kind, cls in FROM_MAPS.items():
        if cls is Maps:
            continue
        one, other = cls.from_pairs(alone), cls.from_pairs(padded)
        for name in cls.columns:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=f"{kind}.{name}")
    whole, cut = Maps.from_pairs(alone), Maps.from_pairs(padded)
    for row in range(len(whole)):
        for one, other in zip(whole.cut(row), cut.cut(row), strict=True):
            np.testing.assert_array_equal(one, other)
    for name in ("hausdorff", "ssim"):
        assert at(whole, find_metric(name), 128) == at(cut, find_metric(name), 128)


def test_everything_but_the_padding_is_worth_as_much_as_a_mask_of_ones() -> None:
    """Images of 256 x 172 in 128 x 128, as GlaS has them."""
    rng = np.random.default_rng(0)
    area = np.array([[0, 21, 128, 107]] * 4)
    masks = np.zeros((4, 1, 128, 128), np.uint8)
    masks[:, 0, 21:107] = rng.random((4, 86, 128)) < 0.4
    ones = np.full((4, 1, 128, 128), 255, np.uint8)
    picture = np.zeros_like(ones)
    picture[:, :, 21:107] = 255
    about: tuple[Any, ...] = (np.ones((4, 1), np.int8), np.arange(4), list("abcd"), ("gland",))
    for name in ("f1_plus", "iou", "precision", "f1_minus"):
        values = [
            at(Counts.from_maps(maps, masks, *about, areas=area), find_metric(name), 128) for maps in (ones, picture)
        ]
        assert values[0] == values[1], name
    share = masks[:, 0, 21:107].mean(axis=(1, 2))
    counts = Counts.from_maps(ones, masks, *about, areas=area)
    assert at(counts, find_metric("f1_plus"), 0) == pytest.approx((2 * share / (1 + share)).mean())
    # without areas the padding is background, which is what it is not
    assert at(Counts.from_maps(ones, masks, *about), find_metric("f1_plus"), 0) < 0.9 * at(
        counts, find_metric("f1_plus"), 0
    )


def test_cells_that_show_only_padding_count_nowhere() -> None:
    grid = np.array([[[[0.9, 0.2], [0.4, 0.6], [1.0, 1.0]]]], np.float32)
    cells = np.zeros((1, 1, 3, 2), np.bool_)
    cells[0, 0, 0, 0] = True
    inside = np.array([[[True, True], [True, True], [False, False]]])
    one = np.ones((1, 1), np.int8)
    found = Regions.from_maps(grid, cells, one, one, [0], ["p"], ("a",), inside=inside)
    cut = Regions.from_maps(grid[:, :, :2], cells[:, :, :2], one, one, [0], ["p"], ("a",))
    for name in Regions.columns:
        np.testing.assert_array_equal(getattr(found, name), getattr(cut, name))
    assert found.total[0] == pytest.approx(2.1 / 4)


@pytest.mark.parametrize(
    "areas", [[[0, 0, 4, 5]], [[-1, 0, 4, 4]], [[2, 0, 2, 4]], [[0, 0, 4]], [[0, 0, 4, 4], [0, 0, 4, 4]]]
)
def test_an_area_lies_in_its_image(areas: list[list[int]]) -> None:
    maps = np.zeros((1, 1, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="expected areas"):
        Counts.from_maps(maps, maps, np.ones((1, 1), np.int8), [0], ["p"], ("a",), areas=np.array(areas))


def test_boxes_belong_to_regions() -> None:
    maps = np.zeros((1, 1, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="boxes of the 1 regions"):
        Components.from_maps(
            maps,
            maps,
            np.ones((1, 1), np.int8),
            [0],
            ["p"],
            ("a",),
            outlines=Outlines(np.array([[0.0, 0, 1, 1]]), np.array([1])),
        )


def test_boxes_of_one_region_stay_apart_where_pixels_would_join_them() -> None:
    boxes = np.array([[2.0, 2, 15, 15], [14, 14, 28, 28]])
    mask = np.zeros((1, 1, 32, 32), np.uint8)
    for x1, y1, x2, y2 in boxes.astype(int):
        mask[0, 0, y1:y2, x1:x2] = 1
    first = np.zeros((1, 1, 32, 32), np.uint8)
    first[0, 0, 2:15, 2:15] = 255
    found = Components.from_maps(
        first,
        mask,
        np.ones((1, 1), np.int8),
        [0],
        ["p"],
        ("a",),
        outlines=Outlines(boxes, np.array([0, 0])),
    )
    assert at(found, find_metric("max_box_acc_v2")) == 1
    assert solve(found, sweep_metric("box_iou")).value == pytest.approx(169 / (169 + 196 - 1))
