"""From a study on disk to what its workers are told to do."""

from __future__ import annotations

from typing import Any

from raysearch.study._config import StudyConfig
from raysearch.study._split_file import read_parts
from raysearch.study._study import Study


def workload_spec(study: Study) -> dict[str, Any]:
    """Argument of `raysearch.training.Workload`. Holds rows of the train and tuning splits alone: a worker of a search
    never learns which images are in the test split."""
    config = study.config
    parts = read_parts(study)
    return {
        "method": config.method,
        "data": config.data,
        "fingerprint": config.fingerprint,
        "origin": config.origin,
        "train": parts["train"],
        "tuning": parts["tuning"],
        "labelled": parts["labelled"],
        "annotated": parts["annotated"],
        "seed": config.seed,
        "epochs": config.budget.epochs,
        "rule": rule_fields(config),
    }


def rule_fields(config: StudyConfig) -> dict[str, Any]:
    """Fields of `raysearch.training.Rule`: how the study turns an evaluation into one number."""
    return {
        "metric": config.metric,
        "decision": "solve" if config.decision_thresholds == "solve" else "given",
        "per_class": config.per_class,
        "evidence": tuple(config.evidence),
        "seed": config.seed,
    }
