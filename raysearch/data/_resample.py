"""Affine resampling, each image by its own map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def resample(layer: Tensor, matrix: Tensor, mode: str) -> Tensor:
    """(N, C, H, W) images whose pixel p is the value of `layer` at ``matrix @ (p, 1)``; zeros outside.

    Args:
        layer: (N, C, H, W) float32.
        matrix: (N, 2, 3) in pixels, of points (x, y) about the centre of the image; y points down.
        mode: ``bilinear`` or ``nearest``.
    """
    if not len(layer):
        return layer  # no mask in the batch, which affine_grid refuses
    height, width = layer.shape[2:]
    (xx, xy, x), (yx, yy, y) = (row.unbind(1) for row in matrix.unbind(1))
    # affine_grid works in coordinates scaled to [-1, 1] on each axis
    theta = torch.stack(
        [
            torch.stack([xx, xy * height / width, 2 * x / width], 1),
            torch.stack([yx * width / height, yy, 2 * y / height], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, list(layer.shape), align_corners=False)
    return F.grid_sample(layer, grid, mode=mode, padding_mode="zeros", align_corners=False)
