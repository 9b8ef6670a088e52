"""The trial that is exported: which one, and its network as the training left it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from raysearch.data import Collection
from raysearch.errors import StudyError
from raysearch.export._bundle import own_weights
from raysearch.export._postprocess import fixed_postprocessing, rescored
from raysearch.method import Method, load_method
from raysearch.space import settings_of, space_from_dict
from raysearch.study import Study, TrialRecord, best_of, read_records, task_of
from raysearch.thresholds import Evidence, find_metric, load_evidence
from raysearch.training import decode


class Candidate(NamedTuple):
    """A trial as it is exported."""

    record: TrialRecord
    settings: dict[str, Any]
    method: Method
    model: nn.Module
    evidence: Mapping[str, Evidence]
    """Of the tuning split, that its thresholds were chosen by."""


def candidate(study: Study, record: TrialRecord, collection: Collection, fixes: Sequence[str]) -> Candidate:
    """The trial as it was trained and judged, or, with `fixes`, as it would have been with other post-processing.

    Raises:
        StudyError: a file of the trial is missing or damaged.
        SpaceError, ExportError: `fixes` that cannot be had.
    """
    settings = trained_settings(study, record)
    if fixes:
        settings = fixed_postprocessing(study, settings, fixes)
        method, model = trained(study, record, settings, collection)
        record, evidence = rescored(study, record, method, model, collection)
        return Candidate(record, settings, method, model, evidence)
    method, model = trained(study, record, settings, collection)
    stored = load_evidence(
        study.trial(record.number).path / "evidence" / "best.npz",
        {"counts", find_metric(study.config.metric).evidence},
        classes=study.config.classes,
        origin=study.config.origin,
    )
    return Candidate(record, settings, method, model, stored)


def chosen_trial(study: Study, trial: int | None) -> TrialRecord:
    """The trial of that number, or the best one.

    Raises:
        StudyError: there is none, or it kept no weights.
    """
    records = read_records(study)
    name, typed = study.name, study.typed
    if trial is None:
        best = best_of(records, maximise=study.config.direction == "maximize")
        if best is None:
            raise StudyError(
                f"study '{name}' has no finished trial to export; 'raysearch resume {typed}' goes on with it"
            )
    else:
        found = [r for r in records if r.number == trial]
        if not found or not found[0].result:
            raise StudyError(f"study '{name}' has no finished trial {trial}; 'raysearch status {typed}' lists them")
        best = found[0]
        if best.same_as is not None:
            raise StudyError(
                f"trial {trial} has the configuration of trial {best.same_as}, and was not trained again: export that"
                f" one with --trial {best.same_as}"
            )
    if not study.trial(best.number).best.exists():
        raise StudyError(
            f"trial {best.number} of study '{name}' kept no weights ({study.trial(best.number).best} is missing);"
            " export another with --trial, or tune with a larger --keep-checkpoints"
        )
    return best


def trained_settings(study: Study, record: TrialRecord) -> dict[str, Any]:
    """What the weights were trained with: a trial may have taken over settings of another one on its way, and its loss
    thresholds may have moved."""
    alternated = record.result.get("alternation", {}).get("thresholds", {})
    exploited = record.result.get("exploited")
    if exploited is not None:
        space = space_from_dict(study.config.space, load_method(study.config.method))
        return {**settings_of(space, exploited["params"])[0], **alternated}
    stored = study.trial(record.number).config
    if stored is None:
        raise StudyError(
            f"{study.trial(record.number).path / 'config.yaml'} is missing; restore it from a copy, or export another"
            " trial with --trial"
        )
    return {**stored["config"], **alternated}


def trained(
    study: Study, record: TrialRecord, settings: dict[str, Any], collection: Collection
) -> tuple[Method, nn.Module]:
    """The method and its network as the trial left it, in evaluation mode."""
    best = study.trial(record.number).best
    state = decode(best.read_bytes(), str(best))
    cls = load_method(study.config.method)
    method = cls(cls.Config(**own_weights(cls, settings)), task_of(collection))
    model = method.build()
    try:
        model.load_state_dict(state["trainer"]["model"])
    except (KeyError, TypeError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise StudyError(
            f"{best} does not fit {study.config.method} ({reason}); export another trial with --trial"
        ) from None
    return method, model.eval()
