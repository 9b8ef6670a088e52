"""One number and its companions from observations: honest values, and the thresholds to use from now on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from raysearch.method import LossThreshold
from raysearch.thresholds import (
    METRICS,
    AgainstTrivial,
    Evidence,
    LevelMetric,
    Metric,
    PlainMetric,
    Sweep,
    SweepMetric,
    against_trivial,
    at,
    at_by_class,
    class_levels,
    cross_fit,
    find_metric,
    influence,
    level,
    pack,
    solve,
    sweep_metric,
    threshold,
)

if TYPE_CHECKING:
    from raysearch.training._evaluate import Observations, Rule

DEFAULT_MASK_METRIC = "f1_plus"
"""Chooses the mask threshold where the objective does not depend on it."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a model did on a split.

    Attributes:
        value: of the objective.
        localization: of the metric that chose the thresholds: the objective, or F1+ where the objective does not depend
            on thresholds; cross-fitted where they were solved, NaN where no region is known. More is better.
        metrics: by name the objective and every reported metric whose evidence was collected, at the thresholds that
            the objective chose (cross-fitted where they were solved); metrics that nothing in the split tells about
            are left out.
        thresholds: decision thresholds to use on other images: ``mask_threshold``, shared by all classes, or
            ``mask_threshold.<class>``; chosen on the whole split.
        influence: (U,) how much each patient adds to `value` (`raysearch.thresholds.influence`), at thresholds as they
            were chosen.
        against: the metric that chose the thresholds beside its value for masks of the whole picture, and both by
            class; None where no region is known.
    """

    value: float
    localization: float
    metrics: dict[str, float]
    thresholds: dict[str, float]
    influence: NDArray[np.float64]
    against: AgainstTrivial | None

    def row(self) -> dict[str, Any]:
        """What is recorded of it: entries of a line of metrics.jsonl."""
        return {
            "value": self.value,
            "metrics": self.metrics,
            "thresholds": self.thresholds,
            "influence": pack(self.influence),
            "against_trivial": None if self.against is None else asdict(self.against),
        }


def score(
    observations: Observations, rule: Rule, *, given: float | Mapping[str, float], reports: Sequence[str] = ()
) -> Score:
    """Scores observations by a rule.

    Args:
        given: mask threshold in [0, 1], shared or by class, that is used unless the rule solves for it.
        reports: names of metrics beside those of `METRICS`.

    Raises:
        ValueError: the objective needs regions, or labels, and none is known; or evidence that was not collected.
    """
    evidence = observations.evidence
    aim = find_metric(rule.metric)
    chooser = chooser_of(aim)
    if not {aim.evidence, chooser.evidence} <= evidence.keys():
        raise ValueError(f"{aim.name} needs evidence of kind {aim.evidence}, collected were {', '.join(evidence)}")
    sweep = evidence[chooser.evidence]
    assert isinstance(sweep, Sweep)
    reported = reported_metrics(evidence, (aim.name, *reports))
    metrics = plain_metrics(observations, reported)
    levelled = [(m, s) for m in reported if isinstance(m, LevelMetric) and isinstance(s := evidence[m.evidence], Sweep)]
    row_levels: NDArray[np.int64] | None = None
    levels = {name: level(given[name] if isinstance(given, Mapping) else given) for name in sweep.classes}
    chosen = named_thresholds(levels, per_class=isinstance(given, Mapping))
    against = None
    if not sweep.present.any():
        if isinstance(aim, SweepMetric):
            raise ValueError(f"no image with a known region to score {aim.name} on")
    elif rule.decision == "solve":
        fallback = threshold(levels[sweep.classes[0]])
        fit = cross_fit(sweep, chooser, fallback=fallback, seed=rule.seed, per_class=rule.per_class)
        metrics.update({m.name: fit.rescore(own, m).value for m, own in levelled})
        row_levels = fit.applied(sweep).T
        against = against_trivial(sweep, chooser, fit.value, fit.by_class)
        if not fit.notes:
            chosen = named_thresholds(solve(sweep, chooser, per_class=rule.per_class).levels, per_class=rule.per_class)
    else:
        metrics.update({m.name: at(own, m, levels) for m, own in levelled})
        row_levels = class_levels(sweep, levels)[sweep.label][:, None]
        by_class = at_by_class(sweep, chooser, levels)
        against = against_trivial(sweep, chooser, metrics[chooser.name], by_class) if by_class else None
    finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
    if aim.name not in finite:
        what = "label" if aim.evidence == "logits" else "region"
        raise ValueError(f"no image with a known {what} to score {aim.name} on")
    return Score(
        value=finite[aim.name],
        localization=finite.get(chooser.name, float("nan")),
        metrics=finite,
        thresholds=chosen,
        influence=influence(evidence[aim.evidence], aim, row_levels),
        against=against,
    )


def kept_by(score: Score, aim: Metric, thresholds: Iterable[LossThreshold]) -> float:
    """What a round of the alternation of these loss thresholds is kept by; more is better, NaN where nothing is known.

    Localization for what bounds regions. Any other threshold may serve another end, a classification say, of which
    localization knows nothing: the objective `aim` judges it.
    """
    if all(threshold.bounds for threshold in thresholds):
        return score.localization
    return score.value if aim.direction == "maximize" else -score.value


def chooser_of(aim: Metric) -> SweepMetric:
    """The metric that chooses thresholds for an objective: itself, if they change it."""
    return aim if isinstance(aim, SweepMetric) else sweep_metric(DEFAULT_MASK_METRIC)


def reported_metrics(evidence: Mapping[str, Evidence], names: Sequence[str]) -> list[Metric]:
    """All registered metrics, and those of `names` beside, whose evidence is there."""
    named = {metric.name: metric for metric in map(find_metric, names)}
    return [m for m in {**METRICS, **named}.values() if m.evidence in evidence]


def named_thresholds(levels: Mapping[str, int], *, per_class: bool) -> dict[str, float]:
    """Thresholds under the names that exports use: ``mask_threshold``, or ``mask_threshold.<class>``."""
    if per_class:
        return {f"mask_threshold.{name}": threshold(value) for name, value in levels.items()}
    return {"mask_threshold": threshold(next(iter(levels.values())))}


def given_thresholds(named: Mapping[str, float], classes: Sequence[str]) -> float | dict[str, float]:
    """The inverse of `named_thresholds`: one number for all classes, or one by class; KeyError if a class has none.

    >>> given_thresholds({"mask_threshold.a": 0.5, "mask_threshold.b": 0.2}, ("a", "b"))
    {'a': 0.5, 'b': 0.2}
    """
    if "mask_threshold" in named:
        return named["mask_threshold"]
    return {name: named[f"mask_threshold.{name}"] for name in classes}


def plain_metrics(observations: Observations, metrics: list[Metric]) -> dict[str, float]:
    """Those of `metrics` that need no threshold, by name; NaN where nothing is known that they could judge."""
    return {m.name: at(observations.evidence[m.evidence], m) for m in metrics if isinstance(m, PlainMetric)}
