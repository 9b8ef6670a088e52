"""Run lengths in COCO's compressed form (cocodataset/cocoapi, common/maskApi.c).

Runs of zeros and ones in turn, zeros first, down the columns and from left to right. Each run is written in groups of
five bits, the lowest first, as characters from ``0`` on; a sixth bit says that another group follows, and the highest
bit of the last group is the sign. From the fourth run on, what is written is the difference to the run two before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FIRST = ord("0")
_MOST_GROUPS = 7  # 35 bits: no run of a picture is longer


def run_lengths(text: str, pixels: int) -> NDArray[np.int64]:
    """The runs (R,) int64 that a text stands for; those at odd positions are of ones.

    Raises:
        ValueError: not of this form, or the runs do not add up to so many pixels.
    """
    codes = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - _FIRST
    if not codes.size or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError("no run lengths in COCO's compressed form")
    starts = np.flatnonzero(np.r_[True, codes[:-1] & 32 == 0])
    groups = np.diff(np.r_[starts, codes.size])
    if groups.max() > _MOST_GROUPS:
        raise ValueError("a run length that no picture has")
    place = np.arange(codes.size) - np.repeat(starts, groups)
    runs = np.add.reduceat((codes & 31) << (5 * place), starts)
    last = codes[starts + groups - 1]
    runs[last & 16 > 0] -= 1 << (5 * groups[last & 16 > 0])
    for first in (1, 2):  # the first run is written whole, and the second and third have none two before
        runs[first::2] = np.cumsum(runs[first::2])
    if runs.min() < 0 or runs.sum() != pixels:
        raise ValueError(f"run lengths that do not add up to the {pixels:,} pixels of their frame")
    return runs


def fill_runs(text: str, height: int, width: int) -> NDArray[np.bool_]:
    """The mask (height, width) bool that a text stands for; raises as `run_lengths` does."""
    runs = run_lengths(text, height * width)
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return inside.reshape(width, height).T
