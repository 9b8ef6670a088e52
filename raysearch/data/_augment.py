"""Random changes of training images, drawn by (seed, epoch, image) alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from raysearch.data._randaugment import DRAWS as DRAWS_OF_AN_OPERATION
from raysearch.data._randaugment import rand_augment
from raysearch.data._resample import resample
from raysearch.errors import DataError
from raysearch.method import Augmentation

_H_FLIP, _V_FLIP, _ANGLE, _TOP, _LEFT, _BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(9)
_ZOOM, _SHIFT_X, _SHIFT_Y, _PAD_TOP, _PAD_LEFT, _DRAWS = range(9, 15)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def uniforms(
    seed: int, epoch: int, rows: NDArray[np.int64], draws: int, copies: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """(N, draws) uniform numbers in [0, 1): draw j of image i depends on (seed, epoch, rows[i], copies[i], j) alone.

    SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), started at a hash of seed, epoch and row, and of the copy where
    that is not 0.

    Args:
        copies: (N,) int64, not negative: tells apart the draws for one image in one epoch; None for zeros.
    """
    golden = 0x9E3779B97F4A7C15
    state = np.zeros(len(rows), np.uint64)
    for key in (np.full(len(rows), seed), np.full(len(rows), epoch), rows):
        state = _mix((state ^ key.astype(np.uint64)) + np.uint64(golden))
    if copies is not None:
        state = np.where(copies == 0, state, _mix((state ^ copies.astype(np.uint64)) + np.uint64(golden)))
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
    copies: NDArray[np.int64] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Flip, rotate, magnify, shift, pad, crop, turn, jitter and RandAugment, in this order, each image with its own
    draws; masks follow the geometry of their image.

    An image gets the same treatment in the same epoch whatever batch, order or worker it comes in.

    Args:
        images: (N, C, H, W) float32 in [0, 1], C is 1 or 3; N may be 0.
        masks: (M, H, W) float32 in {0, 1}, or None.
        rows: (N,) rows in the collection.
        owner: (M,) int64, the image of each mask, in [0, N); beside `masks`.
        copies: (N,) int64, not negative; an image that comes more than once gets other draws for each number; None
            for zeros.

    Returns:
        Images (N, C, S, S) with S the crop, or (N, C, H, W) without one, and masks of the same size. Rotation,
        magnification and shift are one resampling, bilinear for images and nearest for masks, filled with zeros; turns
        by 90 degrees, padding and crops are exact.

    Raises:
        DataError: the crop is larger than the images, or the padding as large; they are not square and are to be
            turned by 90 degrees; operations that masks cannot follow, or of no magnitude.
    """
    check_augmentation(augmentation, images.shape[2], images.shape[3], masks=masks is not None)
    numbers = uniforms(seed, epoch, rows, _DRAWS + DRAWS_OF_AN_OPERATION * augmentation.operations, copies)
    draws = torch.from_numpy(numbers).to(images.dtype)
    if masks is not None and owner is not None:
        masks = _geometry(masks[:, None], augmentation, draws[owner], "nearest")[:, 0]
    images = _jitter(_geometry(images, augmentation, draws, "bilinear"), augmentation.jitter, draws)
    if augmentation.operations:
        images = rand_augment(images, draws[:, _DRAWS:], augmentation.operations, augmentation.magnitude)
    return images, masks


def augment_inside(
    inside: Tensor | None,
    augmentation: Augmentation,
    *,
    seed: int,
    epoch: int,
    rows: NDArray[np.int64],
    copies: NDArray[np.int64] | None = None,
) -> Tensor | None:
    """Where the pixels of pictures, (N, H, W) bool, lie after `augment` of the same arguments; None stays None.

    What a rotation fills with zeros counts as the picture's, as it does where a picture fills its image. RandAugment's
    operations are not followed.
    """
    if inside is None:
        return None
    draws = torch.from_numpy(uniforms(seed, epoch, rows, _DRAWS, copies)).float()
    return _geometry((~inside).float()[:, None], augmentation, draws, "nearest")[:, 0] < 0.5


def check_augmentation(how: Augmentation, height: int, width: int, *, masks: bool) -> None:
    """Refuses what cannot be done to images of (height, width) pixels, with `masks` that follow them or without.

    Raises:
        DataError: as `augment` does.
    """
    if how.pad >= min(height, width):
        raise DataError(
            f"images of {height}x{width} cannot be padded by the reflection of {how.pad} pixels:"
            f" use larger images (size={how.pad + 1} or more) or a pad of at most {min(height, width) - 1}"
        )
    if how.crop > min(height, width):
        raise DataError(
            f"a random crop of {how.crop} pixels does not fit into images of {height}x{width}:"
            f" use larger images (size={how.crop} or more) or a crop of at most {min(height, width)}"
        )
    if how.rotation >= 90 and not how.crop and height != width:
        raise DataError(
            f"images of {height}x{width} cannot be turned by 90 degrees: use square images, a crop,"
            f" or a rotation below 90 (found {how.rotation:g})"
        )
    if not how.operations:
        return
    if masks:
        raise DataError(
            f"{how.operations} operations of RandAugment on images with masks, which cannot follow them:"
            " use operations=0 here, or keep them for the strong view"
        )
    if not 2 <= how.magnitude <= 11:
        raise DataError(f"a RandAugment magnitude of {how.magnitude}: expected a whole number from 2 to 11")


