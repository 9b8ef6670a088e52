"""Fewer images than a release has, drawn patient by patient."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def draw(patients: NDArray[np.str_], rows: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """`count` of the rows, sorted; all of them if they are fewer.

    The order in which patients are taken depends on the seed and their names alone, so that a smaller draw is part of a
    larger one, and images that are added to the release later move no others.
    """
    names = patients[rows].tolist()
    place = {name: hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in set(names)}
    order = sorted(range(len(rows)), key=lambda at: (place[names[at]], rows[at]))
    return np.sort(rows[order[:count]])
