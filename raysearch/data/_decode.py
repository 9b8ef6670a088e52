"""Pictures and regions from files onto a square canvas.

One transform for images, masks and boxes: the long side becomes `size` pixels, the aspect ratio is kept, the picture is
centred and the rest of the canvas is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from raysearch.data._manifest import Boxes, FileManifest, MaskFiles, Region

MAX_PIXELS = 80_000_000
"""Larger pictures are refused: a few bytes of PNG can ask for any amount of memory."""


_ROUNDING = 1e-6
"""A float32 mean of ones and zeros that is exactly a half may come out a hair below it."""


class UnreadableError(Exception):
    """What is wrong with one file, without its name."""


@dataclass(frozen=True)
class Fit:
    """Where a picture of (width, height) pixels lands on a size x size canvas."""

    source: tuple[int, int]
    size: int

    @property
    def placed(self) -> tuple[int, int]:
        """(width, height) on the canvas, at least one pixel each."""
        longest = max(self.source)
        return max(1, round(self.source[0] * self.size / longest)), max(1, round(self.source[1] * self.size / longest))

    @property
    def offset(self) -> tuple[int, int]:
        """(left, top) of the picture on the canvas."""
        width, height = self.placed
        return (self.size - width) // 2, (self.size - height) // 2

    @property
    def window(self) -> tuple[slice, slice]:
        """(rows, columns) of the picture on the canvas."""
        (width, height), (left, top) = self.placed, self.offset
        return slice(top, top + height), slice(left, left + width)


def _load(path: Path) -> Image.Image:
    try:
        if path.stat().st_size == 0:
            raise UnreadableError("zero bytes")
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UnreadableError(
                    f"oversized: {image.width}x{image.height}, at most {MAX_PIXELS:,} pixels are read"
                )
            image.load()
            return image
    except UnreadableError:
        raise
    except FileNotFoundError:
        raise UnreadableError("absent") from None
    except UnidentifiedImageError:
        raise UnreadableError("not an image of any known format") from None
    except Image.DecompressionBombError:
        raise UnreadableError(f"oversized: at most {MAX_PIXELS:,} pixels are read") from None
    except Exception as error:  # decoders answer damaged bytes with a dozen exception types, SyntaxError among them
        raise UnreadableError(
            f"corrupt or truncated ({' '.join(str(error).split()) or type(error).__name__})"
        ) from None


def read_image(path: Path, size: int, channels: int) -> tuple[NDArray[np.uint8], Fit]:
    """A picture as (channels, size, size) uint8: gray (ITU-R 601 luma of colour) or RGB, antialiased bilinear.

    16-bit pixels map 0..65535 linearly to 0..255; palettes are looked up, transparency is dropped.

    Raises:
        UnreadableError: corrupt, truncated, empty or oversized file, or floating-point pixels.
    """
    image = _load(path)
    if image.mode == "F":
        raise UnreadableError("floating-point pixels; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise UnreadableError("32-bit pixels; save it with 8 or 16 bits")
        image = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    image = image.convert("L" if channels == 1 else "RGB")
    fit = Fit(image.size, size)
    if image.size != fit.placed:
        image = image.resize(fit.placed, Image.Resampling.BILINEAR)
    canvas = np.zeros((channels, size, size), np.uint8)
    pixels = np.asarray(image)
    canvas[(slice(None), *fit.window)] = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    return canvas, fit


def _foreground(path: Path) -> NDArray[np.bool_]:
    image = _load(path)
    if image.format == "JPEG":
        raise UnreadableError("a mask as JPEG data, whose values are not exact; expected PNG or BMP data")
    values = np.asarray(image)  # of a palette image these are the indices, which is what masks mean
    if image.mode in ("RGBA", "LA", "PA"):
        values = values[..., :-1]
    return np.asarray(values > 0 if values.ndim == 2 else (values > 0).any(axis=2))


def read_mask(paths: Sequence[Path], fit: Fit) -> NDArray[np.uint8]:
    """Union of mask files as (size, size) uint8 in {0, 1}: pixels at least half covered.

    Where no pixel is half covered (a line thinner than half a pixel), those at least half as covered as the most
    covered one, so that a region never vanishes.

    Raises:
        UnreadableError: as for images, or a mask whose aspect ratio differs from the image's by more than a pixel; the
            message begins with the mask's name.
    """
    width, height = fit.source
    union = np.zeros((height, width), bool)
    for path in paths:
        try:
            mask = _foreground(path)
            if abs(mask.shape[1] * height / width - mask.shape[0]) > 1:
                raise UnreadableError(
                    f"{mask.shape[1]}x{mask.shape[0]} does not fit the image of {width}x{height}; "
                    "expected the same size or an exact rescale"
                )
        except UnreadableError as error:
            raise UnreadableError(f"mask {path.parent.name}/{path.name}: {error}") from None
        if mask.shape != union.shape:
            resized = Image.fromarray(mask.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
            mask = np.asarray(resized) > 0
        union |= mask
    if not union.any():
        return np.zeros((fit.size, fit.size), np.uint8)
    area = np.asarray(Image.fromarray(union.astype(np.float32)).resize(fit.placed, Image.Resampling.BOX))
    half = 0.5 if area.max() >= 0.5 - _ROUNDING else area.max() / 2
    return _on_canvas(area >= half - _ROUNDING, fit)


def draw_boxes(region: Boxes, fit: Fit) -> NDArray[np.uint8]:
    """Union of boxes as (size, size) uint8 in {0, 1}: pixels whose centre is inside a half-open box, at least the one
    that holds the box's centre. Boxes are clipped to the picture."""
    scale = np.divide(fit.placed, region.frame)
    mask = np.zeros((fit.placed[1], fit.placed[0]), bool)
    for x, y, width, height in region.boxes:
        columns = _covered(x * scale[0], (x + width) * scale[0], fit.placed[0])
        rows = _covered(y * scale[1], (y + height) * scale[1], fit.placed[1])
        mask[rows, columns] = True
    return _on_canvas(mask, fit)


