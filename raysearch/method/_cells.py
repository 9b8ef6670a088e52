"""Cells of a grid that regions cover: of P x Q, cell (r, c) spans rows [r H / P, (r + 1) H / P), columns likewise."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from raysearch.method._batch import RegionBoxes

Rule = Literal["any", "centre", "half"]
"""Which cells a region covers: those of which it covers some area, those whose centre it holds, or those of which it
covers at least half."""

_ROUNDING = 1e-14
"""Share of a cell's side that a box reaches into it for no other reason than that numbers are rounded: 539.6 + 74.8 of
1024 pixels may end a few units in the last place beyond 614.4, which is where the twelfth of 20 cells ends."""


def covered_cells(masks: Tensor, cells: tuple[int, int], rule: Rule, boxes: RegionBoxes | None = None) -> Tensor:
    """(M, P, Q) bool of masks (M, H, W) in {0, 1}, whose pixels are half-open squares; of a region with `boxes` the
    cells that any of these covers, whatever its mask shows."""
    found = _of_masks(masks, cells, rule)
    if boxes is None or not len(boxes.boxes):
        return found
    found[boxes.region] = False
    of_boxes = cells_of_boxes(boxes.boxes, (masks.shape[-2], masks.shape[-1]), cells, rule)
    counts = torch.zeros(found.shape, dtype=torch.int32, device=found.device)
    return found | (counts.index_add_(0, boxes.region, of_boxes.int()) > 0)


def cells_of_boxes(boxes: Tensor, size: tuple[int, int], cells: tuple[int, int], rule: Rule) -> Tensor:
    """(B, P, Q) bool of boxes (B, 4) float64, x1, y1, x2, y2 in pixels of an image of `size` (H, W)."""
    (top, bottom), (left, right) = (
        (cells[axis] * boxes[:, 1 - axis, None], cells[axis] * boxes[:, 3 - axis, None]) for axis in (0, 1)
    )
    # in units in which a pixel is as long as there are cells, so that the edges of cells are whole numbers
    down, across = (
        torch.arange(cells[axis] + 1, dtype=torch.float64, device=boxes.device)[None] * size[axis] for axis in (0, 1)
    )
    if rule == "centre":
        rows, columns = (
            (2 * low <= edges[:, 1:] + edges[:, :-1]) & (edges[:, 1:] + edges[:, :-1] < 2 * high)
            for edges, low, high in ((down, top, bottom), (across, left, right))
        )
        return rows[:, :, None] & columns[:, None, :]
    height, width = (
        (torch.minimum(edges[:, 1:], high) - torch.maximum(edges[:, :-1], low)).clamp(min=0)
        for edges, low, high in ((down, top, bottom), (across, left, right))
    )
    if rule == "any":
        return (height > _ROUNDING * size[0])[:, :, None] & (width > _ROUNDING * size[1])[:, None, :]
    return 2 * height[:, :, None] * width[:, None, :] >= size[0] * size[1]


def _of_masks(masks: Tensor, cells: tuple[int, int], rule: Rule) -> Tensor:
    if rule == "any":
        return F.adaptive_max_pool2d(masks.float(), cells) > 0
    height, width = masks.shape[-2:]
    if rule == "centre":
        rows, columns = (
            ((2 * torch.arange(n, device=masks.device) + 1) * pixels) // (2 * n)
            for n, pixels in zip(cells, (height, width), strict=True)
        )
        return masks[:, rows[:, None], columns] > 0
    down, across = (_shared(n, pixels, masks.device) for n, pixels in zip(cells, (height, width), strict=True))
    # whole numbers: areas are exact in double precision
    return 2 * (down @ masks.double() @ across.T) >= height * width


def _shared(cells: int, pixels: int, device: torch.device) -> Tensor:
    """(cells, pixels) lengths that they share, in units in which a pixel is `cells` long and a cell `pixels`."""
    cell = torch.arange(cells, device=device)[:, None] * pixels
    pixel = torch.arange(pixels, device=device)[None] * cells
    return (torch.minimum(cell + pixels, pixel + cells) - torch.maximum(cell, pixel)).clamp(min=0).double()
