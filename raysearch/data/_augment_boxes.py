"""Where boxes lie after the random changes of their images."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raysearch.data._augment import _DRAWS, _H_FLIP, _LEFT, _TOP, _V_FLIP, _affine, _offset, quarter_turns, uniforms
from raysearch.method import Augmentation, RegionBoxes


def augment_boxes(
    boxes: RegionBoxes,
    owner: Tensor,
    how: Augmentation,
    size: tuple[int, int],
    *,
    seed: int,
    epoch: int,
    rows: NDArray[np.int64],
    copies: NDArray[np.int64] | None = None,
) -> RegionBoxes | None:
    """Boxes in images (N, C, *size) after `augment` of the same arguments, clipped to the image; those that left it are
    gone. None where boxes do not stay boxes: after rotations by other angles than quarter turns, and after padding,
    which shows a box and its reflection. Then regions are what their masks show.

    Args:
        owner: (M,) int64, the image of each region.
    """
    if how.pad or 0 < how.rotation < 90:
        return None
    draws = torch.from_numpy(uniforms(seed, epoch, rows, _DRAWS, copies)).float()[owner][boxes.region]
    x1, y1, x2, y2 = boxes.boxes.T
    height, width = size
    flips = [(draws[:, column] < 0.5) & wanted for wanted, column in _flips(how)]
    x1, x2 = torch.where(flips[0], width - x2, x1), torch.where(flips[0], width - x1, x2)
    y1, y2 = torch.where(flips[1], height - y2, y1), torch.where(flips[1], height - y1, y2)
    if how.zoom or how.shift:
        matrix = _affine(how, draws, height, width).double()
        side = matrix[:, 0, 0]
        x1, x2 = ((x - width / 2 - matrix[:, 0, 2]) / side + width / 2 for x in (x1, x2))
        y1, y2 = ((y - height / 2 - matrix[:, 1, 2]) / side + height / 2 for y in (y1, y2))
    if how.crop:
        top, left = _offset(draws[:, _TOP], height - how.crop), _offset(draws[:, _LEFT], width - how.crop)
        x1, x2, y1, y2 = x1 - left, x2 - left, y1 - top, y2 - top
        height = width = how.crop
    if how.rotation >= 90:
        x1, y1, x2, y2 = _turned(x1, y1, x2, y2, width, quarter_turns(how.rotation, draws))
    moved = torch.stack([x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)], 1)
    there = (moved[:, 0] < moved[:, 2]) & (moved[:, 1] < moved[:, 3])
    return RegionBoxes(moved[there], boxes.region[there]) if bool(there.any()) else None


def _flips(how: Augmentation) -> tuple[tuple[bool, int], tuple[bool, int]]:
    return (how.horizontal_flip, _H_FLIP), (how.vertical_flip, _V_FLIP)


def _turned(x1: Tensor, y1: Tensor, x2: Tensor, y2: Tensor, side: int, quarters: Tensor) -> tuple[Tensor, ...]:
    """By quarter turns of a square image, as `torch.rot90` of its rows and columns: x, y become y, side - x."""
    for quarter in (1, 2, 3):
        turn = quarters >= quarter
        before = x1, y1, x2, y2
        after = y1, side - x2, y2, side - x1
        x1, y1, x2, y2 = (torch.where(turn, new, old) for new, old in zip(after, before, strict=True))
    return x1, y1, x2, y2
