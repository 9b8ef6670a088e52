"""Commands of a worker: what comes back can be written, read and gone on from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from raysearch.data import DataSpec, open_collection
from raysearch.errors import DataError, StudyError
from raysearch.training import Alone, Trainer, Workload, decode, encode
from raysearch.training._parking import Parking
from training.tiny import tiny_assignment, tiny_method

DATA = "phantom:images=40,size=32"


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYSEARCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        collection = open_collection(DataSpec.parse(DATA), "single")
        rows = np.arange(len(collection))
        spec = {
            "method": "training.tiny:Tiny", "data": DATA, "fingerprint": collection.fingerprint,
            "train": rows[:20], "tuning": rows[20:32], "seed": 1,
            "annotated": None, "labelled": rows[:20], "origin": "test", "epochs": 4,
            "rule": {"metric": "f1_plus", "decision": "solve", "per_class": False, "seed": 1},
        }  # fmt: skip
        return Workload(spec, device=torch.device("cpu"), collective=Alone())


THRESHOLDS = {"mask_threshold": 0.5}
CONFIG = {"lr": 0.1, "dropout": 0.2, "noise": 0.0, "batch": 5, "wish": "work"}


PLAN = {
    "number": 1, "first": 2, "epochs": 1, "pauses": (), "thresholds": {}, "proposed": True,
    "taken_back": False, "note": "",
}  # fmt: skip


def begin(workload: Workload, checkpoint: bytes | None = None, **changes: Any) -> bool:
    payload = {
        "number": 4, "config": CONFIG, "checkpoint": checkpoint, "epoch": 0, "kept": None, "round": None,
        "exploited": None, "outcomes": {}, **changes,
    }  # fmt: skip
    return bool(workload.run("start", payload))


def told(row: dict[str, Any]) -> dict[str, Any]:
    """Without what a clock says."""
    losses = {name: value for name, value in row["losses"].items() if name != "train_seconds"}
    return {**row, "losses": losses, "time": 0, "evaluate_seconds": 0}


def test_a_trial_goes_on_in_another_worker(workload: Workload) -> None:
    assert begin(workload)
    answers = [workload.run("epoch", THRESHOLDS) for _ in range(4)]
    assert [answer["row"]["finished"] for answer in answers] == [False, False, False, True]
    workload.run("end", None)
    for done in (1, 2, 3):
        assert begin(workload, answers[done - 1]["checkpoint"], epoch=done)
        again = workload.run("epoch", THRESHOLDS)
        assert told(again["row"]) == told(answers[done]["row"])
        assert again["evidence"] == answers[done]["evidence"]


def test_other_data_is_refused() -> None:
    """A node of a cluster may have files of its own."""
    spec = {
        "method": "training.tiny:Tiny", "data": DATA, "fingerprint": "0" * 64,
        "train": np.arange(20), "tuning": np.arange(20, 32),
    }  # fmt: skip
    with pytest.raises(DataError, match=f"{DATA} has changed since the study was made"):
        Workload(spec, device=torch.device("cpu"), collective=Alone())


def test_a_parked_trial_goes_on_as_if_it_had_never_waited(workload: Workload) -> None:
    begin(workload)
    answers = [workload.run("epoch", THRESHOLDS) for _ in range(4)]
    begin(workload)
    workload.run("epoch", THRESHOLDS)
    workload.run("park", None)
    assert begin(workload, number=5), "another one trains meanwhile"
    workload.run("epoch", THRESHOLDS)
    workload.run("end", None)
    assert begin(workload, epoch=1), "no checkpoint is needed"
    assert told(workload.run("epoch", THRESHOLDS)["row"]) == told(answers[1]["row"])
    workload.run("end", None)
    assert not begin(workload, epoch=2), "it was let go"


def test_a_trial_that_went_on_elsewhere_is_not_taken_for_the_one_that_is_parked(workload: Workload) -> None:
    begin(workload)
    workload.run("epoch", THRESHOLDS)
    workload.run("park", None)
    assert not begin(workload, epoch=2)


def weights(answer: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = decode(answer["checkpoint"], "here")["trainer"]
    return state


def test_what_is_taken_back_are_weights_not_time(workload: Workload) -> None:
    """An epoch trained from the kept weights, at its own place in the schedule and in the data."""
    begin(workload)
    first, second = workload.run("epoch", THRESHOLDS), workload.run("epoch", THRESHOLDS)
    workload.run("park", None)
    assert begin(workload, epoch=2, kept=first["checkpoint"], round=PLAN)
    from_kept = workload.run("epoch", THRESHOLDS)
    assert from_kept["row"]["epoch"] == 3
    assert from_kept["row"]["alternation"]["ends"]
    assert weights(from_kept)["schedule"] == {**weights(second)["schedule"], **weights(from_kept)["schedule"]}
    # the same by hand: the kept weights and momenta, put into the state after the second epoch
    state = weights(second)
    rates = state["optimizer"]["param_groups"]
    state |= {"model": weights(first)["model"], "optimizer": {**weights(first)["optimizer"], "param_groups": rates}}
    by_hand = encode({"trainer": state, "row": {}})
    assert begin(workload, by_hand, epoch=2)
    assert workload.run("epoch", THRESHOLDS)["row"]["value"] == from_kept["row"]["value"]
    assert (
        weights(from_kept)["optimizer"]["param_groups"][0]["lr"]
        < weights(first)["optimizer"]["param_groups"][0]["initial_lr"]
    )


def test_parking_has_a_limit() -> None:
    trainers = [Trainer(tiny_method(), tiny_assignment(), number=number) for number in range(3)]
    parking = Parking(torch.device("cpu"), limit=2 * trainers[0].size)
    for trainer in trainers:
        parking.park(trainer)
    assert parking.take(0, 0) is None, "it waited for longest"
    assert parking.take(1, 0) is trainers[1]
    assert parking.take(1, 0) is None, "it is parked no longer"
    small = Parking(torch.device("cpu"), limit=trainers[0].size - 1)
    small.park(trainers[0])
    assert small.take(0, 0) is None


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
