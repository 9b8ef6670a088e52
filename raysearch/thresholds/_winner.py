"""The value of a winner: of many candidates that were scored on the same patients the best one looks better than it is.

Alike candidates differ by chance, and the best of them is the luckiest. What that adds to its value is found by
repeating the choice: candidates of settled true values get new errors of the size and the correlation that patients
show, the best one is chosen again, and what it gained is known. That is an optimism bootstrap (Efron 1983), and it errs
where it takes the measured values for true ones, which are spread too widely by their own errors. Here they are drawn
together first, until candidates with errors added are spread as widely as those that were measured: `_settled`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._bootstrap import Interval
from raysearch.thresholds._influence import jackknife
from raysearch.thresholds._sweep import Direction, Floats

_NUMBERS = 400_000
"""Errors drawn in all, candidates times repetitions."""

_STEPS = 2
"""From candidates that are all alike towards the measured ones. Chosen by simulation: after one step outstanding
candidates are corrected too much, after three alike ones too little (benchmarks/coverage.py)."""

_LEAST = 40
"""Repetitions that the winner's difference from another trial needs."""


@dataclass(frozen=True)
class Winner:
    """What the choice of the best candidate leaves of its value.

    Attributes:
        naive: value that it was chosen by.
        value: corrected for the choice, with a 95 % interval; of one candidate alone `naive`.
        gain: corrected difference from the candidate that it is compared with, more is better; None without one.
    """

    naive: float
    value: Interval
    gain: Interval | None = None

    @property
    def told_apart(self) -> bool:
        """Whether the interval of `gain` lies above 0."""
        return self.gain is not None and self.gain.low > 0


def winner(
    values: Floats,
    influence: NDArray[np.floating],
    owner: NDArray[np.int64],
    *,
    direction: Direction = "maximize",
    against: int | None = None,
    seed: int = 0,
) -> Winner:
    """The best of C candidates, which P patients scored.

    Args:
        values: (C,) finite, of a metric.
        influence: (C, P) how much each patient adds to each value: it minus the value without the patient. 0 in all
            rows for patients that do not enter the metric.
        owner: (C,) trial of each candidate.
        against: a trial whose own best candidate the winner is compared with; None for no comparison, nor is there one
            if the winner is of that trial.

    Raises:
        ValueError: shapes do not fit, or there is no candidate.
    """
    values, owner = np.asarray(values, np.float64), np.asarray(owner)
    if not len(values) or influence.shape[:1] != values.shape or owner.shape != values.shape:
        raise ValueError(
            f"expected C values, influence (C, P) and C owners; got {values.shape}, {influence.shape}, {owner.shape}"
        )
    sign = 1.0 if direction == "maximize" else -1.0
    gains = sign * values
    best = int(gains.argmax())
    compared = None if against is None or owner[best] == against else _best_of(gains, owner, against)
    influence = sign * influence[:, (influence != 0).any(axis=0)]
    if influence.shape[1] < 2:  # of one patient no more can be said
        return Winner(float(values[best]), Interval(float(values[best]), float("nan"), float("nan")))
    errors = _errors(influence, seed)
    repeated = _settled(gains, errors) + errors
    again = repeated.argmax(axis=1)
    rows = np.arange(len(errors))
    luck = errors[rows, again]
    value = jackknife(float(gains[best] - luck.mean(dtype=np.float64)), influence[best])
    if sign < 0:
        value = Interval(-value.mean, -value.high, -value.low)
    if compared is None:
        return Winner(float(values[best]), value)
    assert against is not None
    others = np.flatnonzero(owner == against)
    theirs = others[repeated[:, others].argmax(axis=1)]
    won = owner[again] != against
    if won.sum() < _LEAST:
        won[:] = True
    gained = float((luck - errors[rows, theirs])[won].mean(dtype=np.float64))
    gain = jackknife(float(gains[best] - gains[compared]) - gained, influence[best] - influence[compared])
    return Winner(float(values[best]), value, gain)


def _best_of(gains: Floats, owner: NDArray[np.int64], trial: int) -> int | None:
    own = np.flatnonzero(owner == trial)
    return int(own[gains[own].argmax()]) if len(own) else None


def _errors(influence: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
    """(B, C) errors of all values as other patients would make them: jointly normal, with the covariance that the
    jackknife finds over patients.

    Each draw comes with its opposite, so that errors that all candidates share add nothing to what the best one gained.
    """
    candidates, patients = influence.shape
    half = int(np.clip(_NUMBERS // (2 * candidates), 100, 1000))
    draws = np.random.default_rng(seed).standard_normal((half, patients))
    draws -= draws.mean(axis=1, keepdims=True)
    scaled = influence * np.sqrt((patients - 1) / patients)
    errors: NDArray[np.float32] = draws.astype(np.float32) @ scaled.T.astype(np.float32)
    return np.concatenate([errors, -errors])


def _settled(gains: Floats, errors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C,) true values that would, with errors added, look as the measured ones do.

    It starts from candidates that are all alike. In each step the measured values, sorted, are compared with what
    sorted values are on average when errors are added, and each truth moves by the difference at its place in the
    order, which truths keep.
    """
    from scipy.optimize import isotonic_regression

    order = np.argsort(gains, kind="stable")
    measured, errors = gains[order], errors[:, order]
    truth = np.full(len(gains), gains.mean())
    for _ in range(_STEPS):
        expected = np.sort(errors + truth.astype(np.float32), axis=1).mean(axis=0, dtype=np.float64)
        truth = isotonic_regression(truth + measured - expected).x
    out = np.empty(len(gains), np.float32)
    out[order] = truth
    return out
