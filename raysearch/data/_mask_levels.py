"""Which values of a mask are the region, where its release does not say: black and white, or numbers of regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from raysearch.data._image_file import UnreadableError

_NEAR = 16
"""Lossy compression moves black and white by less than this, of 255."""
_LEVELS = 3
"""Fewer grays than these between black and white are labels."""
_GRAY = 0.25
"""Share of the pixels that soft edges are at most."""
_REACH = 8
"""Pixels within which an edge goes from dark to bright, also where a mask was enlarged fourfold."""
_BESIDE = 0.9
"""Share of the gray pixels that have both so near; thin parts of a region may never be bright."""


def region_of(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The region of values (H, W) from 0 to 255 or to 65535.

    - One value beside 0: the region.
    - Black and white that went through lossy compression (within 16 of 0 and of 255), or with soft edges, gray in
      between and nowhere 3 x 3 pixels of the same gray: what is brighter than 127.
    - Values below 239: numbers of regions; all but 0.

    Raises:
        UnreadableError: anything else, such as 255 beside 0 and 1, which may be where nobody can tell (void), or grays
            with soft edges that are not black and white.
    """
    levels = np.unique(values)
    above = levels[levels > 0]
    if len(above) <= 1:
        return np.asarray(values > 0)
    top = 255 if levels[-1] <= 255 else 65535
    dark, bright = _NEAR * top // 255, top - _NEAR * top // 255
    if levels[-1] < bright:
        if _is_shaded(values, (values > 0) & (values < levels[-1])):
            raise UnreadableError(f"gray edges up to {levels[-1]}; {_expected(levels)}")
        return np.asarray(values > 0)
    between = ((levels > dark) & (levels < bright)).any()
    if between and not _is_soft(values, dark, bright):
        raise UnreadableError(f"labels or black and white, nothing tells; {_expected(levels)}")
    if not between and above[0] <= dark and (levels[levels >= bright] == top).all():
        raise UnreadableError(f"{top} beside low numbers, white or void, nothing tells; {_expected(levels)}")
    return np.asarray(2 * values >= top + 1)


def _is_soft(values: NDArray[np.int64], low: int, high: int) -> bool:
    """Whether the values between these are those of edges: of few pixels, with dark and bright ones beside nearly all
    of them. A map that rises slowly, or a photograph, has no edges like that."""
    between = (values > low) & (values < high)
    if between.mean() > _GRAY or not _is_shaded(values, between):
        return False
    around = 2 * _REACH + 1
    both = (ndimage.minimum_filter(values, around) <= low) & (ndimage.maximum_filter(values, around) >= high)
    return bool(both[between].mean() >= _BESIDE)


def _is_shaded(values: NDArray[np.int64], between: NDArray[np.bool_]) -> bool:
    """Whether some pixels are no labels: of many values, and nowhere 3 x 3 pixels of the same."""
    if len(np.unique(values[between])) < _LEVELS:
        return False
    centre = values[1:-1, 1:-1]
    flat = between[1:-1, 1:-1].copy()
    for y in range(3):
        for x in range(3):
            flat &= values[y : y + centre.shape[0], x : x + centre.shape[1]] == centre
    return not flat.any()


def _expected(levels: NDArray[np.int64]) -> str:
    some = ", ".join(map(str, levels[:6].tolist())) + (", ..." if len(levels) > 6 else "")
    return f"its values are {some}; expected 0 and 255 alone, or numbers of regions below 239"
