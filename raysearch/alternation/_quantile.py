"""Proposer ``quantile``: closed form from region sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from raysearch.alternation._reach import Reach
from raysearch.thresholds import Regions

QUANTILE = 0.5
"""The median leaves half of the pairs short of the threshold, and their pull on the weights. A quantile that most
pairs hold already (0.1 of `inside`, 0.9 of `outside`) takes that pull away, the maps give way, and the next quantile is
slacker: tests/alternation/test_drift.py shows it."""


def propose_by_median(bound: str, pairs: Regions, reach: Mapping[str, Reach]) -> dict[str, float]:
    """The median of what the threshold with this `bound` is compared with, over the pairs of which the loss compares
    it, clipped to reach."""
    values = getattr(pairs, bound) if bound in ("inside", "outside") else pairs.total
    return {bound: reach[bound].clip(float(np.quantile(values, QUANTILE)))}
