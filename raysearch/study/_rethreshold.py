"""New optima of decision thresholds from a finished study's stored evidence: no images, no weights, no training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from raysearch.errors import StudyError
from raysearch.study._optimum import Optimum, Solved, judged, solve_again
from raysearch.study._records import read_records
from raysearch.study._study import Study
from raysearch.study._trial_record import TrialRecord
from raysearch.study._winner import Corrected, corrected_winner
from raysearch.study._winner import corrected as correct
from raysearch.thresholds import (
    METRICS,
    Evidence,
    Metric,
    SweepMetric,
    find_metric,
    load_evidence,
    objective,
)

Floats = NDArray[np.float64]


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
    found: dict[int, dict[str, Solved]] = {}
    problems: dict[str, dict[int, None]] = {}
    for record in records:
        source = _Source(study, record.number)
        solved: dict[str, Solved] = {}
        for name, metric in (asked | beside).items():
            try:
                solved[name] = solve_again(source.get(metric), metric, per_class=by_class, seed=study.config.seed)
            except (StudyError, ValueError) as error:
                reason = str(error) if isinstance(error, StudyError) else f"has no value of {name}: {error}"
                if name in asked:
                    problems.setdefault(reason, {})[record.number] = None
        if solved.keys() & asked.keys():
            found[record.number] = solved
    told = tuple(f"{_trials([*numbers])} {reason}" for reason, numbers in problems.items())
    if not found:
        raise StudyError(f"study '{study.name}': {'; '.join(told)}")
    metrics_by_name = {
        name: metric for name, metric in (asked | beside).items() if any(name in solved for solved in found.values())
    }
    ranked = {name: _ranked(found, metric) for name, metric in metrics_by_name.items()}
    winners = {name: numbers[0] for name, numbers in ranked.items()}
    corrected = {} if trial is not None else _corrected(study, records, found, metrics_by_name, per_class=by_class)
    rows = {
        number: Rethresholded(
            number=number,
            value=next(record.value for record in records if record.number == number),
            weights=study.trial(number).best.exists(),
            optima={
                name: judged(one, corrected.get(name) if winners[name] == number else None)
                for name, one in solved.items()
            },
        )
        for number, solved in found.items()
    }
    return Table(
        metrics=tuple(metrics_by_name),
        rows=tuple(rows[number] for number in next(iter(ranked.values()))),
        winners=winners,
        corrected=corrected,
        problems=told,
    )


def _corrected(
    study: Study,
    records: Sequence[TrialRecord],
    found: Mapping[int, Mapping[str, Solved]],
    metrics: Mapping[str, Metric],
    *,
    per_class: bool,
) -> dict[str, Corrected]:
    """`Table.corrected`."""
    config = study.config
    moved = any(record.number == config.defaults and "exploited" in record.result for record in records)
    against = None if moved else config.defaults
    out = {}
    for name, metric in metrics.items():
        among = {n: solved[name] for n, solved in found.items() if name in solved and solved[name].is_finite}
        out[name] = correct(
            np.array([one.optimum.value for one in among.values()]),
            np.stack([one.influence for one in among.values()]),
            np.array(list(among)),
            metric,
            against=against,
            seed=config.seed,
        )
    if config.metric in out and per_class == config.per_class and config.decision_thresholds == "solve":
        out[config.metric] = corrected_winner(study, records) or out[config.metric]
    return out


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
    name, typed = study.name, study.typed
    if trial is not None:
        found = [record for record in records if record.number == trial]
        if not found:
            raise StudyError(f"study '{name}' has no trial {trial}: 'raysearch status {typed}' lists them")
        if found[0].same_as is not None:
            raise StudyError(
                f"trial {trial} has the configuration of trial {found[0].same_as}, and was not trained again: give that"
                " one"
            )
        return found
    complete = [record for record in records if record.state == "complete" and record.same_as is None]
    if not complete:
        raise StudyError(f"study '{name}' has no complete trial yet: 'raysearch status {typed}' shows its trials")
    return complete


def _ranked(found: Mapping[int, Mapping[str, Solved]], metric: Metric) -> list[int]:
    """Numbers of trials, best first; those without a finite value last."""
    sign = 1.0 if metric.direction == "maximize" else -1.0

    def key(number: int) -> tuple[float, int]:
        one = found[number].get(metric.name)
        return (-sign * one.optimum.value if one is not None and one.is_finite else math.inf, number)

    return sorted(found, key=key)


def _trials(numbers: Sequence[int]) -> str:
    """``trial 3``; ``trials 3, 4, 5 and 9 others``."""
    if len(numbers) == 1:
        return f"trial {numbers[0]}"
    others = f" and {len(numbers) - 5} others" if len(numbers) > 5 else ""
    return f"trials {', '.join(map(str, numbers[:5]))}{others}"
