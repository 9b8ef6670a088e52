"""How many bits there are in values that are stored in 16.

Detectors give 10, 12 or 14 bits, and files have room for 8 or 16: read as 16 bits, 12 are nearly black. Values that use
less than a sixteenth of a depth are taken for those of a lower one; where that leaves two that are in use, the user is
asked. The depth is a property of a collection, not of its single images: a dark image stays dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raysearch._cgroup import usable_cpus
from raysearch._text import counted
from raysearch.data._image_file import RAW, ImageFile, UnreadableError, load_wide

DEPTHS = (8, 10, 12, 14, 16)
_UNCERTAIN = (10, 14)
"""Depths of which the values may as well be the dark ones of the next depth."""
_CHUNK = 64


@dataclass(frozen=True)
class Depth:
    """What the values of 16-bit files are read as, but for files that say it themselves.

    Attributes:
        stated: by the user: a file that uses little of it is dark.
    """

    bits: int
    stated: bool


@dataclass(frozen=True)
class FoundDepth:
    """The depth of a collection, and what there is to say of it: a line each, or nothing."""

    depth: Depth
    problem: str = ""
    note: str = ""


def depth_of(highest: int) -> int:
    """The lowest depth that holds a value of 0 to 65535."""
    return next(bits for bits in DEPTHS if highest < 1 << bits)


def to_eight(values: NDArray[np.int64], bits: int) -> NDArray[np.uint8]:
    """Values of so many bits as those of 8, in proportion.

    Eight bits become 12 by a factor of 16 or of 4095/255; divided by the mean of both and rounded, all come back alike.
    """
    doubled = 255 * (1 << (bits - 8)) + (1 << bits) - 1  # 510 times the divisor
    return ((1020 * values + doubled) // (2 * doubled)).astype(np.uint8)


def read_eight(file: ImageFile, depth: Depth | None) -> tuple[NDArray[np.uint8], int]:
    """(H, W) of a file of wide values, black is 0, and the bits that they were read as.

    Args:
        depth: of the collection; None for an image by itself.

    Raises:
        UnreadableError: values that the depth does not hold, that are of a lower one, or of which nothing tells it.
    """
    values = file.values()
    bits = _bits(file, int(values.max()), depth)
    gray = to_eight(values, bits)
    return np.asarray(255 - gray if file.white_is_zero else gray), bits


def check_colours(file: ImageFile, depth: Depth | None) -> None:
    """Refuses colours of 16 bits that are of fewer: of those the low bytes, all that there is, are lost.

    Raises:
        UnreadableError: that, and as `read_eight`.
    """
    if file.high_bytes and (bits := _bits(file, highest_of(file), depth)) < 16:
        raise UnreadableError(f"colours of {bits} bits stored in 16; save it with 8 bits a channel")


def highest_of(file: ImageFile) -> int:
    """The highest value of a file that stores 16 bits; of colours the highest that it may be."""
    if file.wide:
        return int(file.values().max())
    return 256 * int(np.asarray(file.image).max()) + 255


def find_depth(paths: Sequence[Path], stated: int | None) -> FoundDepth:
    """The depth of the 16-bit files of a collection.

    Reads the headers of all files, and the pixels of those of 16 bits until it is plain that all 16 are used.
    """
    if stated is not None:
        return FoundDepth(Depth(stated, stated=True))
    files = highest = 0
    for found in _highest(paths):
        files, highest = files + 1, max(highest, found)
        if depth_of(highest) == DEPTHS[-1]:
            break
    bits = depth_of(highest)
    if not files or bits == DEPTHS[-1]:
        return FoundDepth(Depth(DEPTHS[-1], stated=False))
    said = f"{counted(files, 'image')} of 16-bit pixels: no value is above {highest:,}"
    if bits in _UNCERTAIN:
        return FoundDepth(Depth(DEPTHS[-1], stated=True), problem=f"{said}, {_question(bits, 'bits=')}")
    return FoundDepth(
        Depth(bits, stated=False), note=f"{said}, they are read as {bits} bits (bits=16 if that is what they are)"
    )


def _highest(paths: Sequence[Path]) -> Iterable[int]:
    with ThreadPoolExecutor(min(8, usable_cpus())) as pool:
        for start in range(0, len(paths), _CHUNK):
            yield from (found for found in pool.map(_highest_in, paths[start : start + _CHUNK]) if found is not None)


def _highest_in(path: Path) -> int | None:
    """Of a file whose depth is in question; None of others, and of those that cannot be read."""
    try:
        file = None if path.suffix.lower() in RAW else load_wide(path)
        return None if file is None or file.bits else highest_of(file)
    except UnreadableError:
        return None


def _bits(file: ImageFile, highest: int, depth: Depth | None) -> int:
    if file.bits is not None:
        depth = Depth(file.bits, stated=True)
    bits = depth_of(highest)
    if depth is None:
        if bits in _UNCERTAIN:
            raise UnreadableError(f"16-bit pixels: no value is above {highest:,}, {_question(bits, '--bits ')}")
        return bits
    if highest >= 1 << depth.bits:
        raise UnreadableError(
            f"a value of {highest:,}, expected at most {(1 << depth.bits) - 1:,}, the highest of the {depth.bits} bits"
            " that were stated; state others, or save all images at the same depth"
        )
    if not depth.stated and highest < 1 << (depth.bits - 4):
        raise UnreadableError(
            f"16-bit pixels: no value is above {highest:,}, less than a sixteenth of the {depth.bits} bits of other"
            f" images; save all at the same depth, or set bits={depth.bits} if it is as dark as that"
        )
    return depth.bits


def _question(bits: int, option: str) -> str:
    return f"which is {bits} bits, or {bits + 2} and dark; tell which by {option}{bits} or {option}{bits + 2}"
