"""Dividing groups over parts so that every attribute is spread as the parts' sizes are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def stratify(counts: NDArray[np.int64], fractions: Sequence[float], seed: int) -> NDArray[np.int64]:
    """Iterative stratification of groups (Sechidis, Tsoumakas, Vlahavas, ECML PKDD 2011), deterministic in the seed.

    The attribute that the fewest unplaced groups have is served first. Of these groups the largest comes first, and
    goes to the part that lacks most of the attribute relative to what it should get; so a rare attribute reaches as
    many parts as it has groups before any part gets it twice.

    Args:
        counts: (G, A) not negative, how many images of group g have attribute a. Give images themselves a column.
        fractions: P shares of the parts, positive; they are normalised to sum to 1.
        seed: breaks ties.

    Returns:
        (G,) index of the part of each group.
    """
    groups = len(counts)
    shares = np.asarray(fractions, float)
    shares = shares / shares.sum()
    targets = counts.sum(axis=0)[:, None] * shares
    scale = np.where(targets > 0, targets, 1)
    lacking = targets.copy()
    order = np.random.default_rng([seed, 0x5713]).permutation(groups)
    part = np.full(groups, -1, np.int64)
    has = counts > 0
    remaining = has.sum(axis=0)
    while remaining.any():
        attribute = int(np.argmin(np.where(remaining > 0, remaining, groups + 1)))
        members = order[(part[order] < 0) & has[order, attribute]]
        for group in members[np.argsort(-counts[members, attribute], kind="stable")]:
            # ties of the rarest attribute go by the whole group's attributes, then to the larger part
            wish = lacking[attribute] / scale[attribute]
            whole = (lacking / scale)[has[group]].mean(axis=0)
            best = np.lexsort((-shares, -whole.round(9), -wish.round(9)))[0]
            part[group] = best
            lacking[:, best] -= counts[group]
        remaining -= has[members].sum(axis=0)
    part[part < 0] = int(np.argmax(shares))
    return part
