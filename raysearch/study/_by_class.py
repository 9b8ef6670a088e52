"""The value of a trial in each class, by a metric that no threshold changes; of others `Beside` has it."""

from __future__ import annotations

from raysearch.errors import StudyError
from raysearch.study._study import Study
from raysearch.study._trial_record import TrialRecord
from raysearch.thresholds import PlainMetric, at_by_class, find_metric, load_evidence


def plain_by_class(study: Study, record: TrialRecord) -> dict[str, float]:
    """Of the epoch that a trial is judged by, by the study's metric: class to value, of classes that have one. Empty
    for a metric with a threshold, and where the evidence is gone or damaged."""
    config, metric = study.config, find_metric(study.config.metric)
    if not isinstance(metric, PlainMetric):
        return {}
    path = study.trial(record.number).path / "evidence" / "best.npz"
    try:
        evidence = load_evidence(path, [metric.evidence], classes=config.classes, origin=config.origin)
    except StudyError:
        return {}
    return at_by_class(evidence[metric.evidence], metric)
