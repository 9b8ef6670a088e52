"""The order in which images are spent from a budget of labels or regions."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from raysearch.errors import DataError


def ranked(rows: NDArray[np.int64], has: NDArray[np.bool_], patients: NDArray[np.str_], seed: int) -> NDArray[np.int64]:
    """`rows` with any attribute, in the order in which they are taken, so that a smaller budget is part of every larger
    one.

    Images are taken one by one: the attribute that the fewest so far have (of equal ones the rarest) gets the next, so
    that as many images as there are attributes reach each; a patient's second image comes after the first ones of all
    others.

    Args:
        rows: (n,) rows of a collection, sorted.
        has: (N, A) attributes by row of the collection.
        patients: (N,) their patients.
        seed: breaks ties.
    """
    order = shuffled(rows, seed)
    candidates = order[has[order].any(axis=1)]
    seen: dict[str, int] = {}
    turn = []  # of each image among those of its patient
    for patient in patients[candidates].tolist():
        turn.append(seen.get(patient, 0))
        seen[patient] = turn[-1] + 1
    candidates = candidates[np.argsort(turn, kind="stable")]
    total = has[candidates].sum(axis=0)
    rarest = sorted(np.flatnonzero(total).tolist(), key=lambda label: (total[label], label))
    waiting = {label: deque(row for row in candidates.tolist() if has[row, label]) for label in rarest}
    given = dict.fromkeys(rarest, 0)
    taken: dict[int, None] = {}
    while len(taken) < len(candidates):
        label = min((label for label in rarest if given[label] < total[label]), key=given.__getitem__)
        row = waiting[label].popleft()
        if row in taken:
            continue
        taken[row] = None
        for other in np.flatnonzero(has[row]).tolist():
            given[other] += 1
    return np.fromiter(taken, np.int64, len(taken))


def shuffled(rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """`rows` in the order that settles ties."""
    return rows[np.random.default_rng([seed, 0xA440]).permutation(len(rows))]


def budget(option: str, amount: float, images: int) -> int:
    """Images that an option allows: up to 1 a share of so many, to the nearest whole one, above 1 a number of images.

    Raises:
        DataError: negative, or neither a share nor a whole number.
    """
    if 0 <= amount <= 1:
        return math.floor(amount * images + 0.5)
    if 1 < amount < math.inf and amount == math.floor(amount):
        return int(amount)
    raise DataError(
        f"{option} {amount:g}: expected a share of the training images from 0 to 1, or a whole number of them above 1"
    )


def smallest_share(images: int) -> float:
    """The smallest share of two digits that is an image."""
    scale = 10.0 ** (math.ceil(math.log10(2 * images)) + 1)
    return math.ceil(scale / (2 * images)) / scale
