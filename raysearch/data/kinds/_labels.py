"""Labels of images that hold exactly one of the classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN


def one_of(index: NDArray[np.int64], classes: int) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Labels and region truth (N, classes) of images that hold the class `index` (N,) and no other.

    The region of the own class is UNKNOWN until a mask says more, that of the others ABSENT.
    """
    own = np.arange(classes) == np.asarray(index)[:, None]
    return np.where(own, PRESENT, ABSENT).astype(np.int8), np.where(own, UNKNOWN, ABSENT).astype(np.int8)


def normal_or_not(normal: NDArray[np.bool_]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """As `one_of`, of the classes normal and something else. What is normal has no region: its truth is UNKNOWN."""
    labels, truth = one_of((~normal).astype(np.int64), 2)
    truth[:, 0] = UNKNOWN
    return labels, truth
