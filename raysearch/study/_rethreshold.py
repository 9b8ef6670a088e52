"""New optima of decision thresholds from a finished study's stored evidence: no images, no weights, no training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from raysearch.errors import StudyError
from raysearch.study._book import DEFAULTS, TrialRecord
from raysearch.study._records import read_records
from raysearch.study._study import Study
from raysearch.study._winner import Corrected, corrected_winner, has_defaults
from raysearch.study._winner import corrected as correct
from raysearch.thresholds import (
    METRICS,
    AgainstTrivial,
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
    find_metric,
    fit_interval,
    influence,
    interval,
    load_evidence,
    objective,
    solve,
)

Floats = NDArray[np.float64]


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
class Rethresholded:
    """A trial under several metrics.

    Attributes:
        value: that the study recorded, by its own metric.
        weights: whether the trial's weights are still there, so that it can be exported.
        optima: by metric; one that cannot be had is left out.
    """

    number: int
    value: float | None
    weights: bool
    optima: dict[str, Optimum]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A study ranked again.

    Attributes:
        metrics: names, the first one ranks.
        rows: best first; of equal ones the earlier trial.
        winners: number of the best trial by metric.
        corrected: what is left of its value, by metric, once it is known that it was chosen. By the study's own metric
            among all epochs that could have been, as `corrected_winner`; by others among the epochs that the study
            judged its trials by. Empty for one trial alone.
        problems: what could not be done and how to put it right, one line each.
    """

    metrics: tuple[str, ...]
    rows: tuple[Rethresholded, ...]
    winners: dict[str, int]
    corrected: dict[str, Corrected]
    problems: tuple[str, ...]


@dataclass
class _Source:
    """Evidence of one trial, each kind read when it is first asked for."""

    study: Study
    number: int
    _read: dict[str, Evidence | str] = field(default_factory=dict)

    def get(self, metric: Metric) -> Evidence:
        """StudyError, always the same one, if it is not there or not readable."""
        kind, config = metric.evidence, self.study.config
        if kind not in config.evidence:
            raise StudyError(
                f"kept no evidence of kind {kind}, which {metric.name} needs: tune with --keep-evidence {kind}"
            )
        if kind not in self._read:
            try:
                path = self.study.trial(self.number).path / "evidence" / "best.npz"
                self._read |= load_evidence(path, [kind], classes=config.classes, origin=config.origin)
            except StudyError as error:
                self._read[kind] = f"cannot be judged: {error}"
        found = self._read[kind]
        if isinstance(found, str):
            raise StudyError(found)
        return found


def rethreshold(
    study: Study, *, metrics: Sequence[str] = (), trial: int | None = None, per_class: bool = False
) -> Table:
    """Solves the decision thresholds of complete trials again, and ranks them.

    Nothing is written, and nothing is read but the records and the evidence of the epoch that each trial is judged by.

    Args:
        metrics: names, the first one ranks; empty for the study's own and every other metric of `METRICS` with a
            threshold that the evidence tells about.
        trial: this one alone, complete or not; None for every complete one.
        per_class: a threshold a class, also where the study has shared ones.

    Raises:
        UserError: an unknown metric, or a one-sided one.
        StudyError: no such trial, or nothing could be computed; the message says what is missing.
    """
    asked = {m.name: m for m in map(objective, metrics)} or {study.config.metric: find_metric(study.config.metric)}
    beside = {} if metrics else _beside(study)
    records = _records(study, trial)
    by_class = per_class or study.config.per_class
    rows: list[Rethresholded] = []
    added: dict[int, dict[str, Floats]] = {}
    problems: dict[str, dict[int, None]] = {}
    for record in records:
        source = _Source(study, record.number)
        optima: dict[str, Optimum] = {}
        influences: dict[str, Floats] = {}
        for name, metric in (asked | beside).items():
            try:
                optima[name], influences[name] = optimum_of(
                    source.get(metric), metric, per_class=by_class, seed=study.config.seed
                )
            except (StudyError, ValueError) as error:
                reason = str(error) if isinstance(error, StudyError) else f"has no value of {name}: {error}"
                if name in asked:
                    problems.setdefault(reason, {})[record.number] = None
        if optima.keys() & asked.keys():
            weights = study.trial(record.number).best.exists()
            rows.append(Rethresholded(number=record.number, value=record.value, weights=weights, optima=optima))
            added[record.number] = influences
    told = tuple(f"{_trials([*numbers])} {reason}" for reason, numbers in problems.items())
    if not rows:
        raise StudyError(f"study '{study.config.name}': {'; '.join(told)}")
    names = tuple(name for name in asked | beside if any(name in row.optima for row in rows))
    moved = any(record.number == DEFAULTS and "exploited" in record.result for record in records)
    against = DEFAULTS if has_defaults(study) and not moved else None
    corrected = (
        {}
        if trial is not None
        else {name: _chosen(study, rows, added, (asked | beside)[name], against) for name in names}
    )
    own = study.config.metric
    if own in corrected and by_class == study.config.per_class and study.config.decision_thresholds == "solve":
        corrected[own] = corrected_winner(study, records) or corrected[own]
    return Table(
        metrics=names,
        rows=tuple(_ranked(rows, (asked | beside)[names[0]])),
        winners={name: _ranked(rows, (asked | beside)[name])[0].number for name in names},
        corrected=corrected,
        problems=told,
    )


