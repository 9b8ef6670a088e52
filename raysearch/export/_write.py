"""From a study's best trial to a folder that runs."""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from safetensors.torch import save
from torch import nn

from raysearch._text import shown
from raysearch.data import Collection, reopen_collection
from raysearch.errors import ExportError
from raysearch.export._bundle import (
    CONFIG,
    RESULTS,
    SPLIT,
    THRESHOLDS,
    WEIGHTS,
    at_level,
    levels_by_class,
    load_bundle,
)
from raysearch.export._folder import new_folder
from raysearch.export._model_card import model_card
from raysearch.export._overtuning import tested
from raysearch.export._reference import Reference, reference_values
from raysearch.export._score import observe_rows, optimistic, summarise
from raysearch.export._trial import candidate, chosen_trial, trained_settings
from raysearch.method import load_method
from raysearch.study import Study, TrialRecord, beside_of, read_parts
from raysearch.study._looks import record_look, unrecorded
from raysearch.study._winner import Corrected, limits
from raysearch.thresholds import (
    BoxRule,
    Evidence,
    Sweep,
    SweepMetric,
    cross_fit,
    curves,
    find_metric,
    fit_interval,
)


@dataclass(frozen=True)
class Exported:
    path: Path
    trial: int
    results: dict[str, Any]
    looks: int
    """How often the test split has been looked at, this time included."""


def export_study(
    study: Study,
    out: Path,
    *,
    trial: int | None = None,
    fixes: Sequence[str] = (),
    thresholds_on: Literal["tuning", "test"] = "tuning",
    reference: Path | None = None,
    baseline: Path | None = None,
) -> Exported:
    """Writes `out`: the trial's weights and thresholds, scored once on the test split.

    Args:
        trial: its number; None for the best one.
        fixes: ``NAME=VALUE`` of settings of kind postprocess, instead of those that the trial was trained and judged
            with; its thresholds are chosen again on the tuning split.
        thresholds_on: ``test`` adds what thresholds chosen on the test images would give, as papers publish it; one
            more look. The model's own thresholds are those of the tuning split all the same.
        reference: CSV file of another reader's values of the study's metric by class, to stand beside the model's.
        baseline: another export of the same split, of whose gap to the reference the model closes a part.

    Raises:
        StudyError: no such trial, one without weights, or one whose files are damaged.
        SpaceError: `fixes` that name no setting, or no value of one.
        ExportError: `out` exists and is not empty, or cannot be written; `fixes` of another kind; a reference or
            baseline that does not fit.
        StorageError: the disk is full.
    """
    with new_folder(out) as part:  # first: a look at the test split whose numbers nobody gets would still count
        record = chosen_trial(study, trial)
        exported, files, model = _export(study, out, record, fixes, thresholds_on, reference, baseline)
        for name, text in files.items():
            (part / name).write_text(text, "utf-8")
        state = model.state_dict()
        # layers may share tensors, which a safetensors file cannot
        apart = {name: state[name].clone(memory_format=torch.contiguous_format) for name in state}
        (part / WEIGHTS).write_bytes(save(apart))
    return exported


def _export(
    study: Study,
    out: Path,
    record: TrialRecord,
    fixes: Sequence[str],
    thresholds_on: Literal["tuning", "test"],
    reference: Path | None,
    baseline: Path | None,
) -> tuple[Exported, dict[str, str], nn.Module]:
    """Scores a trial on the test split: what came out, the text files of its export, and its network."""
    config = study.config
    collection = reopen_collection(config.data, load_method(config.method).view, config.fingerprint)
    record, settings, method, model, evidence = candidate(study, record, collection, fixes)
    metric = find_metric(config.metric)
    decision = record.result["thresholds"]
    rows = read_parts(study)["test"]
    others = _reference(study, reference, baseline, {collection.image_ids[row] for row in rows})
    observations = observe_rows(method, model, collection, rows, metric.name)
    names = (metric.name, *method.reports)
    scores = summarise(observations, collection, levels_by_class(decision, collection.classes), names)
    if others is not None:
        scores["reference"] = others.beside(scores["by_class"].get(metric.name, {}))
    if thresholds_on == "test":
        scores["optimistic"] = optimistic(observations, collection, names, per_class=config.per_class)
    command = " ".join(["export", *(f"--fix {text}" for text in fixes)])
    try:
        looks = record_look(study, command, record.number)
        if thresholds_on == "test":
            scores["optimistic"]["look"] = record_look(study, f"{command} --thresholds-on test", record.number)
    except OSError as error:
        raise unrecorded(study, error) from None
    # other post-processing than the trial's was no part of the choice
    changed = settings != trained_settings(study, record)
    overtuning = None if changed else tested(study, record, collection, rows, observations)
    corrected = None if overtuning is None else overtuning.corrected
    results = {
        "split": "test",
        "trial": record.number,
        "fixes": list(fixes),
        "looks": looks,
        "images": len(rows),
        "overtuning": None if overtuning is None else overtuning.to_json(),
        **scores,
    }
    files = {
        CONFIG: yaml.safe_dump(_config(study, record, settings, collection), sort_keys=False),
        THRESHOLDS: json.dumps(_thresholds(study, record, decision, evidence, method.box_rule, corrected), indent=2),
        RESULTS: json.dumps(results, indent=2),
        "operating_curves.json": json.dumps(_curves(evidence, names)),
        "environment.json": json.dumps(_environment(study), indent=2),
        "data.json": json.dumps(
            {"data": config.data, "fingerprint": config.fingerprint, "split": config.split}, indent=2
        ),
        SPLIT: study.split_file.read_text("utf-8"),
    }
    beside = beside_of(config, record, evidence, corrected)
    files["README.md"] = shown(model_card(study, record, results, json.loads(files[THRESHOLDS]), beside))
    return Exported(out, record.number, results, looks), files, model


