"""Files of any known format, decoded and upright; all that can go wrong with one is one exception."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

MAX_PIXELS = 80_000_000
"""Larger pictures are refused: a few bytes of PNG can ask for any amount of memory."""

_PHOTOMETRIC, _BITS, _FORMAT = 262, 258, 339
_SUBFILE = 254
_WITH_PREVIEWS = ("MPO", "ICNS", "ICO")
_SIGNED = 2
"""Of TIFF's SampleFormat."""
_HIGHEST = (281, 341)
"""Tags of TIFF: MaxSampleValue and SMaxSampleValue."""
_UPRIGHT = range(2, 9)
"""EXIF orientations that turn or mirror; 1 is upright, and anything else says nothing."""


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


@dataclass(frozen=True)
class ImageFile:
    """A file, decoded.

    Attributes:
        image: upright, as viewers show it.
        format: Pillow's name of it.
        turned: whether the file is stored in another orientation (EXIF).
        white_is_zero: whether 0 is the brightest value (TIFF). Pillow has inverted the values of 8 bits and fewer.
        high_bytes: whether the pixels are colours of 16 bits, of which Pillow keeps the high bytes alone.
        bits: how many bits the values have, where the file says so and these are fewer than it stores.
    """

    image: Image.Image
    format: str
    turned: bool = False
    white_is_zero: bool = False
    high_bytes: bool = False
    bits: int | None = None

    @property
    def wide(self) -> bool:
        """Whether these are gray values of more than 8 bits."""
        return self.image.mode.startswith("I")

    def values(self) -> NDArray[np.int64]:
        """(H, W) of a `wide` file, as they are stored.

        Raises:
            UnreadableError: values that 16 bits do not hold.
        """
        found = np.asarray(self.image).astype(np.int64)
        if found.min() < 0 or found.max() > 65535:
            raise UnreadableError("32-bit pixels; save it with 8 or 16 bits")
        return found

    def converted(self, mode: Literal["L", "RGB", "RGBA"]) -> Image.Image:
        """The image in another mode.

        Raises:
            UnreadableError: nothing converts its colours.
        """
        image = self.image
        try:
            if mode != "RGBA" and image.mode == "P" and image.has_transparency_data:
                image = image.convert("RGBA")  # Pillow warns of it otherwise
            return image.convert(mode)
        except ValueError:
            to = "gray" if mode == "L" else "RGB"
            raise UnreadableError(
                f"{self.image.mode} pixels, which cannot be converted to {to}; save it in gray or RGB"
            ) from None


@contextmanager
def guarded() -> Iterator[None]:
    """Whatever opening, decoding or converting one file raises becomes an `UnreadableError`."""
    try:
        yield
    except UnreadableError:
        raise
    except FileNotFoundError:
        raise UnreadableError("absent") from None
    except UnidentifiedImageError:
        raise UnreadableError("not an image of any known format") from None
    except Image.DecompressionBombError:
        raise UnreadableError(f"oversized: at most {MAX_PIXELS:,} pixels are read") from None
    except OSError as error:
        if error.strerror:  # of the system; what decoders raise of damaged bytes has none
            raise UnreadableError(f"not readable: {error.strerror}") from None
        raise UnreadableError(f"corrupt or truncated ({_one_line(error)})") from None
    except Exception as error:  # decoders answer damaged bytes with a dozen exception types, SyntaxError among them
        raise UnreadableError(f"corrupt or truncated ({_one_line(error)})") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def load(path: Path) -> ImageFile:
    """A file of any known format, decoded and upright.

    Raises:
        UnreadableError: absent, empty, of no known format, corrupt, truncated, oversized, or with several pictures.
    """
    with guarded(), _opened(path) as image:
        return _loaded(image)


def load_wide(path: Path) -> ImageFile | None:
    """As `load`, but None without decoding anything for a file whose values have 8 bits or fewer."""
    with guarded(), _opened(path) as image:
        return _loaded(image) if image.mode.startswith("I") or _high_bytes(image) else None


def load_raw(path: Path, raw: RawPixels) -> ImageFile:
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
    return ImageFile(Image.fromarray((255 - gray if raw.inverted else gray).astype(np.uint8)), raw.release)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    if path.stat().st_size == 0:
        raise UnreadableError("zero bytes")
    # by its name Pillow would map an uncompressed file, and garble a TIFF of which the orientation swaps the sides
    with open(path, "rb") as stream, Image.open(stream) as image:
        if image.width * image.height > MAX_PIXELS:
            raise UnreadableError(f"oversized: {image.width}x{image.height}, at most {MAX_PIXELS:,} pixels are read")
        _refuse_several(image)
        yield image


def _refuse_several(image: Image.Image) -> None:
    """Which of several pictures is meant, nothing tells. Previews of the first one (TIFF's reduced images, and what
    cameras put behind a JPEG) are no others."""
    count = int(getattr(image, "n_frames", 1))
    if count < 2 or image.format in _WITH_PREVIEWS:
        return
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        count = 1 + sum(not _is_reduced(image, page) for page in range(1, count))
        image.seek(0)
    if count > 1:
        raise UnreadableError(f"{count} pictures in one file; expected one: save the one that is meant by itself")


def _is_reduced(image: TiffImagePlugin.TiffImageFile, page: int) -> bool:
    image.seek(page)
    return bool(int(image.tag_v2.get(_SUBFILE, 0)) & 1)


def _loaded(image: Image.Image) -> ImageFile:
    high_bytes = _high_bytes(image)  # and the orientation: known until the pixels are there
    turned = _orientation(image) in _UPRIGHT
    white_is_zero, bits = _said(image)
    image.load()
    # TIFF files are turned by Pillow as they are loaded
    upright = ImageOps.exif_transpose(image) if turned and _orientation(image) in _UPRIGHT else image
    return ImageFile(upright, image.format or "", turned, white_is_zero, high_bytes, bits)


def _orientation(image: Image.Image) -> int:
    """As EXIF says; 1 if it says nothing or cannot be understood, which viewers take for upright too."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged block of EXIF is answered with as many types as damaged pixels
        return 1


def _high_bytes(image: Image.Image) -> bool:
    tiles = getattr(image, "tile", None)  # of images that come from files
    stored = tiles[0].args if tiles else None
    layout = stored[0] if isinstance(stored, tuple) and stored else stored
    return isinstance(layout, str) and ";16" in layout and not image.mode.startswith("I")


def _said(image: Image.Image) -> tuple[bool, int | None]:
    """`ImageFile.white_is_zero` and `bits`. PNG's sBIT is not asked: its values are scaled to all bits (PNG, 13.12)."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False, None
    tags = image.tag_v2
    bits = [int(tags.get(_BITS, (1,))[0])]
    if bits == [16] and tags.get(_FORMAT, (1,))[0] == _SIGNED:
        raise UnreadableError("16-bit pixels with a sign, expected none: save it with 8 or 16 bits")
    # any other highest value may be that of this picture alone
    highest = [int(np.ravel(tags[tag])[0]) for tag in _HIGHEST if tag in tags]
    bits += [value.bit_length() for value in highest if value & (value + 1) == 0]
    return tags.get(_PHOTOMETRIC) == 0, next((n for n in bits if 8 <= n < 16), None)
