"""Other ways to correct the value of a winner, for `benchmarks.coverage` to compare with. Each takes scores (C, P) of C
candidates by P patients, the one of highest mean being the winner, and gives its value and, where the way has one, its
95 % interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds import Interval

Floats = NDArray[np.float64]
NAN = float("nan")


def naive(scores: Floats, rng: np.random.Generator) -> Interval:
    """The value that the winner was chosen by, with the percentile bootstrap interval of the winner alone."""
    winner = scores[scores.mean(axis=1).argmax()]
    patients = len(winner)
    means = rng.multinomial(patients, np.full(patients, 1 / patients), 1000) @ winner / patients
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(winner.mean()), float(low), float(high))


def bbc_cv(scores: Floats, rng: np.random.Generator, draws: int = 300) -> Interval:
    """Tsamardinos, Greasidou and Borboudakis 2018: choose by the patients that were drawn, score by the others."""
    patients = scores.shape[1]
    drawn = rng.multinomial(patients, np.full(patients, 1 / patients), draws).astype(np.float64)
    drawn = drawn[(drawn == 0).any(axis=1)]
    left = (drawn == 0).astype(np.float64)
    chosen = (drawn @ scores.T).argmax(axis=1)
    values = (left * scores[chosen]).sum(axis=1) / left.sum(axis=1)
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high))


def optimism(scores: Floats, rng: np.random.Generator, draws: int = 300) -> Interval:
    """Efron 1983: what the best candidate of a resample gains there over its measured value is taken off."""
    patients = scores.shape[1]
    measured = scores.mean(axis=1)
    values = rng.multinomial(patients, np.full(patients, 1 / patients), draws) @ scores.T / patients
    chosen = values.argmax(axis=1)
    gained = values[np.arange(draws), chosen] - measured[chosen]
    return Interval(float(measured.max() - gained.mean()), NAN, NAN)


def shrunken(scores: Floats, rng: np.random.Generator) -> Interval:
    """Empirical Bayes: true values are taken for normal, measured ones are drawn to their mean by the share of their
    variance that is noise; noise that all candidates share does not count."""
    del rng
    candidates, patients = scores.shape
    measured = scores.mean(axis=1)
    if candidates == 1:
        return Interval(float(measured[0]), NAN, NAN)
    residuals = scores - measured[:, None]
    own = residuals - residuals.mean(axis=0)
    noise = (own**2).sum() / (candidates - 1) / (patients - 1) / patients
    kept = max(0.0, 1 - noise / measured.var(ddof=1))
    return Interval(float(measured.mean() + kept * (measured.max() - measured.mean())), NAN, NAN)


RIVALS = {"naive": naive, "bbc_cv": bbc_cv, "optimism": optimism, "shrunken": shrunken}