def _reference(study: Study, file: Path | None, baseline: Path | None, tested: set[str]) -> Reference | None:
    """What the model is to stand beside; ExportError for a baseline alone, or one of other images than `tested`."""
    config = study.config
    values = reference_values(file, baseline, config.classes, config.metric)
    if values is None or baseline is None:
        return None if values is None else Reference(config.metric, values)
    bundle = load_bundle(baseline)
    if bundle.config["data"]["fingerprint"] != config.fingerprint or set(bundle.split["test"]) != tested:
        raise ExportError(
            f"--baseline {baseline} was scored on other test images than those of study '{study.name}'; give an"
            " export of the same data and split"
        )
    values_of_it = bundle.results.get("by_class", {}).get(config.metric)
    if not values_of_it:
        raise ExportError(
            f"--baseline {baseline} holds no {config.metric} by class; export it from a study with --metric"
            f" {config.metric}"
        )
    return Reference(config.metric, values, values_of_it)


def _config(study: Study, record: TrialRecord, settings: dict[str, Any], collection: Collection) -> dict[str, Any]:
    config = study.config
    return {
        "method": config.method,
        "preset": config.preset,
        "settings": settings,
        "data": {
            "source": config.data,
            "fingerprint": config.fingerprint,
            "classes": list(collection.classes),
            "view": collection.view,
            "channels": collection.channels,
            "size": list(collection.size),
            "sources": list(collection.sources),
            "source_classes": list(collection.source_classes),
            "source_fingerprints": [part.fingerprint for part in collection.parts],
        },
        "split": config.split,
        "metric": config.metric,
        "epoch": record.result["epoch"],
        "epochs": config.budget.epochs,
        "seed": config.seed,
        "study": study.name,
        "trial": record.number,
    }


def _thresholds(
    study: Study,
    record: TrialRecord,
    decision: dict[str, float],
    evidence: Mapping[str, Evidence],
    box_rule: BoxRule | None,
    corrected: Corrected | None,
) -> dict[str, Any]:
    """Each threshold with the split and metric that it was chosen by, and what that is worth on the same split: as it
    was measured, and what the choice of trial and epoch has left of that."""
    config = study.config
    metric = find_metric(config.metric)
    entry: dict[str, Any] = {
        "split": "tuning",
        "metric": config.metric,
        "chosen_by": {"solve": "exact solve", "sample": "Optuna", "fixed": "its default"}[config.decision_thresholds],
        "cross_fitted_value": record.result["metrics"].get(config.metric),
        **({} if box_rule is None else {"box_rule": box_rule}),
    }
    sweep = evidence[metric.evidence]
    if isinstance(metric, SweepMetric) and isinstance(sweep, Sweep) and config.decision_thresholds == "solve":
        fit = cross_fit(sweep, metric, seed=config.seed, per_class=config.per_class)
        interval = fit_interval(fit, sweep, metric)
        if math.isfinite(interval.low):
            entry["interval_95"] = [interval.low, interval.high]
    if corrected is not None:
        entry |= {"corrected_value": corrected.value.mean, "corrected_interval_95": limits(corrected.value)}
    return {name: {"value": at_level(value), **entry} for name, value in decision.items()}


def _curves(evidence: Mapping[str, Evidence], names: Sequence[str]) -> dict[str, list[float]]:
    """Of all kinds that a mask threshold acts on."""
    sweeps = (part for part in evidence.values() if isinstance(part, Sweep))
    return {name: curve for part in sweeps for name, curve in curves(part, names).items()}


def _environment(study: Study) -> dict[str, Any]:
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "study_versions": study.config.versions,
        "torch_threads": torch.get_num_threads(),
    }