def _geometry(layer: Tensor, how: Augmentation, draws: Tensor, mode: str) -> Tensor:
    """(n, C, H, W) by the draws (n, >= _DRAWS) of the image that each belongs to."""
    for wanted, draw, dim in ((how.horizontal_flip, _H_FLIP, 3), (how.vertical_flip, _V_FLIP, 2)):
        if wanted:
            layer = torch.where((draws[:, draw] < 0.5)[:, None, None, None], layer.flip(dim), layer)
    if 0 < how.rotation < 90 or how.zoom or how.shift:
        layer = resample(layer, _affine(how, draws, *layer.shape[2:]), mode)
    if how.pad:
        layer = _pad(layer, how.pad, draws)
    if how.crop:
        layer = _crop(layer, how.crop, draws)
    if how.rotation >= 90:
        layer = _turn(layer, how.rotation, draws)
    return layer


def _affine(how: Augmentation, draws: Tensor, height: int, width: int) -> Tensor:
    """(n, 2, 3) from a pixel of the result to the place that it is taken from, for `resample`: turned and magnified
    about the centre, then shifted."""
    angles = torch.deg2rad((2 * draws[:, _ANGLE] - 1) * (how.rotation if how.rotation < 90 else 0))
    side = 1 - how.zoom * draws[:, _ZOOM]
    c, s = side * torch.cos(angles), side * torch.sin(angles)
    x = -(2 * draws[:, _SHIFT_X] - 1) * how.shift * width
    y = -(2 * draws[:, _SHIFT_Y] - 1) * how.shift * height
    return torch.stack([torch.stack([c, -s, c * x - s * y], 1), torch.stack([s, c, s * x + c * y], 1)], 1)


def _pad(layer: Tensor, margin: int, draws: Tensor) -> Tensor:
    """A window of the old size, anywhere in the image with its reflection `margin` pixels wide around it."""
    height, width = layer.shape[2:]
    row = _offset(draws[:, _PAD_TOP], 2 * margin)[:, None] + torch.arange(height) - margin
    column = _offset(draws[:, _PAD_LEFT], 2 * margin)[:, None] + torch.arange(width) - margin
    return _window(layer, _reflected(row, height), _reflected(column, width))


def _reflected(place: Tensor, side: int) -> Tensor:
    """Places outside [0, side) reflected at the centres of the first and the last pixel."""
    place = place.abs()
    return torch.where(place < side, place, 2 * (side - 1) - place)


def _crop(layer: Tensor, side: int, draws: Tensor) -> Tensor:
    height, width = layer.shape[2:]
    top, left = _offset(draws[:, _TOP], height - side), _offset(draws[:, _LEFT], width - side)
    return _window(layer, top[:, None] + torch.arange(side), left[:, None] + torch.arange(side))


def _offset(draws: Tensor, largest: int) -> Tensor:
    """(n,) int64 in [0, largest]."""
    return (draws * (largest + 1)).long().clamp(max=largest)


def _window(layer: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """(n, C, R, S): of each image its rows (n, R) and columns (n, S)."""
    place = (row[:, :, None] * layer.shape[3] + column[:, None, :]).flatten(1)
    pixels = layer.flatten(2).gather(2, place[:, None].expand(-1, layer.shape[1], -1))
    return pixels.view(*layer.shape[:2], row.shape[1], column.shape[1])


def _turn(layer: Tensor, rotation: float, draws: Tensor) -> Tensor:
    """Turns by the multiples of 90 degrees within `rotation` to either side, all equally likely."""
    chosen = quarter_turns(rotation, draws)
    out = layer.clone()
    for quarter in (1, 2, 3):
        out[chosen == quarter] = torch.rot90(layer[chosen == quarter], quarter, (2, 3))
    return out


def quarter_turns(rotation: float, draws: Tensor) -> Tensor:
    """(n,) int64, how many quarter turns each image makes."""
    turns = torch.tensor([0, 1, 3] if rotation < 180 else [0, 1, 2, 3])
    return turns[(draws[:, _ANGLE] * len(turns)).long().clamp(max=len(turns) - 1)]


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
    if hue > 0 and len(images):
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
