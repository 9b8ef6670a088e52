"""Random changes of training images, drawn by (seed, epoch, image) alone."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from raysearch.errors import DataError
from raysearch.method import Augmentation

_H_FLIP, _V_FLIP, _ANGLE, _TOP, _LEFT, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE, _DRAWS = range(10)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def uniforms(seed: int, epoch: int, rows: NDArray[np.int64], draws: int) -> NDArray[np.float64]:
    """(N, draws) uniform numbers in [0, 1): draw j of image i depends on (seed, epoch, rows[i], j) alone.

    SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), started at a hash of seed, epoch and row.
    """
    golden = 0x9E3779B97F4A7C15
    state = np.zeros(len(rows), np.uint64)
    for key in (np.full(len(rows), seed), np.full(len(rows), epoch), rows):
        state = _mix((state ^ key.astype(np.uint64)) + np.uint64(golden))
    steps = np.arange(1, draws + 1, dtype=np.uint64) * np.uint64(golden)
    return np.asarray((_mix(state[:, None] + steps) >> np.uint64(11)) * 2.0**-53)


def augment(
    images: Tensor,
    masks: Tensor | None,
    augmentation: Augmentation,
    *,
    seed: int,
    epoch: int,
    rows: NDArray[np.int64],
    owner: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Flip, rotate, crop, turn and jitter each image with its own draws; masks follow the geometry of their image.

    An image gets the same treatment in the same epoch whatever batch, order or worker it comes in.

    Args:
        images: (N, C, H, W) float32 in [0, 1], C is 1 or 3.
        masks: (M, H, W) float32 in {0, 1}, or None.
        rows: (N,) rows in the collection.
        owner: (M,) int64, the image of each mask, in [0, N); beside `masks`.

    Returns:
        Images (N, C, S, S) with S the crop, or (N, C, H, W) without one, and masks of the same size. Rotation is
        bilinear for images and nearest for masks, filled with zeros; turns by 90 degrees are exact.

    Raises:
        DataError: the crop is larger than the images, or they are not square and are to be turned by 90 degrees.
    """
    draws = torch.from_numpy(uniforms(seed, epoch, rows, _DRAWS)).to(images.dtype)
    if masks is not None and owner is not None:
        masks = _geometry(masks[:, None], augmentation, draws[owner], "nearest")[:, 0]
    return _jitter(_geometry(images, augmentation, draws, "bilinear"), augmentation.jitter, draws), masks


def _geometry(layer: Tensor, how: Augmentation, draws: Tensor, mode: str) -> Tensor:
    """(n, C, H, W) by the draws (n, _DRAWS) of the image that each belongs to."""
    for wanted, draw, dim in ((how.horizontal_flip, _H_FLIP, 3), (how.vertical_flip, _V_FLIP, 2)):
        if wanted:
            layer = torch.where((draws[:, draw] < 0.5)[:, None, None, None], layer.flip(dim), layer)
    if 0 < how.rotation < 90:
        layer = _rotate(layer, torch.deg2rad((2 * draws[:, _ANGLE] - 1) * how.rotation), mode)
    if how.crop:
        layer = _crop(layer, how.crop, draws)
    if how.rotation >= 90:
        layer = _turn(layer, how.rotation, draws)
    return layer


def _rotate(layer: Tensor, angles: Tensor, mode: str) -> Tensor:
    if not len(layer):
        return layer  # no mask in the batch, which affine_grid refuses
    height, width = layer.shape[2:]
    c, s = torch.cos(angles), torch.sin(angles)
    # affine_grid works in coordinates scaled to [-1, 1] on each axis; angles are meant in pixels
    theta = torch.stack([torch.stack([c, -s * height / width], 1), torch.stack([s * width / height, c], 1)], 1)
    theta = torch.cat([theta, theta.new_zeros(len(theta), 2, 1)], 2)
    grid = F.affine_grid(theta, list(layer.shape), align_corners=False)
    return F.grid_sample(layer, grid, mode=mode, padding_mode="zeros", align_corners=False)


def _crop(layer: Tensor, side: int, draws: Tensor) -> Tensor:
    channels, height, width = layer.shape[1:]
    if side > min(height, width):
        raise DataError(
            f"a random crop of {side} pixels does not fit into images of {height}x{width}:"
            f" use larger images (size={side} or more) or a crop of at most {min(height, width)}"
        )
    top = (draws[:, _TOP] * (height - side + 1)).long().clamp(max=height - side)
    left = (draws[:, _LEFT] * (width - side + 1)).long().clamp(max=width - side)
    image = torch.arange(len(draws))[:, None, None, None]
    row = (top[:, None] + torch.arange(side))[:, None, :, None]
    column = (left[:, None] + torch.arange(side))[:, None, None, :]
    return layer[image, torch.arange(channels)[:, None, None], row, column]


def _turn(layer: Tensor, rotation: float, draws: Tensor) -> Tensor:
    """Turns by the multiples of 90 degrees within `rotation` to either side, all equally likely."""
    height, width = layer.shape[2:]
    if height != width:
        raise DataError(
            f"images of {height}x{width} cannot be turned by 90 degrees: use square images, a crop,"
            f" or a rotation below 90 (found {rotation:g})"
        )
    turns = torch.tensor([0, 1, 3] if rotation < 180 else [0, 1, 2, 3])
    chosen = turns[(draws[:, _ANGLE] * len(turns)).long().clamp(max=len(turns) - 1)]
    out = layer.clone()
    for quarter in (1, 2, 3):
        out[chosen == quarter] = torch.rot90(layer[chosen == quarter], quarter, (2, 3))
    return out


def _jitter(images: Tensor, strength: tuple[float, float, float, float], draws: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue as torchvision's `adjust_*` functions, in this order.

    torchvision's ColorJitter draws one factor for a whole batch; here each image has its own.
    """
    brightness, contrast, saturation, hue = strength
    if brightness > 0:
        images = (images * _factor(draws[:, _BRIGHTNESS], brightness)).clamp(0, 1)
    if contrast > 0:
        mean = _gray(images).mean((1, 2, 3), keepdim=True)
        images = (mean + (images - mean) * _factor(draws[:, _CONTRAST], contrast)).clamp(0, 1)
    if images.shape[1] == 1:
        return images
    if saturation > 0:
        gray = _gray(images)
        images = (gray + (images - gray) * _factor(draws[:, _SATURATION], saturation)).clamp(0, 1)
    if hue > 0:
        shifts = ((2 * draws[:, _HUE] - 1) * hue).tolist()
        images = torch.stack([TF.adjust_hue(image, shift) for image, shift in zip(images, shifts, strict=True)])
    return images


def _factor(draws: Tensor, strength: float) -> Tensor:
    """(N, 1, 1, 1) factors in [max(0, 1 - strength), 1 + strength]."""
    low = max(0.0, 1 - strength)
    return (low + (1 + strength - low) * draws)[:, None, None, None]


def _gray(images: Tensor) -> Tensor:
    """(N, 1, H, W) luma of colour images (ITU-R BT.601)."""
    if images.shape[1] == 1:
        return images
    return (images * images.new_tensor([0.2989, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
