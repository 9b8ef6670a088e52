"""A study with finished trials, made in this process: prepared, trained and recorded as a search does it, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from raysearch.study import Book, Cluster, Request, Study, prepare, save_study
from raysearch.study._book import judge
from raysearch.study._workload_spec import workload_spec
from raysearch.training import Alone, Workload

SMALL = "phantom:images=60,size=32"


def finished_study(root: Path, *, trials: int = 1, **request: Any) -> Study:
    """A study in `root` whose `trials` trials are complete; `request` is that of `raysearch.study.Request`."""
    wanted = {"method": "cam_avg", "data": SMALL, "epochs": 1, "samples": trials, "slots": 1, "gpus_per_worker": 0.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSEARCH_STUDIES", str(root))
        study = save_study(prepare(Request(**(wanted | request)), Cluster()))
    book = Book(study)
    workload = Workload(workload_spec(study), device=torch.device("cpu"), collective=Alone())
    while book.remaining:
        run_trial(study, book, workload)
    return study


def run_trial(study: Study, book: Book, workload: Workload) -> int:
    """Trains the book's next trial to its end; its number."""
    trial = book.next()
    folder = study.trial(trial.number)
    workload.start({"number": trial.number, "config": trial.config, "checkpoint": None})
    rows: list[dict[str, Any]] = []
    while not rows or not rows[-1]["finished"]:
        done = workload.epoch(trial.thresholds)
        rows.append(done["row"])
        best = judge(rows, maximise=study.config.direction == "maximize", select=study.config.select) is rows[-1]
        folder.record(done["row"], evidence=done["evidence"], checkpoint=done["checkpoint"], best=best)
        book.report(trial.number, done["row"])
    book.close(trial.number, "complete")
    workload.end(None)
    return trial.number
