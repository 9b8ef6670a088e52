"""The one rule by which a localization map becomes a mask: ``quantise(map) >= level``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raysearch.thresholds._values import check_levels

BINS = 256
"""Values of a quantised map: 0..255."""

LEVELS = BINS + 1
"""Distinct masks that a quantised map has: level 0 takes every pixel, level 256 none."""


def quantise(maps: ArrayLike) -> NDArray[np.uint8]:
    """Rounds maps in [0, 1], of any shape, half up to 256 values: ``floor(255 v + 0.5)``.

    Raises:
        ValueError: a value is NaN or outside [0, 1].
    """
    values = np.asarray(maps)
    values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
    # written so that NaN fails it
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"maps must lie in [0, 1] without NaN, found {values.min()} to {values.max()}; scale them before quantising"
        )
    # the cast truncates, which is floor for positive values
    quantised: NDArray[np.uint8] = (values * 255 + 0.5).astype(np.uint8)
    return quantised


_ROUNDING = 1e-4
"""Levels by which a threshold may lie above its own: 0.2 in single precision, or a sum, is level 51 as 0.2 is."""


def level(threshold: float) -> int:
    """The level, 0..256, of a threshold in [0, 256/255]: the smallest quantised value that it takes as foreground.

    A map value equal to the threshold is foreground where the threshold is ``threshold(n)`` or 0.5 (level 128).

    >>> level(0.5), level(0.0), level(1.0)
    (128, 0, 255)
    """
    if not 0 <= threshold <= BINS / 255:
        raise ValueError(f"a threshold must lie in [0, 1] (or {BINS / 255:.4f}, which takes no pixel), got {threshold}")
    return max(0, math.ceil(threshold * 255 - _ROUNDING))


def threshold(level: int) -> float:
    """The threshold of a level 0..256; ``level(threshold(n)) == n`` for all of them."""
    if not 0 <= level <= BINS:
        raise ValueError(f"a level must lie in 0..{BINS}, got {level}")
    return level / 255


def binarise(quantised: NDArray[np.uint8], level: int | NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Masks of quantised maps: ``quantised >= level``, the level broadcast against the maps, same shape as both.

    Raises:
        ValueError: maps that are not uint8, or a level that is no whole number: maps and thresholds in [0, 1].
    """
    if quantised.dtype != np.uint8:
        raise ValueError(f"expected maps of uint8, as quantise() makes them, got {quantised.dtype}")
    check_levels(level)
    return np.greater_equal(quantised, np.asarray(level, np.int16))