def _covered(start: float, stop: float, length: int) -> slice:
    first, last = int(np.ceil(start - 0.5)), int(np.ceil(stop - 0.5))
    if last <= first:
        first = int(np.floor((start + stop) / 2))
        last = first + 1
    return slice(min(max(first, 0), length - 1), max(min(last, length), 1))


def _on_canvas(mask: NDArray[np.bool_], fit: Fit) -> NDArray[np.uint8]:
    canvas = np.zeros((fit.size, fit.size), np.uint8)
    canvas[fit.window] = mask
    return canvas


@dataclass(frozen=True)
class Decoded:
    """One row of a manifest, read.

    Attributes:
        pixels: (C, size, size) uint8; None if the image cannot be read.
        masks: class index -> (size, size) uint8; all zero if the region is empty.
        source: (width, height) of the file; (0, 0) if it cannot be read.
        shares: class index -> foreground share of the picture, without the padding, in [0, 1].
        problems: one line each, with the file's name.
    """

    pixels: NDArray[np.uint8] | None
    masks: dict[int, NDArray[np.uint8]]
    source: tuple[int, int]
    shares: dict[int, float]
    problems: tuple[str, ...]


def decode(manifest: FileManifest, row: int, size: int) -> Decoded:
    """Reads the image and the regions of one row; what cannot be read is told in `problems`."""
    try:
        pixels, fit = read_image(manifest.paths[row], size, manifest.channels)
    except UnreadableError as error:
        return Decoded(None, {}, (0, 0), {}, (f"{manifest.ids[row]}: {error}",))
    masks: dict[int, NDArray[np.uint8]] = {}
    shares: dict[int, float] = {}
    problems = []
    for label, region in manifest.regions.get(row, {}).items():
        try:
            masks[label] = _read_region(region, fit)
            shares[label] = float(masks[label][fit.window].mean())
        except UnreadableError as error:
            problems.append(f"{manifest.ids[row]}: {error}")
    return Decoded(pixels, masks, fit.source, shares, tuple(problems))


def _read_region(region: Region, fit: Fit) -> NDArray[np.uint8]:
    return read_mask(region.paths, fit) if isinstance(region, MaskFiles) else draw_boxes(region, fit)
