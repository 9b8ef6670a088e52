"""A trial beside masks of the whole picture: as it was recorded, with notes on what makes it look like more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from raysearch.errors import StudyError
from raysearch.study._config import StudyConfig
from raysearch.study._study import Study
from raysearch.study._trial_record import TrialRecord
from raysearch.study._winner import Corrected
from raysearch.thresholds import (
    AgainstTrivial,
    Evidence,
    Interval,
    Sweep,
    SweepMetric,
    blank_levels,
    blank_masks,
    cross_fit,
    degenerate,
    fit_interval,
    interval,
    level,
    load_evidence,
    sweep_metric,
)

NOTHING = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Beside:
    """What a trial is worth beside masks of the whole picture, and what is to be said of that, one line each."""

    against: AgainstTrivial
    notes: tuple[str, ...]


def beside_trivial(study: Study, record: TrialRecord, won: Corrected | None = None) -> Beside | None:
    """Of a trial's recorded epoch; None where no region is known.

    Args:
        won: of the winner, what the choice has left of its value: notes speak of this interval, and without it of that
            of the stored evidence, scored as it was. Where that is gone too, nothing is said of it.
    """
    config, stored = study.config, record.result.get("against_trivial")
    if stored is None:
        return None
    kind = sweep_metric(stored["metric"]).evidence
    path = study.trial(record.number).path / "evidence" / "best.npz"
    try:
        evidence = load_evidence(path, [kind], classes=config.classes, origin=config.origin)
    except StudyError:
        evidence = {}
    return beside_of(config, record, evidence, won)


def beside_of(
    config: StudyConfig, record: TrialRecord, evidence: Mapping[str, Evidence], won: Corrected | None = None
) -> Beside | None:
    """`beside_trivial` of a trial whose evidence, by kind, is this."""
    stored = record.result.get("against_trivial")
    if stored is None:
        return None
    against = AgainstTrivial(**stored)
    named = record.result["thresholds"]
    shared = named.get("mask_threshold")
    levels = {name: level(named[f"mask_threshold.{name}"] if shared is None else shared) for name in config.classes}
    metric = sweep_metric(against.metric)
    part = evidence.get(metric.evidence)
    spread, blank = NOTHING, blank_levels(levels)
    if isinstance(part, Sweep):
        spread, blank = _interval(config, part, metric, levels), blank_masks(part, metric, levels)
    if won is not None and won.number == record.number and metric.name == config.metric:
        spread = won.value
    return Beside(against, degenerate(against, blank, config.classes, low=spread.low, high=spread.high))


def _interval(config: StudyConfig, evidence: Sweep, metric: SweepMetric, levels: Mapping[str, int]) -> Interval:
    """Of a metric on the tuning split, at thresholds that were solved, or at these levels."""
    if config.decision_thresholds == "solve":
        return fit_interval(cross_fit(evidence, metric, per_class=config.per_class, seed=config.seed), evidence, metric)
    return interval(evidence, metric, levels)
