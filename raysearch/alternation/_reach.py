"""How far one proposal, and all proposals of a trial together, may move a loss threshold.

Weights that were trained under slacker thresholds make maps that ask for slacker ones still: paper 000 warns of the end
of that road, thresholds that bound nothing. So evidence of the first round moves a threshold by a factor of `STEP` at
most, that of round n by ``STEP ** (1 / n ** 2)``, so that thresholds come to rest, and all rounds together by `SLACK`
at most towards its slack end, counted from where the trial started. Factors are of odds (v - low) / (high - v) within
the domain [low, high], which makes 0.01 and 0.99 equally far from their ends.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from raysearch.method import LossThreshold

STEP = 2.0
SLACK = 4.0
EDGE = 1e-3
"""Nearest to an end of its domain, as a share of it, that a threshold counts as: odds of an end are no number."""


class Reach(NamedTuple):
    """The values that a proposal may take, both ends included."""

    low: float
    high: float

    def clip(self, value: float) -> float:
        return min(max(value, self.low), self.high)


def reach(spec: LossThreshold, current: float, start: float, rounds: int = 1) -> Reach:
    """Where a proposal may move a threshold that bounds something.

    Args:
        spec: ``inside`` and ``present`` are slack at the low end of the domain, ``outside`` and ``absent`` at the high.
        current: its value now.
        start: its value in the trial's first round.
        rounds: that the trial has behind it, at least 1.
    """
    place, origin = log_odds(spec, current), log_odds(spec, start)
    step = math.log(STEP) / rounds**2
    low, high = place - step, place + step
    if spec.bounds in ("inside", "present"):
        low = max(low, origin - math.log(SLACK))
        high = max(high, low)
    else:
        high = min(high, origin + math.log(SLACK))
        low = min(low, high)
    return Reach(from_log_odds(spec, low), from_log_odds(spec, high))


def log_odds(spec: LossThreshold, value: float) -> float:
    """Of a value within its domain; values nearer to an end than `EDGE` count as that far from it.

    >>> from raysearch.method import LossThreshold
    >>> log_odds(LossThreshold(name="t", low=0.5), 0.75)
    0.0
    """
    share = min(max((value - spec.low) / (spec.high - spec.low), EDGE), 1 - EDGE)
    return math.log(share / (1 - share))


def from_log_odds(spec: LossThreshold, place: float) -> float:
    """The value at these log odds: the inverse of `log_odds`."""
    return spec.low + (spec.high - spec.low) / (1 + math.exp(-place))
