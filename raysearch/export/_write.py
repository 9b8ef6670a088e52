"""From a study's best trial to a folder that runs."""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from raysearch.data import Collection, DataSpec, open_collection
from raysearch.errors import ExportError, StudyError
from raysearch.export._bundle import CONFIG, RESULTS, SPLIT, THRESHOLDS, WEIGHTS, at_level, class_levels
from raysearch.export._model_card import model_card
from raysearch.export._score import score_rows
from raysearch.method import load_method
from raysearch.study import Study, TrialRecord, best_of, read_parts, read_records, task_of
from raysearch.study._looks import record_look
from raysearch.thresholds import METRICS, MaskMetric, bootstrap, cross_fit, curves, load_counts
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
        StudyError: no such trial, or one without weights.
        ExportError: `out` exists and is not empty, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(f"{out} exists and is not empty; give another --out")
    record = _chosen(study, trial)
    config = study.config
    folder = study.trial(record.number)
    state = decode(folder.best.read_bytes(), str(folder.best))
    collection = open_collection(DataSpec.parse(config.data), load_method(config.method).view)
    if collection.fingerprint != config.fingerprint:
        raise StudyError(
            f"{config.data} has changed since the study was made (fingerprint {collection.fingerprint[:12]}, expected"
            f" {config.fingerprint[:12]}): restore the data, or tune again"
        )
    cls = load_method(config.method)
    settings = (folder.config or {})["config"]
    method = cls(cls.Config(**settings), task_of(collection))
    model = method.build()
    model.load_state_dict(state["trainer"]["model"])
    decision = record.result["thresholds"]
    rows = read_parts(study)["test"]
    results = score_rows(method, model.eval(), collection, rows, class_levels(decision, collection.classes))
    looks = record_look(study, "export", record.number)
    results = {"split": "test", "trial": record.number, "looks": looks, **results}
    files = {
        CONFIG: yaml.safe_dump(_config(study, record, settings, collection), sort_keys=False),
        THRESHOLDS: json.dumps(_thresholds(study, record, decision), indent=2),
        RESULTS: json.dumps(results, indent=2),
        "operating_curves.json": json.dumps(curves(load_counts(folder.path / "evidence" / "best.npz"))),
        "environment.json": json.dumps(_environment(study), indent=2),
        "data.json": json.dumps(
            {"data": config.data, "fingerprint": config.fingerprint, "split": config.split}, indent=2
        ),
        SPLIT: study.split_file.read_text(),
    }
    files["README.md"] = model_card(study, record, results, json.loads(files[THRESHOLDS]))
    _write_folder(out, files, {k: v.contiguous() for k, v in model.state_dict().items()})
    return Exported(out, record.number, results, looks)


def _chosen(study: Study, trial: int | None) -> TrialRecord:
    records = read_records(study)
    name = study.config.name
    if trial is None:
        best = best_of(records, maximise=study.config.direction == "maximize")
        if best is None:
            raise StudyError(f"study '{name}' has no finished trial to export; 'raysearch resume {name}' goes on with it")
    else:
        found = [r for r in records if r.number == trial]
        if not found or not found[0].result:
            raise StudyError(f"study '{name}' has no finished trial {trial}; 'raysearch status {name}' lists them")
        best = found[0]
    if not study.trial(best.number).best.exists():
        raise StudyError(
            f"trial {best.number} of study '{name}' kept no weights ({study.trial(best.number).best} is missing); export"
            " another with --trial, or tune with a larger --keep-checkpoints"
        )
    return best


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


def _thresholds(study: Study, record: TrialRecord, decision: dict[str, float]) -> dict[str, Any]:
    """Each threshold with the split and metric that it was chosen by, and what that is worth on the same split."""
    counts = load_counts(study.trial(record.number).path / "evidence" / "best.npz")
    config = study.config
    metric = METRICS[config.metric]
    entry: dict[str, Any] = {
        "split": "tuning",
        "metric": config.metric,
        "chosen_by": {"solve": "exact solve", "sample": "Optuna", "fixed": "its default"}[config.decision_thresholds],
        "cross_fitted_value": record.result["metrics"].get(config.metric),
    }
    if isinstance(metric, MaskMetric) and not metric.pooled and config.decision_thresholds == "solve":
        fit = cross_fit(counts, metric, seed=config.seed, per_class=config.per_class)
        if fit.scores is not None:
            entering = fit.scores == fit.scores
            interval = bootstrap(fit.scores[entering], counts.patient[entering])
            entry["interval_95"] = [interval.low, interval.high]
    return {name: {"value": at_level(value), **entry} for name, value in decision.items()}


def _environment(study: Study) -> dict[str, Any]:
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "study_versions": study.config.versions,
        "torch_threads": torch.get_num_threads(),
    }


def _write_folder(out: Path, files: dict[str, str], weights: dict[str, torch.Tensor]) -> None:
    """All of the folder or none of it."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            for name, text in files.items():
                (part / name).write_text(text)
            save_file(weights, part / WEIGHTS)
            if out.exists():
                out.rmdir()
            part.chmod(0o755)
            part.rename(out)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except OSError as error:
        raise ExportError(f"{out} cannot be written ({error.strerror}); give another --out") from None
