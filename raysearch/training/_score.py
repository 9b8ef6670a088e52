"""One number and its companions from observations: honest values, and the thresholds to use from now on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds import METRICS, MaskMetric, at, cross_fit, find_metric, level, scores_at, solve, threshold

if TYPE_CHECKING:
    from raysearch.training._evaluate import Observations, Rule

DEFAULT_MASK_METRIC = "f1_plus"
"""Chooses the mask threshold where the objective does not depend on it."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a model did on a split.

    Attributes:
        value: of the objective.
        metrics: every registered metric by name, at the thresholds that the objective chose (cross-fitted where they
            were solved); metrics that nothing in the split tells about are left out.
        thresholds: decision thresholds to use on other images: ``mask_threshold``, shared by all classes, or
            ``mask_threshold.<class>``; chosen on the whole split.
        per_pair: (R,) objective of each pair of the evidence, NaN where it does not enter; empty if pooled.
    """

    value: float
    metrics: dict[str, float]
    thresholds: dict[str, float]
    per_pair: NDArray[np.float64]


def score(observations: Observations, rule: Rule, *, given: float | Mapping[str, float]) -> Score:
    """Scores observations by a rule.

    Args:
        given: mask threshold in [0, 1], shared or by class, that is used unless the rule solves for it.

    Raises:
        ValueError: the objective needs regions, or labels, and none is known.
    """
    counts = observations.counts
    aim = find_metric(rule.metric)
    mask_metrics = [m for m in METRICS.values() if isinstance(m, MaskMetric)]
    chooser = aim if isinstance(aim, MaskMetric) else METRICS[DEFAULT_MASK_METRIC]
    assert isinstance(chooser, MaskMetric)
    metrics: dict[str, float] = {}
    per_pair = np.zeros(0)
    by_class = isinstance(given, Mapping)
    levels = {name: level(given[name] if isinstance(given, Mapping) else given) for name in counts.classes}
    chosen = named_thresholds(levels, per_class=by_class)
    if not counts.present.any():
        if isinstance(aim, MaskMetric):
            raise ValueError(f"no image with a known region to score {aim.name} on")
    elif rule.decision == "solve":
        fallback = threshold(levels[counts.classes[0]])
        fit = cross_fit(counts, chooser, fallback=fallback, seed=rule.seed, per_class=rule.per_class)
        metrics.update({m.name: fit.rescore(counts, m).value for m in mask_metrics})
        per_pair = fit.scores if fit.scores is not None else per_pair
        if not fit.notes:
            solution = solve(counts, chooser, per_class=rule.per_class)
            chosen = named_thresholds(solution.levels, per_class=rule.per_class)
    else:
        metrics.update({m.name: at(counts, m, levels) for m in mask_metrics})
        per_pair = per_pair if chooser.pooled else scores_at(counts, chooser, levels)
    metrics.update(score_metrics(observations))
    if rule.metric not in metrics:
        raise ValueError(f"no image with a known label to score {aim.name} on")
    finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
    return Score(value=metrics[rule.metric], metrics=finite, thresholds=chosen, per_pair=per_pair)


def named_thresholds(levels: Mapping[str, int], *, per_class: bool) -> dict[str, float]:
    """Thresholds under the names that exports use: ``mask_threshold``, or ``mask_threshold.<class>``."""
    if per_class:
        return {f"mask_threshold.{name}": threshold(value) for name, value in levels.items()}
    return {"mask_threshold": threshold(next(iter(levels.values())))}


def score_metrics(observations: Observations) -> dict[str, float]:
    """Metrics of the class scores, over images whose label is known."""
    labelled = (observations.labels >= 0).any(axis=1)
    if not labelled.any():
        return {}
    scores, labels = observations.scores[labelled], observations.labels[labelled]
    target = labels.argmax(axis=1) if observations.single else labels
    return {m.name: m.function(scores, target) for m in METRICS.values() if not isinstance(m, MaskMetric)}
