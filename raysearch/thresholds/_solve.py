"""The exact optimum of a metric over all thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._average import ClassValues, class_values, entering
from raysearch.thresholds._sweep import Direction, Floats, Sweep, SweepMetric

TIE = 1e-12
"""Values closer than this are equal: sums of the same numbers in another order differ by less."""


@dataclass(frozen=True)
class Solution:
    """The best positions on some evidence.

    Attributes:
        metric: name of what was optimised.
        parameter: what was solved for: ``threshold``, or ``percentile`` for evidence of kind ``ranks``.
        levels: best position by class (level 0..256 of a threshold, percentile 0..100); the same for all unless solved
            for each class.
        thresholds: the values of the parameter there, by class: in [0, 256/255], or a percentile as a share in [0, 1].
        value: of the metric at these levels on the same evidence: no image was left out, so it is optimistic;
            `cross_fit` gives the honest one.
        curve: (L,) value at each position shared by all classes; 257 of a threshold, 101 of a percentile.
        notes: one line for each class that uses the shared level for want of images.
    """

    metric: str
    parameter: str
    levels: dict[str, int]
    thresholds: dict[str, float]
    value: float
    curve: Floats
    notes: tuple[str, ...] = ()


def solve(evidence: Sweep, metric: SweepMetric, *, per_class: bool = False) -> Solution:
    """The exact optimum over all positions; of equally good ones the centre of the widest run.

    Raises:
        ValueError: no pair enters the metric, or the evidence is not of its kind.
    """
    part, weights = entering(evidence, metric, np.ones((1, len(evidence))))
    by_class = class_values(part, metric.statistics(part), metric, weights)
    curve = by_class.mean()[0]
    if np.isnan(curve[0]):
        raise ValueError(f"no {metric.needs} pair to choose a threshold by {metric.name}")
    levels = best_levels(by_class, metric.direction, per_class)
    value = by_class.mean_at(levels)[0]
    notes = [
        f"class {name}: no image to choose its threshold by, so it uses the one shared by all classes"
        for name, weight in zip(evidence.classes, by_class.weight[0], strict=True)
        if per_class and weight == 0
    ]
    by_name = dict(zip(evidence.classes, levels[0].tolist(), strict=True))
    settings = {name: evidence.setting(position) for name, position in by_name.items()}
    return Solution(metric.name, evidence.parameter, by_name, settings, float(value), curve, tuple(notes))


def best_levels(by_class: ClassValues, direction: Direction, per_class: bool) -> NDArray[np.int64]:
    """(B, K) best level of each class under each weighting; the shared one for a class without weight."""
    shared = [optimum(curve, direction) for curve in by_class.mean()]
    levels = np.repeat(np.asarray(shared, np.int64)[:, None], by_class.weight.shape[1], axis=1)
    if per_class:
        for b, k in zip(*np.nonzero(by_class.weight), strict=True):
            levels[b, k] = optimum(by_class.values[b, k], direction)
    return levels


def optimum(curve: Floats, direction: Direction) -> int:
    """Index of the best value of a curve; on ties the centre (the lower one) of the widest (the first) optimal run.

    >>> optimum(np.array([0.1, 0.7, 0.2, 0.7, 0.7, 0.7, 0.3]), "maximize")
    4
    """
    gain = curve if direction == "maximize" else -curve
    best = np.concatenate([[False], gain >= gain.max() - TIE, [False]])
    first, end = np.flatnonzero(np.diff(best.astype(np.int8))).reshape(-1, 2).T
    widest = int(np.argmax(end - first))
    return int(first[widest] + end[widest] - 1) // 2