def _chosen(
    study: Study,
    rows: Sequence[Rethresholded],
    added: Mapping[int, Mapping[str, Floats]],
    metric: Metric,
    against: int | None,
) -> Corrected:
    """The correction for the choice among trials by a metric."""
    among = [row for row in rows if metric.name in row.optima and math.isfinite(row.optima[metric.name].value)]
    return correct(
        np.array([row.optima[metric.name].value for row in among]),
        np.stack([added[row.number][metric.name] for row in among]),
        np.array([row.number for row in among]),
        metric.direction,
        against=against,
        seed=study.config.seed,
    )


def optimum_of(evidence: Evidence, metric: Metric, *, per_class: bool, seed: int) -> tuple[Optimum, Floats]:
    """The best thresholds of some evidence under a metric, and its honest value; of a metric without a threshold its
    value alone. And the `influence` of patients on the value.

    Args:
        seed: of the halves that cross-fitting divides patients into: with a study's own, the value is the one that the
            study recorded where it solved by this metric.

    Raises:
        ValueError: no row of the evidence enters the metric.
    """
    if isinstance(metric, PlainMetric):
        value = interval(evidence, metric)
        by_class = at_by_class(evidence, metric)
        found = Optimum(value=value.mean, low=value.low, high=value.high, thresholds={}, by_class=by_class)
        return found, influence(evidence, metric)
    assert isinstance(evidence, Sweep)
    assert isinstance(metric, SweepMetric)  # all that may rank trials
    fit = cross_fit(evidence, metric, per_class=per_class, seed=seed)
    solution = solve(evidence, metric, per_class=per_class)
    spread = fit_interval(fit, evidence, metric)
    thresholds = {f"mask_threshold.{name}": value for name, value in solution.thresholds.items()}
    if not per_class:
        thresholds = {"mask_threshold": next(iter(solution.thresholds.values()))}
    against = against_trivial(evidence, metric, fit.value, fit.by_class)
    blank = blank_masks(evidence, metric, solution.levels)
    suspect = degenerate(against, blank, evidence.classes, low=spread.low, high=spread.high)
    found = Optimum(
        value=fit.value,
        low=spread.low,
        high=spread.high,
        thresholds=thresholds,
        by_class=fit.by_class,
        against=against,
        notes=(*fit.notes, *solution.notes, *suspect),
    )
    return found, influence(evidence, metric, fit.applied(evidence).T)


def _beside(study: Study) -> dict[str, Metric]:
    """Metrics with a threshold that may rank trials and whose evidence the study keeps, but for its own."""
    return {
        name: metric
        for name, metric in METRICS.items()
        if isinstance(metric, SweepMetric)
        and not metric.one_sided
        and metric.evidence in study.config.evidence
        and name != study.config.metric
    }


def _records(study: Study, trial: int | None) -> list[TrialRecord]:
    records = read_records(study)
    name = study.config.name
    if trial is not None:
        found = [record for record in records if record.number == trial]
        if not found:
            raise StudyError(f"study '{name}' has no trial {trial}: 'raysearch status {name}' lists them")
        return found
    complete = [record for record in records if record.state == "complete"]
    if not complete:
        raise StudyError(f"study '{name}' has no complete trial yet: 'raysearch status {name}' shows its trials")
    return complete


def _ranked(rows: Iterable[Rethresholded], metric: Metric) -> list[Rethresholded]:
    """Best first; trials without a finite value last."""
    sign = 1.0 if metric.direction == "maximize" else -1.0

    def key(row: Rethresholded) -> tuple[float, int]:
        found = row.optima.get(metric.name)
        return (-sign * found.value if found and math.isfinite(found.value) else math.inf, row.number)

    return sorted(rows, key=key)


def _trials(numbers: Sequence[int]) -> str:
    """``trial 3``; ``trials 3, 4, 5 and 9 others``."""
    if len(numbers) == 1:
        return f"trial {numbers[0]}"
    others = f" and {len(numbers) - 5} others" if len(numbers) > 5 else ""
    return f"trials {', '.join(map(str, numbers[:5]))}{others}"
