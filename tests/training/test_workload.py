"""Commands of a worker: what comes back can be written, read and gone on from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from raysearch.data import DataSpec, open_collection
from raysearch.errors import StudyError
from raysearch.training import Alone, Workload, decode

DATA = "phantom:images=40,size=32"


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSEARCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        collection = open_collection(DataSpec.parse(DATA), "single")
        rows = np.arange(len(collection))
        spec = {
            "method": "training.tiny:Tiny", "data": DATA, "train": rows[:20], "tuning": rows[20:32], "seed": 1,
            "epochs": 2, "rule": {"metric": "f1_plus", "decision": "solve", "per_class": False, "seed": 1},
        }  # fmt: skip
        return Workload(spec, device=torch.device("cpu"), collective=Alone())


THRESHOLDS = {"mask_threshold": 0.5}
CONFIG = {"lr": 0.1, "dropout": 0.2, "noise": 0.0, "batch": 5, "wish": "work"}


def begin(workload: Workload, checkpoint: bytes | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = workload.run("start", {"number": 4, "config": CONFIG, "checkpoint": checkpoint})
    return answer


def told(row: dict[str, Any]) -> dict[str, Any]:
    """Without what a clock says."""
    losses = {name: value for name, value in row["losses"].items() if name != "train_seconds"}
    return {**row, "losses": losses, "time": 0, "evaluate_seconds": 0}


def test_a_trial_goes_on_in_another_worker(workload: Workload) -> None:
    assert begin(workload) == {"epoch": 0, "epochs": 2}
    first, second = workload.run("epoch", THRESHOLDS), workload.run("epoch", THRESHOLDS)
    assert [answer["row"]["finished"] for answer in (first, second)] == [False, True]
    workload.run("end", None)
    assert begin(workload, first["checkpoint"]) == {"epoch": 1, "epochs": 2}
    again = workload.run("epoch", THRESHOLDS)
    assert told(again["row"]) == told(second["row"])
    assert again["evidence"] == second["evidence"]


def test_a_row_survives_text_and_checkpoint(workload: Workload) -> None:
    """A number of NumPy's would be refused when the checkpoint is read again."""
    begin(workload)
    answer = workload.run("epoch", THRESHOLDS)
    row = answer["row"]
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert decode(answer["checkpoint"], "here")["row"] == row
    assert row["metrics"]["f1_plus"] == row["value"]
    assert row["losses"]["train_seconds"] > 0
    assert row["evaluate_seconds"] > 0


def test_a_damaged_checkpoint_is_refused_by_name(workload: Workload) -> None:
    with pytest.raises(StudyError, match="checkpoint of trial 4 is not a checkpoint of raysearch"):
        begin(workload, b"rubbish")
