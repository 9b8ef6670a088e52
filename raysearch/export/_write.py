"""From a study's best trial to a folder that runs."""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save
from torch import nn

from raysearch.data import Collection, DataSpec, open_collection
from raysearch.errors import ExportError, StorageError, StudyError
from raysearch.export._bundle import CONFIG, RESULTS, SPLIT, THRESHOLDS, WEIGHTS, at_level, class_levels, own_weights
from raysearch.export._model_card import model_card
from raysearch.export._score import score_rows
from raysearch.method import Method, load_method
from raysearch.space import settings_of, space_from_dict
from raysearch.study import Study, TrialRecord, best_of, read_parts, read_records, task_of
from raysearch.study._looks import record_look
from raysearch.study._study import is_disk_full, unwritable
from raysearch.thresholds import (
    Evidence,
    Sweep,
    SweepMetric,
    cross_fit,
    curves,
    find_metric,
    fit_interval,
    load_evidence,
)
from raysearch.training import decode


@dataclass(frozen=True)
class Exported:
    path: Path
    trial: int
    results: dict[str, Any]
    looks: int
    """How often the test split has been looked at, this time included."""


def export_study(study: Study, out: Path, *, trial: int | None = None) -> Exported:
    """Writes `out`: the trial's weights and thresholds, scored once on the test split.

    Args:
        trial: its number; None for the best one.

    Raises:
        StudyError: no such trial, one without weights, or one whose files are damaged.
        ExportError: `out` exists and is not empty, or cannot be written.
        StorageError: the disk is full.
    """
    with _new_folder(out) as part:  # first: a look at the test split whose numbers nobody gets would still count
        exported, files, model = _export(study, out, _chosen(study, trial))
        for name, text in files.items():
            (part / name).write_text(text, "utf-8")
        (part / WEIGHTS).write_bytes(save({k: v.contiguous() for k, v in model.state_dict().items()}))
    return exported


def _export(study: Study, out: Path, record: TrialRecord) -> tuple[Exported, dict[str, str], nn.Module]:
    """Scores a trial on the test split: what came out, the text files of its export, and its network."""
    config = study.config
    collection = open_collection(DataSpec.parse(config.data), load_method(config.method).view)
    if collection.fingerprint != config.fingerprint:
        raise StudyError(
            f"{config.data} has changed since the study was made (fingerprint {collection.fingerprint[:12]}, expected"
            f" {config.fingerprint[:12]}): restore the data, or tune again"
        )
    settings = _settings(study, record)
    method, model = _trained(study, record, settings, collection)
    metric = find_metric(config.metric)
    evidence = load_evidence(
        study.trial(record.number).path / "evidence" / "best.npz",
        {"counts", metric.evidence},
        classes=config.classes,
        origin=config.origin,
    )
    decision = record.result["thresholds"]
    rows = read_parts(study)["test"]
    results = score_rows(method, model, collection, rows, class_levels(decision, collection.classes), metric.name)
    try:
        looks = record_look(study, "export", record.number)
    except OSError as error:
        raise unwritable(study.path.parent, error) from None
    results = {"split": "test", "trial": record.number, "looks": looks, **results}
    files = {
        CONFIG: yaml.safe_dump(_config(study, record, settings, collection), sort_keys=False),
        THRESHOLDS: json.dumps(_thresholds(study, record, decision, evidence), indent=2),
        RESULTS: json.dumps(results, indent=2),
        "operating_curves.json": json.dumps(_curves(evidence)),
        "environment.json": json.dumps(_environment(study), indent=2),
        "data.json": json.dumps(
            {"data": config.data, "fingerprint": config.fingerprint, "split": config.split}, indent=2
        ),
        SPLIT: study.split_file.read_text("utf-8"),
    }
    files["README.md"] = model_card(study, record, results, json.loads(files[THRESHOLDS]))
    return Exported(out, record.number, results, looks), files, model


