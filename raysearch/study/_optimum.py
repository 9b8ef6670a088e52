"""The best thresholds of one trial's evidence under one metric, and what there is to say of their value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from raysearch.study._winner import Corrected
from raysearch.thresholds import (
    AgainstTrivial,
    Blank,
    Evidence,
    Metric,
    PlainMetric,
    Sweep,
    SweepMetric,
    against_trivial,
    at_by_class,
    blank_masks,
    cross_fit,
    degenerate,
    fit_interval,
    influence,
    interval,
    solve,
)


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """A metric of one trial at thresholds chosen anew.

    Attributes:
        value: cross-fitted: no image is scored by a threshold that it helped to choose.
        low, high: its 95 % interval over patients; NaN where one patient is all there is.
        thresholds: to use on other images, chosen on the whole tuning split: ``mask_threshold``, or
            ``mask_threshold.<class>``; empty for a metric without a threshold.
        by_class: the value of each class that has one.
        against: the value beside that of masks of the whole picture; None for a metric without a threshold.
        notes: what had to be done otherwise, and what makes the value look like one that it is not, one line each.
    """

    value: float
    low: float
    high: float
    thresholds: dict[str, float]
    by_class: dict[str, float]
    against: AgainstTrivial | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Solved:
    """An optimum before it is known whether it won.

    Attributes:
        optimum: without notes on what makes its value look like one that it is not.
        influence: (U,) how much each patient adds to the value.
        classes: of the evidence.
        blank: its masks that are all alike; None for a metric without a threshold.
    """

    optimum: Optimum
    influence: NDArray[np.float64]
    classes: tuple[str, ...]
    blank: Blank | None = None

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.optimum.value)


def solve_again(evidence: Evidence, metric: Metric, *, per_class: bool, seed: int) -> Solved:
    """The best thresholds of some evidence under a metric, and its honest value; of a metric without a threshold its
    value alone.

    Args:
        seed: of the halves that cross-fitting divides patients into: with a study's own, the value is the one that the
            study recorded where it solved by this metric.

    Raises:
        ValueError: no row of the evidence enters the metric.
    """
    if isinstance(metric, PlainMetric):
        value = interval(evidence, metric)
        by_class = at_by_class(evidence, metric)
        plain = Optimum(value=value.mean, low=value.low, high=value.high, thresholds={}, by_class=by_class)
        return Solved(optimum=plain, influence=influence(evidence, metric), classes=evidence.classes)
    assert isinstance(evidence, Sweep)
    assert isinstance(metric, SweepMetric)  # all that may rank trials
    fit = cross_fit(evidence, metric, per_class=per_class, seed=seed)
    solution = solve(evidence, metric, per_class=per_class)
    spread = fit_interval(fit, evidence, metric)
    thresholds = {f"mask_threshold.{name}": value for name, value in solution.thresholds.items()}
    if not per_class:
        thresholds = {"mask_threshold": next(iter(solution.thresholds.values()))}
    optimum = Optimum(
        value=fit.value,
        low=spread.low,
        high=spread.high,
        thresholds=thresholds,
        by_class=fit.by_class,
        against=against_trivial(evidence, metric, fit.value, fit.by_class),
        notes=(*fit.notes, *solution.notes),
    )
    return Solved(
        optimum=optimum,
        influence=influence(evidence, metric, fit.applied(evidence).T),
        classes=evidence.classes,
        blank=blank_masks(evidence, metric, solution.levels),
    )


def judged(solved: Solved, won: Corrected | None = None) -> Optimum:
    """The optimum with all its notes.

    Args:
        won: of the winner, whose own interval is too high: what the choice has left of it.
    """
    optimum = solved.optimum
    if optimum.against is None or solved.blank is None:
        return optimum
    low, high = (optimum.low, optimum.high) if won is None else (won.value.low, won.value.high)
    suspect = degenerate(optimum.against, solved.blank, solved.classes, low=low, high=high)
    return replace(optimum, notes=(*optimum.notes, *suspect))
