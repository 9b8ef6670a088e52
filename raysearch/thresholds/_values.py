"""Numbers of another meaning must not be taken for truth (probabilities, 255 for void, class indices, NaN), nor
thresholds for levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_regions(regions: NDArray[Any]) -> None:
    """ValueError if regions, of any shape, have other values than 0 and 1."""
    if regions.dtype == np.bool_ or (regions.dtype == np.uint8 and regions.max(initial=0) <= 1):
        return
    # written so that NaN fails it
    good = (regions == 0) | (regions == 1)
    if not good.all():
        raise ValueError(f"regions must be 0 or 1, found {regions[~good].flat[0]}; binarise them, and leave void out")


def check_levels(levels: Any) -> None:
    """ValueError if levels, one or an array of any shape, are no whole numbers: a threshold would be cut to 0."""
    if not np.issubdtype(np.asarray(levels).dtype, np.integer):
        raise ValueError(f"expected levels, whole numbers, got {levels}: level() makes one of a threshold")


def check_truth(name: str, truth: NDArray[Any]) -> None:
    """ValueError if truth or labels, of any shape, have other values than 1, 0 and -1."""
    good = np.isin(truth, (-1, 0, 1))
    if not good.all():
        raise ValueError(f"{name} must be 1 (present), 0 (absent) or -1 (unknown), found {truth[~good].flat[0]}")
