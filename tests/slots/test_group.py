"""A worker's command loop without Ray: which errors end a group, and what is freed between trials."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch

from raysearch.errors import DamagedFileError, DataError, MethodError, RaysearchError
from raysearch.slots import _group
from raysearch.training import Alone, NonFiniteLossError


class Work:
    """A workload of which every command fails."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def run(self, name: str, payload: Any) -> Any:
        raise self.error


def failed(error: BaseException, name: str, *, alone: bool) -> dict[str, Any]:
    answer: dict[str, Any] = _group._run(Work(error), name, None, alone=alone)["error"]  # type: ignore[arg-type]
    return answer


@pytest.mark.parametrize("name", ["epoch", "upstream_epoch"])
@pytest.mark.parametrize(
    ("error", "kind"), [(MethodError("the image is too large"), "refused"), (DamagedFileError("no file"), "damaged")]
)
def test_what_one_of_two_workers_refuses_in_an_epoch_ends_their_group(
    error: RaysearchError, kind: str, name: str
) -> None:
    """The other one waits for its gradients."""
    told = failed(error, name, alone=False)
    assert told == {"kind": kind, "message": str(error), "traceback": "", "retire": True}
    assert failed(error, name, alone=True) == {**told, "retire": False}


@pytest.mark.parametrize("name", ["start", "hold", "upstream", "upstream_outcome", "park", "end", "lacking"])
@pytest.mark.parametrize("error", [DataError("no image"), DamagedFileError("no file")])
def test_a_refusal_while_nobody_waits_leaves_the_group(error: RaysearchError, name: str) -> None:
    assert not failed(error, name, alone=False)["retire"]


def test_an_error_of_one_worker_is_the_answer_of_all() -> None:
    class Two(Alone):
        def __init__(self, other: dict[str, Any]) -> None:
            self.other = other

        def gather(self, value: Any) -> list[Any]:
            return [value, self.other["error"]]

    refused = {"error": failed(MethodError("no such weights"), "start", alone=False)}
    assert _group._agreed({"value": True}, Two(refused)) == refused
    assert _group._agreed({"value": True}, Alone()) == {"value": True}
    short = {"error": failed(torch.cuda.OutOfMemoryError("no memory"), "start", alone=False)}
    for mine, other in ((short, refused), (refused, short)):
        assert _group._agreed(mine, Two(other)) == short, "the one worker cannot go on, so none does"


def test_other_errors() -> None:
    assert not failed(NonFiniteLossError("non-finite loss"), "epoch", alone=False)["retire"], "all have met it"
    assert failed(ValueError("no"), "start", alone=False)["retire"]
    assert not failed(ValueError("no"), "start", alone=True)["retire"]
    assert failed(torch.cuda.OutOfMemoryError("much"), "epoch", alone=True)["kind"] == "out-of-memory"


@pytest.mark.parametrize(
    ("error", "breaks"),
    [
        (RuntimeError("CUDA error: device-side assert triggered"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True),
        (RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm"), True),
        (RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"), True),
        (torch.AcceleratorError("an illegal memory access"), True),
        (RuntimeError("Expected all tensors to be on the same device, but found cuda:0 and cpu!"), False),
        (RuntimeError("Input type (torch.cuda.FloatTensor) and weight type (torch.FloatTensor)"), False),
        (KeyError("loss"), False),
    ],
)
def test_errors_that_leave_the_device_unusable(error: Exception, breaks: bool) -> None:
    assert failed(error, "epoch", alone=True)["retire"] == breaks


def test_a_trial_that_was_parked_and_let_go_is_freed_whatever_refers_to_itself() -> None:
    class Network:
        def __init__(self) -> None:
            self.me = self

    parked = Network()
    there = weakref.ref(parked)
    _group._give_memory_back()
    frozen = gc.get_freeze_count()
    assert there() is not None
    del parked
    _group._give_memory_back()
    assert there() is None
    assert gc.get_freeze_count() == frozen


def test_heartbeats_are_sent_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [100.0, 101.0, 104.9, 105.0, 109.0, 200.0]
    monkeypatch.setattr(_group.time, "monotonic", iter(times).__next__)
    sent: list[int] = []
    beat = _group.at_most_every(5.0, lambda: sent.append(1))
    counts = []
    for _ in times:
        beat()
        counts.append(len(sent))
    assert counts == [1, 1, 1, 2, 2, 3]
