"""Pictures from files onto a square canvas, by one transform for images and regions: see `Fit`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 80_000_000
"""Larger pictures are refused: a few bytes of PNG can ask for any amount of memory."""


class UnreadableError(Exception):
    """What is wrong with one file, without its name."""


@dataclass(frozen=True)
class RawPixels:
    """Layout of gray images without a header: rows from the top, values from 0 to `highest`.

    Attributes:
        release: what has images of this layout, for messages.
        dtype: of numpy, with the byte order.
        inverted: whether 0 is white.
    """

    release: str
    width: int
    height: int
    dtype: str
    highest: int
    inverted: bool


RAW = {".img": RawPixels(release="JSRT", width=2048, height=2048, dtype=">u2", highest=4095, inverted=True)}
"""Layouts of files without a header by the ending of their names: JSRT's (Shiraishi et al., AJR 2000)."""


FitMode = Literal["pad", "crop", "stretch"]
"""How a picture that is not square becomes one. ``pad``: the long side becomes `size` pixels, the aspect ratio is kept,
the picture is centred and the rest of the canvas is zero. ``crop``: the short side becomes `size` pixels, what the long
one has beyond the middle is left out. ``stretch``: both sides become `size` pixels."""

FIT_MODES: tuple[FitMode, ...] = get_args(FitMode)


@dataclass(frozen=True)
class Fit:
    """Where a picture of (width, height) pixels lands on a size x size canvas."""

    source: tuple[int, int]
    size: int
    mode: FitMode = "pad"

    @property
    def cut(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom), half-open: what of the picture is used, in its own pixels."""
        width, height = self.source
        if self.mode != "crop":
            return 0, 0, width, height
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side

    @property
    def placed(self) -> tuple[int, int]:
        """(width, height) on the canvas of what is used, at least one pixel each."""
        if self.mode != "pad":
            return self.size, self.size
        longest = max(self.source)
        return max(1, round(self.source[0] * self.size / longest)), max(1, round(self.source[1] * self.size / longest))

    @property
    def offset(self) -> tuple[int, int]:
        """(left, top) of it on the canvas."""
        width, height = self.placed
        return (self.size - width) // 2, (self.size - height) // 2

    @property
    def area(self) -> tuple[int, int, int, int]:
        """(x1, y1, x2, y2), half-open: the picture's own pixels on the canvas."""
        (width, height), (left, top) = self.placed, self.offset
        return left, top, left + width, top + height

    @property
    def window(self) -> tuple[slice, slice]:
        """`area` as (rows, columns)."""
        x1, y1, x2, y2 = self.area
        return slice(y1, y2), slice(x1, x2)

    def resized(self, image: Image.Image, resample: Image.Resampling) -> Image.Image:
        """A picture of the source's size as it stands in the window."""
        whole = (0, 0, *self.source)
        return (
            image if (self.cut, self.placed) == (whole, image.size) else image.resize(self.placed, resample, self.cut)
        )

    def to_canvas(self, points: NDArray[np.float64], frame: tuple[int, int]) -> NDArray[np.float64]:
        """(P, 2) x, y in pixels of a copy of the picture of size `frame`, (width, height), as pixels of the canvas."""
        left, top, right, bottom = self.cut
        scale = np.divide(self.placed, (right - left, bottom - top))
        # one factor and one shift: of frames of 1024 pixels on canvases of 64, 128 or 512 both are exact
        return points * (np.divide(self.source, frame) * scale) + (self.offset - np.array([left, top]) * scale)

    def to_source(self, values: NDArray[Any]) -> NDArray[Any]:
        """(size, size) bool or uint8 of the canvas as (height, width) of the picture, each pixel the nearest one's; 0
        in what a crop leaves out."""
        left, top, right, bottom = self.cut
        part = Image.fromarray(values[self.window].astype(np.uint8))
        out = np.zeros((self.source[1], self.source[0]), values.dtype)
        out[top:bottom, left:right] = np.asarray(part.resize((right - left, bottom - top), Image.Resampling.NEAREST))
        return out


def load(path: Path) -> Image.Image:
    """A file of any known format, decoded.

    Raises:
        UnreadableError: absent, empty, of no known format, corrupt, truncated or oversized.
    """
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


def _load_raw(path: Path, raw: RawPixels) -> Image.Image:
    """A file without a header, its values linearly mapped to 0..255.

    Raises:
        UnreadableError: not as many bytes as the layout has, or a value above its highest.
    """
    expected = raw.width * raw.height * np.dtype(raw.dtype).itemsize
    try:
        found = path.stat().st_size
        if found != expected:
            raise UnreadableError(
                f"{found:,} bytes, expected {expected:,} for {raw.release}'s {raw.width}x{raw.height} pixels"
            )
        values = np.fromfile(path, raw.dtype).reshape(raw.height, raw.width).astype(np.int64)
    except OSError as error:
        raise UnreadableError(error.strerror or "cannot be read") from None
    if values.max() > raw.highest:
        raise UnreadableError(f"a value of {values.max()}, expected at most {raw.highest}")
    gray = (255 * values + raw.highest // 2) // raw.highest
    return Image.fromarray((255 - gray if raw.inverted else gray).astype(np.uint8))


def read_image(path: Path, size: int, channels: int, mode: FitMode = "pad") -> tuple[NDArray[np.uint8], Fit]:
    """A picture as (channels, size, size) uint8: gray (ITU-R 601 luma of colour) or RGB, antialiased bilinear.

    16-bit pixels map 0..65535 linearly to 0..255; palettes are looked up, transparency is dropped. Files without a
    header are known by their names, see `RAW`.

    Raises:
        UnreadableError: corrupt, truncated, empty or oversized file, or floating-point pixels.
    """
    raw = RAW.get(path.suffix.lower())
    image = _load_raw(path, raw) if raw else load(path)
    if image.mode == "F":
        raise UnreadableError("floating-point pixels; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise UnreadableError("32-bit pixels; save it with 8 or 16 bits")
        image = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    image = image.convert("L" if channels == 1 else "RGB")
    fit = Fit(image.size, size, mode)
    canvas = np.zeros((channels, size, size), np.uint8)
    pixels = np.asarray(fit.resized(image, Image.Resampling.BILINEAR))
    canvas[(slice(None), *fit.window)] = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
    return canvas, fit
