"""Studies with trials, made in this process: prepared, trained and recorded as a search does it, without Ray."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from raysearch.export import export_study
from raysearch.study import Book, Cluster, Request, Study, open_study, prepare, save_study
from raysearch.study._judge import judge
from raysearch.study._workload_spec import workload_spec
from raysearch.training import Alone, Workload

SMALL = "phantom:images=60,size=32"


def new_study(root: Path, **request: Any) -> Study:
    """A study in `root` without trials; `request` is that of `raysearch.study.Request`."""
    wanted = {"method": "cam_avg", "data": SMALL, "epochs": 1, "samples": 1, "slots": 1, "gpus_per_worker": 0.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSEARCH_STUDIES", str(root))
        return save_study(prepare(Request(**(wanted | request)), Cluster()))


def finished_study(root: Path, **request: Any) -> Study:
    """As `new_study`, all of its trials complete."""
    study = new_study(root, **request)
    book = Book(study)
    workload = Workload(workload_spec(study), device=torch.device("cpu"), collective=Alone())
    while book.remaining:
        number = train(study, book, workload, study.config.budget.epochs)
        book.close(number, "complete")
    return study


def begun_study(root: Path, **request: Any) -> Study:
    """As `new_study`, killed after the first of its first trial's two epochs."""
    study = new_study(root, epochs=2, **request)
    workload = Workload(workload_spec(study), device=torch.device("cpu"), collective=Alone())
    train(study, Book(study), workload, 1)
    return study


def train(study: Study, book: Book, workload: Workload, epochs: int) -> int:
    """Trains the book's next trial for some epochs, records them, and returns its number."""
    trial = book.next()
    folder = study.trial(trial.number)
    new = {"epoch": 0, "checkpoint": None, "kept": None, "round": None, "exploited": None, "outcomes": {}}
    workload.start({"number": trial.number, "config": trial.config, **new})
    rows: list[dict[str, Any]] = []
    for _ in range(epochs):
        done = workload.epoch(trial.thresholds)
        rows.append(done["row"])
        best = judge(rows, maximise=study.config.direction == "maximize", select=study.config.select) is rows[-1]
        folder.record(done["row"], evidence=done["evidence"], checkpoint=done["checkpoint"], best=best)
        book.report(trial.number, done["row"])
    workload.end(None)
    return trial.number


def copy_of_finished(session: Path, root: Path) -> Study:
    """The study ``done`` of two complete trials, trained once a session, in a folder of the test's own."""
    made = session / "finished-studies"
    if not made.exists():
        finished_study(made, name="done", samples=2)
    shutil.copytree(made / "done", root / "done")
    return open_study("done", root)


def copy_of_exported(session: Path, path: Path) -> Path:
    """An export of that study's best trial, written once a session, in a folder of the test's own."""
    made = session / "exported-model"
    if not made.exists():
        root = session / "exported-studies"
        root.mkdir()
        export_study(copy_of_finished(session, root), made)
    shutil.copytree(made, path)
    return path
