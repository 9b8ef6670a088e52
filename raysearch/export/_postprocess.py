"""A trained network with other post-processing: nothing is trained, the tuning split chooses its thresholds again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from raysearch.data import Collection
from raysearch.errors import ExportError, nearest
from raysearch.method import Method, load_method
from raysearch.space import space_from_dict
from raysearch.study import Study, TrialRecord, read_parts
from raysearch.study._workload_spec import rule_fields
from raysearch.thresholds import Evidence
from raysearch.training import Rule, evaluate
from raysearch.training._score import given_thresholds

KIND = "postprocess"


def fixed_postprocessing(study: Study, settings: Mapping[str, Any], fixes: Sequence[str]) -> dict[str, Any]:
    """Settings of a trial after ``--fix NAME=VALUE``, which can change those of kind postprocess alone.

    Raises:
        SpaceError: no such setting or value.
        ExportError: a setting of another kind, or one that does not go with the trial's others.
    """
    method = load_method(study.config.method)
    space = space_from_dict(study.config.space, method).override(fixes=fixes)
    changed = {name: space.parameters[name] for name in (text.partition("=")[0] for text in fixes)}
    possible = [name for name, parameter in space.parameters.items() if parameter.kind == KIND]
    for name, parameter in changed.items():
        if parameter.kind != KIND:
            known = nearest(name, possible) if possible else f"{method.name} has none"
            raise ExportError(
                f"{parameter.origin}: {name} is of kind {parameter.kind}, which a finished training holds fast; an"
                f" export can change settings of kind {KIND}: {known}"
            )
    new = {**settings, **{name: parameter.default for name, parameter in changed.items()}}
    try:
        method.Config(**new)
    except ValueError as error:
        given = ", ".join(parameter.origin for parameter in changed.values())
        raise ExportError(f"{given}: with the other settings of this trial {method.name} refuses it: {error}") from None
    return new


def rescored(
    study: Study, record: TrialRecord, method: Method, model: nn.Module, collection: Collection
) -> tuple[TrialRecord, Mapping[str, Evidence]]:
    """The trial as it would have been judged with the post-processing of `method`, and the evidence of that."""
    evaluation = evaluate(
        method,
        model,
        collection,
        read_parts(study)["tuning"],
        rule=replace(Rule(**rule_fields(study.config)), evidence=()),  # no kinds but those that an export needs
        thresholds={"mask_threshold": given_thresholds(record.result["thresholds"], collection.classes)},
    )
    score = evaluation.score
    result = {**record.result, **score.row()}
    return replace(record, value=score.value, result=result), evaluation.observations.evidence
