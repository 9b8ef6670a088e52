"""From saliency maps to masks."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from methods.layers.maps import resized_evenly
from methods.layers.rounding import SLACK, reaches

GRID = 100
"""Thresholds that are tried are the multiples of 1 / `GRID` above 0 and below 1."""
LEVELS = 256


def enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of (M, h, w) to (M, H, W), corners not aligned; equal values stay equal."""
    return resized_evenly(maps[:, None], size)[:, 0]


def reached(maps: Tensor, thresholds: Tensor) -> Tensor:
    """Masks (M, H, W) bool, ``map >= t``, of maps (M, H, W) and their thresholds (M,), as `counts_by_level` counts."""
    return reaches(maps, thresholds[:, None, None])


def counts_by_level(maps: Tensor, masks: Tensor, label: Tensor, classes: int, inside: Tensor | None = None) -> Tensor:
    """Pixels by the number of thresholds that they reach.

    Args:
        maps: (M, H, W) in [0, 1].
        masks: (M, H, W) in {0, 1}, the regions of these pairs.
        label: (M,) their classes.
        inside: (M, H, W) bool, the pixels that count; None for all.

    Returns:
        (2, K, `GRID`) int64: outside and inside the region, by class, of the pixels that reach exactly 0, 1, ...
        `GRID` - 1 thresholds.
    """
    thresholds = torch.arange(1, GRID, dtype=torch.float64) / GRID
    level = torch.bucketize(maps.double(), thresholds * (1 - SLACK), right=True)
    cell = ((masks > 0).long() * classes + label[:, None, None]) * GRID + level
    counted = cell.flatten() if inside is None else cell[inside]
    return torch.bincount(counted, minlength=2 * classes * GRID).view(2, classes, GRID)


def best_thresholds(counts: Tensor) -> Tensor | None:
    """By class the threshold with the highest IoU of its pooled pixels, ``map >= t``, the lowest of equals: (K,) of
    `counts_by_level`. A class without a region gets the threshold with the highest mean over the others; None if no
    class has one."""
    # reached[g]: pixels that reach at least g + 1 thresholds, the mask at t = (g + 1) / GRID
    outside, inside = counts.flip(2).cumsum(2).flip(2)[:, :, 1:].double()
    region = counts[1].sum(1, keepdim=True)
    iou = inside / (outside + region).clamp(min=1)
    known = region[:, 0] > 0
    if not bool(known.any()):
        return None
    best = torch.where(known, iou.argmax(1), iou[known].mean(0).argmax())
    return (best + 1).double() / GRID


def otsu_masks(maps: Tensor, inside: Tensor | None = None) -> Tensor:
    """Masks (M, H, W) bool as the released code makes them of maps (M, H, W) in [0, 1]: of the bytes of each map those
    above its Otsu threshold, holes filled, single pixels dropped; of pictures `inside` (M, H, W) a canvas their own."""
    # a value that rounding has left just below a level is at it
    level = (255 * (1 + SLACK) * maps.double()).to(torch.uint8)
    found = level > otsu_levels(level, inside)[:, None, None]
    above = (found if inside is None else found & inside).numpy()
    return torch.from_numpy(np.stack([_filled(mask) for mask in above])) if len(above) else torch.from_numpy(above)


def otsu_levels(level: Tensor, inside: Tensor | None = None) -> Tensor:
    """(M,) of bytes (M, H, W): the level that divides a map's pixels, those `inside` if given, into two classes, at
    most it and above it, with the highest variance between them; the lowest of equals (Otsu, 1979). 255 for a map of
    one value."""
    count = len(level)
    offset = torch.arange(count)[:, None] * LEVELS
    cells = level.flatten(1).long() + offset
    cells = cells.flatten() if inside is None else cells[inside.flatten(1)]
    histogram = torch.bincount(cells, minlength=count * LEVELS).view(count, LEVELS).double()
    values = torch.arange(LEVELS, dtype=torch.float64)
    below, mass = histogram.cumsum(1), (histogram * values).cumsum(1)
    above, rest = below[:, -1:] - below, mass[:, -1:] - mass
    means = mass / below.clamp(min=1), rest / above.clamp(min=1)
    variance = below * above * (means[0] - means[1]) ** 2
    return torch.where(variance.amax(1) > 0, variance.argmax(1), LEVELS - 1)


def packed(masks: Tensor) -> Tensor:
    """(M, ceil(H W / 8)) uint8 of masks (M, H, W) bool, by `numpy.packbits`."""
    return torch.from_numpy(np.packbits(masks.flatten(1).numpy(), axis=1))


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Outer contours of the 8-connected parts, filled; a contour of one point is none."""
    filled = ndimage.binary_fill_holes(mask)
    parts, _ = ndimage.label(filled, structure=np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(sizes[parts] > 1)