def _chosen(study: Study, trial: int | None) -> TrialRecord:
    records = read_records(study)
    name = study.config.name
    if trial is None:
        best = best_of(records, maximise=study.config.direction == "maximize")
        if best is None:
            raise StudyError(
                f"study '{name}' has no finished trial to export; 'raysearch resume {name}' goes on with it"
            )
    else:
        found = [r for r in records if r.number == trial]
        if not found or not found[0].result:
            raise StudyError(f"study '{name}' has no finished trial {trial}; 'raysearch status {name}' lists them")
        best = found[0]
    if not study.trial(best.number).best.exists():
        raise StudyError(
            f"trial {best.number} of study '{name}' kept no weights ({study.trial(best.number).best} is missing);"
            " export another with --trial, or tune with a larger --keep-checkpoints"
        )
    return best


def _settings(study: Study, record: TrialRecord) -> dict[str, Any]:
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


def _trained(
    study: Study, record: TrialRecord, settings: dict[str, Any], collection: Collection
) -> tuple[Method, nn.Module]:
    """The method and its network as the trial left it, in evaluation mode."""
    best = study.trial(record.number).best
    state = decode(best.read_bytes(), str(best))
    cls = load_method(study.config.method)
    method = cls(cls.Config(**own_weights(settings)), task_of(collection))
    model = method.build()
    try:
        model.load_state_dict(state["trainer"]["model"])
    except (KeyError, TypeError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise StudyError(
            f"{best} does not fit {study.config.method} ({reason}); export another trial with --trial"
        ) from None
    return method, model.eval()


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
        },
        "split": config.split,
        "metric": config.metric,
        "epoch": record.result["epoch"],
        "epochs": config.budget.epochs,
        "seed": config.seed,
        "study": config.name,
        "trial": record.number,
    }


def _thresholds(
    study: Study, record: TrialRecord, decision: dict[str, float], evidence: dict[str, Evidence]
) -> dict[str, Any]:
    """Each threshold with the split and metric that it was chosen by, and what that is worth on the same split."""
    config = study.config
    metric = find_metric(config.metric)
    entry: dict[str, Any] = {
        "split": "tuning",
        "metric": config.metric,
        "chosen_by": {"solve": "exact solve", "sample": "Optuna", "fixed": "its default"}[config.decision_thresholds],
        "cross_fitted_value": record.result["metrics"].get(config.metric),
    }
    sweep = evidence[metric.evidence]
    if isinstance(metric, SweepMetric) and isinstance(sweep, Sweep) and config.decision_thresholds == "solve":
        fit = cross_fit(sweep, metric, seed=config.seed, per_class=config.per_class)
        interval = fit_interval(fit, sweep, metric)
        if math.isfinite(interval.low):
            entry["interval_95"] = [interval.low, interval.high]
    return {name: {"value": at_level(value), **entry} for name, value in decision.items()}


def _curves(evidence: dict[str, Evidence]) -> dict[str, list[float]]:
    """Of all kinds that a mask threshold acts on."""
    return {
        name: curve for part in evidence.values() if isinstance(part, Sweep) for name, curve in curves(part).items()
    }


def _environment(study: Study) -> dict[str, Any]:
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "study_versions": study.config.versions,
        "torch_threads": torch.get_num_threads(),
    }


@contextlib.contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder that becomes `out` at the end of the body: all of it, or none after an error."""
    target = out.absolute()
    try:
        if os.path.lexists(target) and (not target.is_dir() or any(target.iterdir())):
            raise ExportError(f"{out} exists and is not an empty folder; give another --out")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            yield part
            part.chmod(0o755)
            if target.is_dir():
                target.rmdir()
            part.rename(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except OSError as error:
        if is_disk_full(error):
            raise StorageError(f"the disk of {out} is full; free some space and export again") from None
        raise ExportError(f"{out} cannot be written ({error.strerror}); give another --out") from None
