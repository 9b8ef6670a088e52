"""Crops of an image that let a gradient reach their box."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def bilinear_crop(images: Tensor, boxes: Tensor, side: int) -> Tensor:
    """(N, K, C, S, S) of images (N, C, H, W) at boxes (N, K, 4), (x1, y1, x2, y2) in pixels: the image, bilinear, at
    the centres of S x S equal parts of a box. Nearer to the border than half a pixel it is the border's."""
    across, down = _centres(boxes[..., 0::2], side), _centres(boxes[..., 1::2], side)
    height, width = images.shape[-2:]
    x, y = 2 * across / width - 1, 2 * down / height - 1
    count, boxes_each = x.shape[:2]
    grid = torch.stack((x[:, :, None].expand(-1, -1, side, -1), y[..., None].expand(-1, -1, -1, side)), -1)
    # all boxes of an image below each other, so that the image is not copied for each
    crops = F.grid_sample(images, grid.flatten(1, 2), mode="bilinear", padding_mode="border", align_corners=False)
    return crops.view(count, -1, boxes_each, side, side).transpose(1, 2)


def gaussian_crop(images: Tensor, boxes: Tensor, side: int) -> Tensor:
    """As `bilinear_crop`, but at each of the same points the mean of the image under a Gaussian of one pixel's
    deviation: the glimpse of the released code, whose points lie a step further up and left."""
    height, width = images.shape[-2:]
    rows, columns = _weights(boxes[..., 1::2], side, height), _weights(boxes[..., 0::2], side, width)
    return torch.einsum("nksh,nchw,nktw->nkcst", rows, images, columns)


def _centres(ends: Tensor, side: int) -> Tensor:
    """(N, K, S) of the two ends (N, K, 2) of an interval."""
    parts = (torch.arange(side, device=ends.device, dtype=ends.dtype) + 0.5) / side
    return ends[..., :1] + (ends[..., 1:] - ends[..., :1]) * parts


def _weights(ends: Tensor, side: int, pixels: int) -> Tensor:
    """(N, K, S, pixels), each row adding up to 1."""
    centres = torch.arange(pixels, device=ends.device, dtype=ends.dtype) + 0.5
    return (-((centres - _centres(ends, side)[..., None]) ** 2) / 2).softmax(-1)
