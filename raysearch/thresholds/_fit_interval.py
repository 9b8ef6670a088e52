"""The interval of a cross-fitted value."""

from __future__ import annotations

import numpy as np

from raysearch.thresholds._average import class_values, deciding_rows, entering_rows, statistics_at
from raysearch.thresholds._bootstrap import Interval, _draws, _interval, bootstrap
from raysearch.thresholds._cross_fit import CrossFit
from raysearch.thresholds._sweep import LevelMetric, Sweep


def fit_interval(
    fit: CrossFit, evidence: Sweep, metric: LevelMetric, *, resamples: int = 2000, seed: int = 0
) -> Interval:
    """`CrossFit.value` with its 95 % interval over patients, thresholds as they were chosen: it says how the value
    would vary with the patients that are scored, not with those that chose.

    Args:
        evidence, metric: those of the fit.

    Raises:
        ValueError: no pair enters the metric.
    """
    if fit.scores is not None:
        classes = evidence.label if metric.average == "classes" else None
        return bootstrap(fit.scores, evidence.patient, classes=classes, resamples=resamples, seed=seed)
    if len(np.unique(evidence.patient[deciding_rows(evidence, metric)])) < 2:
        return Interval(fit.value, float("nan"), float("nan"))
    evidence = evidence.select(entering_rows(evidence, metric))
    statistics = statistics_at(evidence, metric, fit.applied(evidence).T)
    names, group = np.unique(evidence.patient, return_inverse=True)
    width = len(evidence) + statistics[0].shape[1] * len(evidence.classes)
    values = np.concatenate(
        [
            class_values(evidence, statistics, metric, draws[:, group].astype(np.float64)).mean().mean(axis=1)
            for draws in _draws(len(names), resamples, seed, width=width)
        ]
    )
    return _interval(fit.value, values[~np.isnan(values)], len(names))
