"""From feature-grid maps to localization maps at image resolution, and from one grid to another."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.layers.inside import own_extrema
from methods.layers.rounding import constant
from methods.layers.workers import all_reduce


def resized(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bilinear resize of (N, M, h, w) to (N, M, *size), corners not aligned."""
    return _interpolated(maps, size, align_corners=False)


def resized_aligned(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bilinear resize of (N, M, h, w) to (N, M, *size), corners aligned, as the authors of min-max entropy and of
    MultiMix do."""
    return _interpolated(maps, size, align_corners=True)


def resized_evenly(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """As `resized`, in double precision, so that equal values stay equal."""
    if maps.shape[-2:] == size:
        return maps
    return resized(maps.double(), size).to(maps.dtype)


def min_max(maps: Tensor, *, fill: float, inside: Tensor | None = None) -> Tensor:
    """Scales each image of (N, M, H, W) to [0, 1] by its own extrema; an image with one value only, but for rounding,
    becomes `fill`. Of a picture `inside` (N, H, W) a canvas only its own pixels count; beyond, values end at 0 and 1.
    """
    return _scale(maps, *own_extrema(maps, inside), fill)


def min_max_batch(maps: Tensor, *, fill: float, inside: Tensor | None = None) -> Tensor:
    """Scales (N, M, H, W) to [0, 1] by the extrema of the batch, over all workers; otherwise as `min_max`.

    The reading of the released code of min-max entropy: an image's map depends on the others of its batch.
    """
    lows, highs = own_extrema(maps, inside)
    low, high = all_reduce(torch.stack((-lows.amin(), highs.amax())), "max").unbind()
    return _scale(maps, -low, high, fill)


def predicted_class_map(maps: Tensor, scores: Tensor) -> Tensor:
    """Of class maps (N, K, h, w) the one of the highest of `scores` (N, K), as (N, 1, h, w)."""
    return maps[torch.arange(len(maps), device=maps.device), scores.argmax(1)].unsqueeze(1)


def _interpolated(maps: Tensor, size: tuple[int, ...], *, align_corners: bool) -> Tensor:
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=align_corners)


def _scale(maps: Tensor, low: Tensor, high: Tensor, fill: float) -> Tensor:
    span = high - low
    # a map of one value is no longer one after interpolation: what that leaves must not be stretched
    flat = constant(low, high)
    # rounding may leave a quotient just outside
    scaled = ((maps - low) / span.masked_fill(flat, 1.0)).clamp(0.0, 1.0)
    return torch.where(flat, torch.full_like(maps, fill), scaled)
