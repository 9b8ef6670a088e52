"""Pictures from files onto a square canvas, by one transform for images and regions: see `Fit`."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raysearch.data._depth import Depth, check_colours, read_eight
from raysearch.data._fit import Fit, FitMode
from raysearch.data._image_file import RAW, ImageFile, UnreadableError, guarded, load, load_raw


class Picture(NamedTuple):
    """An image on its canvas.

    Attributes:
        pixels: (channels, size, size) uint8.
        fit: where it landed; its `source` is that of the upright picture.
        turned: whether it is stored in another orientation (EXIF), which was undone.
        bits: that 16-bit values were read as; None for pixels that are stored with 8.
    """

    pixels: NDArray[np.uint8]
    fit: Fit
    turned: bool
    bits: int | None


def read_image(path: Path, size: int, channels: int, mode: FitMode = "pad", depth: Depth | None = None) -> Picture:
    """A picture, gray (ITU-R 601 luma of colour) or RGB, antialiased bilinear, upright.

    16-bit pixels map 0 to the highest value of their depth linearly to 0..255; palettes are looked up, transparency is
    dropped. Files without a header are known by their names, see `RAW`.

    Args:
        depth: of 16-bit files that do not tell it themselves; None to judge it by this file alone.

    Raises:
        UnreadableError: corrupt, truncated, empty or oversized file, floating-point pixels, colours that nothing
            converts, a depth that cannot be told, or a picture that is in the transparency alone.
    """
    file = _loaded(path)
    with guarded():
        image, bits = _eight_bits(file, channels, depth)
        fit = Fit(image.size, size, mode)
        canvas = np.zeros((channels, size, size), np.uint8)
        pixels = np.asarray(fit.resized(image, Image.Resampling.BILINEAR))
        canvas[(slice(None), *fit.window)] = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    return Picture(canvas, fit, file.turned, bits)


def read_upright(path: Path, depth: Depth | None = None) -> NDArray[np.uint8]:
    """(height, width, 3) uint8, the picture of `read_image` in RGB and at its own size; raises as that."""
    file = _loaded(path)
    with guarded():
        image, _ = _eight_bits(file, 3, depth)
        return np.asarray(image)


def _loaded(path: Path) -> ImageFile:
    raw = RAW.get(path.suffix.lower())
    return load_raw(path, raw) if raw else load(path)


def _eight_bits(file: ImageFile, channels: int, depth: Depth | None) -> tuple[Image.Image, int | None]:
    """The image as gray or RGB, and the bits of 16-bit values."""
    if file.image.mode == "F":
        raise UnreadableError("floating-point pixels; save it with 8 or 16 bits")
    if file.wide:
        values, bits = read_eight(file, depth)
        return Image.fromarray(values).convert("L" if channels == 1 else "RGB"), bits
    check_colours(file, depth)
    image = file.converted("L" if channels == 1 else "RGB")
    if file.image.has_transparency_data and _is_flat(image) and not _is_flat(file.converted("RGBA").getchannel("A")):
        raise UnreadableError("one colour, and the picture in the alpha channel; save it without transparency")
    return image, 16 if file.high_bytes else None


def _is_flat(image: Image.Image) -> bool:
    extrema = image.getextrema()
    return all(low == high for low, high in (extrema if isinstance(extrema[0], tuple) else (extrema,)))
