"""Between feature maps, pixels and a P x P grid of patches: patch (r, c) spans rows [r H / P, (r + 1) H / P), and
columns likewise."""

from __future__ import annotations

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
