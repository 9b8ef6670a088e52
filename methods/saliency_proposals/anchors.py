"""Boxes: the squares that proposals start from, and how they are refined (section 4.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

Spans = tuple[tuple[Tensor, Tensor], ...]
"""By level, ends (R, 2) along the vertical and (G, 2) along the horizontal axis."""

SMALLEST = 1e-3
"""Anchors with a side of fewer pixels inside the image are left out."""

LARGEST_STEP = math.log(1000 / 16)
"""Bound of the logarithm of a box's growth, as in torchvision's detectors."""


@dataclass(frozen=True, kw_only=True)
class Anchors:
    """Squares of `levels` sizes, each twice the one before, cut off at the border of the image.

    Their centres are the multiples of ``stride`` times their side, from 0 on and not beyond the image. At 512 x 512
    pixels, with the paper's 64, 128 and 256 pixels and half a side between them, they are 17^2 + 9^2 + 5^2 = 395, and
    as many at any other square size.

    Attributes:
        side: of the smallest, as a share of the image's shorter side.
        levels: how many sizes.
        stride: between two centres, as a share of the square's side.
    """

    side: float
    levels: int
    stride: float

    def spans(self, size: tuple[int, int], device: torch.device | None = None) -> Spans:
        """By level, tops and bottoms (R, 2) and left and right ends (G, 2) in pixels of an image of (H, W) `size`; the
        level's squares are all pairs of them. Made once a size and device: not to be written to, nor are `boxes`."""
        return _spans(self, size, device)

    def boxes(self, size: tuple[int, int], device: torch.device | None = None) -> Tensor:
        """(A, 4) squares (x1, y1, x2, y2) in pixels, level by level, row by row."""
        return _boxes(self, size, device)


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) cut off at the border of an image of (H, W) `size`."""
    bounds = boxes.new_tensor([size[1], size[0], size[1], size[0]])
    return torch.minimum(boxes.clamp(min=0), bounds)


def decode(squares: Tensor, deltas: Tensor, size: tuple[int, int]) -> Tensor:
    """Refines anchors (A, 4) by deltas (..., A, 4), (dx, dy, dw, dh), and cuts them off at the border: the centre moves
    by dx and dy of width and height, which grow by e^dw and e^dh (Ren et al., NIPS 2015)."""
    extent = squares[:, 2:] - squares[:, :2]
    centre = squares[:, :2] + extent / 2
    centre = centre + deltas[..., :2] * extent
    half = extent * deltas[..., 2:].clamp(max=LARGEST_STEP).exp() / 2
    return clip(torch.cat((centre - half, centre + half), -1), size)


@cache
def _spans(anchors: Anchors, size: tuple[int, int], device: torch.device | None) -> Spans:
    sides = [anchors.side * 2**level * min(size) for level in range(anchors.levels)]
    with torch.inference_mode(False):  # else autograd could not keep what a prediction has made
        both = [[_along(pixels, side, anchors.stride).to(device) for pixels in size] for side in sides]
    return tuple((rows, columns) for rows, columns in both)


@cache
def _boxes(anchors: Anchors, size: tuple[int, int], device: torch.device | None) -> Tensor:
    found = []
    with torch.inference_mode(False):
        for rows, columns in _spans(anchors, size, device):
            count = (len(rows), len(columns), 2)
            y, x = rows[:, None].expand(count), columns[None].expand(count)
            found.append(torch.stack((x[..., 0], y[..., 0], x[..., 1], y[..., 1]), -1).flatten(0, 1))
        return torch.cat(found)


def _along(pixels: int, side: float, stride: float) -> Tensor:
    """(G, 2) along an axis of `pixels`."""
    step = side * stride
    # a grid that ends at the border must not lose its last point to rounding
    centres = torch.arange(math.floor(pixels / step + 1e-6) + 1) * step
    ends = torch.stack((centres - side / 2, centres + side / 2), 1).clamp(0, pixels)
    return ends[ends[:, 1] - ends[:, 0] >= SMALLEST]
