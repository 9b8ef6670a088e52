"""Which images an epoch of the segmentation has: expert masks with probability p, else pseudo-labels (section 4.1)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray


def mixed(
    expert: NDArray[np.int64],
    weak: NDArray[np.int64],
    p: float,
    sampling: Literal["bernoulli", "released"],
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """As many rows as both sets have together: place i has a number of a random order, and takes the image that has it,
    modulo the size, in the set that is drawn for it. Of an empty set no place takes anything.

    ``bernoulli`` takes the expert's with probability exactly p; ``released`` if a whole number from 1 to 10, times 0.1,
    is at most p, so that 0.85 is 0.8 and, by rounding, 0.6 is 0.5.
    """
    count = len(expert) + len(weak)
    order = generator.permutation(count)
    if not len(expert) or not len(weak):
        rows = expert if len(expert) else weak
        return rows[order]
    exact = sampling == "bernoulli"
    experts = generator.random(count) < p if exact else generator.integers(1, 11, count) * 0.1 <= p
    return np.where(experts, expert[order % len(expert)], weak[order % len(weak)])
