"""Between feature maps, pixels and a P x P grid of patches: patch (r, c) spans rows [r H / P, (r + 1) H / P), and
columns likewise."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.layers.maps import resized


def to_grid(features: Tensor, patches: int) -> Tensor:
    """(N, F, h, w) to (N, F, P, P): bilinear where the grid is finer, the maximum of a patch where it is coarser."""
    for axis in (-2, -1):
        size = list(features.shape[-2:])
        if size[axis] == patches:
            continue
        finer, size[axis] = size[axis] < patches, patches
        features = resized(features, tuple(size)) if finer else F.adaptive_max_pool2d(features, size)
    return features


def to_pixels(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, K, P, Q) to (N, K, H, W): each pixel has the value of the patch that its centre lies in."""
    rows, columns = (
        ((2 * torch.arange(pixels, device=grid.device) + 1) * cells) // (2 * pixels)
        for pixels, cells in zip(size, grid.shape[-2:], strict=True)
    )
    return grid[..., rows[:, None], columns]


def covered(masks: Tensor, cells: tuple[int, int], rule: Literal["centre", "half"]) -> Tensor:
    """Patches (M, P, Q) bool that masks (M, H, W) in {0, 1} cover, by their centre or by at least half of their area.

    A pixel is a half-open square, and a patch may end inside one.
    """
    height, width = masks.shape[-2:]
    if rule == "centre":
        rows, columns = (
            ((2 * torch.arange(n, device=masks.device) + 1) * pixels) // (2 * n)
            for n, pixels in zip(cells, (height, width), strict=True)
        )
        return masks[:, rows[:, None], columns] > 0
    down, across = (_overlap(n, pixels, masks.device) for n, pixels in zip(cells, (height, width), strict=True))
    # whole numbers: areas are exact in double precision
    return 2 * (down @ masks.double() @ across.T) >= height * width


def _overlap(cells: int, pixels: int, device: torch.device) -> Tensor:
    """(cells, pixels) lengths that they share, in units in which a pixel is `cells` long and a cell `pixels`."""
    cell = torch.arange(cells, device=device)[:, None] * pixels
    pixel = torch.arange(pixels, device=device)[None] * cells
    return (torch.minimum(cell + pixels, pixel + cells) - torch.maximum(cell, pixel)).clamp(min=0).double()
