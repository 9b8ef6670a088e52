"""RandAugment (Cubuk et al., NeurIPS 2020) with the operations of FixMatch (Sohn et al., NeurIPS 2020), in batches.

The operations are Pillow's on 8-bit levels: brightness, contrast and sharpness fade towards black, the mean gray and
the smoothed image; rotation, shear and translation take the nearest pixel and fill with zeros. FixMatch's `color` has
no meaning in gray images and is left out, and so is its cut-out.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from raysearch.data._resample import resample

DRAWS = 4
"""Uniform numbers that an operation needs: which, whether, how much, to which side."""
SCALE = 10
"""Steps of the scale of magnitudes."""

_WHICH, _WHETHER, _MAGNITUDE, _SIDE = range(DRAWS)


def rand_augment(images: Tensor, draws: Tensor, operations: int, magnitude: int) -> Tensor:
    """Draws operations for each image, with replacement; each is done with probability a half.

    Args:
        images: (N, C, H, W) float32 in [0, 1], C is 1 or 3.
        draws: (N, operations * DRAWS) uniform numbers.
        magnitude: magnitudes are drawn from the whole numbers 1 to `magnitude` - 1, all equally likely.

    Returns:
        (N, C, H, W) float32 in [0, 1]: on 8-bit levels where an operation was done, else as they were.
    """
    levels, drawn = images * 255, draws.view(len(draws), operations, DRAWS)
    which = _whole(drawn[..., _WHICH], len(OPERATIONS))
    magnitudes = 1 + _whole(drawn[..., _MAGNITUDE], magnitude - 1)
    side = torch.where(drawn[..., _SIDE] < 0.5, -1, 1)
    done = drawn[..., _WHETHER] < 0.5
    for turn in range(operations):
        for number, operation in enumerate(OPERATIONS.values()):
            (chosen,) = (done[:, turn] & (which[:, turn] == number)).nonzero(as_tuple=True)
            if len(chosen):
                levels[chosen] = operation(levels[chosen].round(), magnitudes[chosen, turn], side[chosen, turn])
    return torch.where(done.any(1)[:, None, None, None], levels / 255, images)


def _whole(draws: Tensor, count: int) -> Tensor:
    """Whole numbers in [0, count), all equally likely."""
    return (draws * count).long().clamp(max=count - 1)


def _identity(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    del magnitude, side
    return levels


def _autocontrast(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    del magnitude, side
    flat = levels.flatten(2).double()
    low, high = flat.amin(2, keepdim=True), flat.amax(2, keepdim=True)
    scale = flat.new_tensor(255) / (high - low).clamp(min=1)  # a bare 255 would be divided by way of a reciprocal
    stretched = (flat * scale - low * scale).trunc().clamp(0, 255)
    return torch.where(high > low, stretched, flat).view(levels.shape).to(levels.dtype)


def _equalize(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    del magnitude, side
    flat = levels.flatten(0, 1).flatten(1).long()
    histogram = torch.zeros(len(flat), 256, dtype=torch.int64).scatter_add_(1, flat, torch.ones_like(flat))
    brightest = histogram.gather(1, flat.amax(1, keepdim=True))
    step = (flat.shape[1] - brightest) // 255
    below = histogram.cumsum(1) - histogram
    table = ((step // 2 + below) // step.clamp(min=1)).clamp(max=255)
    equalized = torch.where(step > 0, table.gather(1, flat), flat)
    return equalized.view(levels.shape).to(levels.dtype)


def _posterize(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    del side
    bits = 4 + magnitude * 4 // SCALE
    step = (2.0 ** (8 - bits))[:, None, None, None]
    return (levels / step).floor() * step


def _solarize(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    del side
    threshold = 256 - magnitude * 256 // SCALE
    return torch.where(levels < threshold[:, None, None, None], levels, 255 - levels)


def _brightness(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    del side
    return _faded(levels, torch.zeros_like(levels), magnitude)


def _contrast(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    del side
    gray = levels
    if levels.shape[1] == 3:  # Pillow's whole-number luma
        weights = levels.new_tensor([19595, 38470, 7471])[:, None, None]
        gray = ((levels * weights).double().sum(1, keepdim=True) / 65536 + 0.5).floor()
    mean = (gray.double().mean((1, 2, 3), keepdim=True) + 0.5).floor()
    return _faded(levels, mean.to(levels.dtype).expand_as(levels), magnitude)


def _sharpness(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    """Towards the image smoothed by the weights 1 1 1, 1 5 1, 1 1 1 over 13; its border is left as it is."""
    del side
    weights = levels.new_tensor([[1, 1, 1], [1, 5, 1], [1, 1, 1]]).expand(levels.shape[1], 1, 3, 3)
    smoothed = levels.clone()
    if min(levels.shape[2:]) >= 3:
        smoothed[..., 1:-1, 1:-1] = (F.conv2d(levels, weights, groups=levels.shape[1]) / 13).round()
    return _faded(levels, smoothed, magnitude)


def _faded(levels: Tensor, towards: Tensor, magnitude: Tensor) -> Tensor:
    """A share 0.05 + 0.9 m / 10 of the image, the rest `towards`."""
    share = (magnitude.double() * 0.9 / SCALE + 0.05).to(levels.dtype)[:, None, None, None]
    return (towards + share * (levels - towards)).floor()


def _rotate(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    angle = torch.deg2rad((side * (magnitude * 30 // SCALE)).double())
    c, s = torch.cos(angle), torch.sin(angle)
    return _moved(levels, xx=c, xy=-s, yx=s, yy=c)


def _shear_x(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    share = _share(magnitude, side)  # of the row, counted from the top
    return _moved(levels, xy=share, x=share * levels.shape[2] / 2)


def _shear_y(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    share = _share(magnitude, side)
    return _moved(levels, yx=share, y=share * levels.shape[3] / 2)


def _translate_x(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    return _moved(levels, x=(_share(magnitude, side) * levels.shape[3]).trunc())


def _translate_y(levels: Tensor, magnitude: Tensor, side: Tensor) -> Tensor:
    return _moved(levels, y=(_share(magnitude, side) * levels.shape[2]).trunc())


def _share(magnitude: Tensor, side: Tensor) -> Tensor:
    return side * (magnitude.double() * 0.3 / SCALE)


def _moved(levels: Tensor, **entries: Tensor) -> Tensor:
    """`resample` by the identity but for some entries (n,) of its matrix: xx, xy, x, yx, yy, y."""
    matrix = torch.eye(2, 3, dtype=levels.dtype).repeat(len(levels), 1, 1)
    for name, values in entries.items():
        matrix[:, "xy".index(name[0]), "xy".index(name[1]) if name[1:] else 2] = values.to(levels.dtype)
    return resample(levels, matrix, "nearest")


OPERATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "autocontrast": _autocontrast,
    "brightness": _brightness,
    "contrast": _contrast,
    "equalize": _equalize,
    "identity": _identity,
    "posterize": _posterize,
    "rotate": _rotate,
    "sharpness": _sharpness,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "solarize": _solarize,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
}
"""By name: (n, C, H, W) whole levels in [0, 255], magnitudes (n,) in 1 to 10 and sides (n,) in {-1, 1} to levels."""
