"""Boxes and padding follow the random changes of their images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raysearch.data._augment import augment, augment_inside
from raysearch.data._augment_boxes import augment_boxes
from raysearch.method import Augmentation, RegionBoxes

SIDE = 16
EXACT = [
    Augmentation(),
    Augmentation(horizontal_flip=True, vertical_flip=True),
    Augmentation(rotation=90),
    Augmentation(rotation=180, horizontal_flip=True),
    Augmentation(crop=9),
    Augmentation(vertical_flip=True, crop=11, rotation=180),
]


def drawn(boxes: torch.Tensor, side: int) -> torch.Tensor:
    """(B, side, side) pixels of boxes whose corners are whole numbers."""
    at = torch.arange(side)
    x1, y1, x2, y2 = boxes.T[:, :, None]
    return ((y1 <= at) & (at < y2))[:, :, None] & ((x1 <= at) & (at < x2))[:, None]


@pytest.mark.parametrize("how", EXACT)
@given(data=st.data())
def test_a_box_lies_where_the_pixels_of_its_mask_lie(how: Augmentation, data: st.DataObject) -> None:
    spans = st.lists(st.integers(0, SIDE), min_size=2, max_size=2, unique=True).map(sorted)
    count = data.draw(st.integers(1, 5))
    corners = [(data.draw(spans), data.draw(spans)) for _ in range(count)]
    boxes = torch.tensor([[x[0], y[0], x[1], y[1]] for x, y in corners], dtype=torch.float64)
    key = {"seed": data.draw(st.integers(0, 99)), "epoch": 1, "rows": np.arange(count)}
    owner = torch.arange(count)
    _, masks = augment(torch.zeros(count, 1, SIDE, SIDE), drawn(boxes, SIDE).float(), how, owner=owner, **key)
    found = augment_boxes(RegionBoxes(boxes, owner.clone()), owner, how, (SIDE, SIDE), **key)
    assert masks is not None
    there = masks.flatten(1).any(1)
    if found is None:
        assert not there.any()
        return
    assert found.region.tolist() == torch.nonzero(there)[:, 0].tolist()
    assert torch.equal(drawn(found.boxes, masks.shape[-1]), masks[there] > 0)


def test_boxes_are_magnified_and_shifted_with_their_image() -> None:
    boxes = torch.tensor([[4.0, 5.0, 9.0, 12.0]] * 6, dtype=torch.float64)
    rows = np.arange(6)
    owner = torch.arange(6)
    how = Augmentation(zoom=0.4, shift=0.1)
    _, masks = augment(
        torch.zeros(6, 1, SIDE, SIDE), drawn(boxes, SIDE).float(), how, owner=owner, seed=3, epoch=0, rows=rows
    )
    found = augment_boxes(RegionBoxes(boxes, owner), owner, how, (SIDE, SIDE), seed=3, epoch=0, rows=rows)
    assert masks is not None
    assert found is not None
    for mask, (x1, y1, x2, y2) in zip(masks, found.boxes.tolist(), strict=True):
        # nearest pixels: those whose centre is in the box
        at = torch.arange(SIDE) + 0.5
        expected = ((y1 <= at) & (at < y2))[:, None] & ((x1 <= at) & (at < x2))[None]
        assert torch.equal(mask > 0, expected)


@pytest.mark.parametrize("how", [Augmentation(rotation=30), Augmentation(pad=2)])
def test_what_turns_or_reflects_a_box_leaves_it_to_its_mask(how: Augmentation) -> None:
    boxes = RegionBoxes(torch.tensor([[1.0, 1.0, 5.0, 5.0]], dtype=torch.float64), torch.tensor([0]))
    assert augment_boxes(boxes, torch.tensor([0]), how, (SIDE, SIDE), seed=0, epoch=0, rows=np.array([0])) is None


@pytest.mark.parametrize("how", [*EXACT, Augmentation(rotation=20, zoom=0.3, shift=0.1), Augmentation(pad=3)])
def test_padding_moves_with_the_image(how: Augmentation) -> None:
    count, rows = 8, np.arange(8)
    inside = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    inside[:, 3:13] = True
    images, padding = augment(
        torch.zeros(count, 1, SIDE, SIDE), (~inside).float(), how, owner=torch.arange(count), seed=5, epoch=2, rows=rows
    )
    found = augment_inside(inside, how, seed=5, epoch=2, rows=rows)
    assert found is not None
    assert padding is not None
    assert found.shape == (count, *images.shape[2:])
    assert torch.equal(found, padding == 0)


def test_without_padding_there_is_nothing_to_follow() -> None:
    assert augment_inside(None, Augmentation(rotation=90), seed=0, epoch=0, rows=np.arange(2)) is None
