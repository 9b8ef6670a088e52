"""Two workers train what one worker trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from raysearch.training import Alone
from training.two_workers import train, train_streams

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return {**train(Alone()), "streams": train_streams(Alone())}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("workers")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "training.two_workers", str(folder), str(rank)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        for worker in workers:
            out, _ = worker.communicate(timeout=100)
            assert worker.returncode == 0, out
    finally:
        for worker in workers:
            worker.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_weights_are_those_of_one_worker(alone: dict[str, Any], both: list[dict[str, Any]]) -> None:
    for name, weight in alone["weights"].items():
        torch.testing.assert_close(both[0]["weights"][name], weight, rtol=1e-5, atol=1e-6)
        assert torch.equal(both[0]["weights"][name], both[1]["weights"][name]), "workers agree bit for bit"


def test_weights_that_no_loss_reaches_are_left_alone(both: list[dict[str, Any]]) -> None:
    """A gradient of zero in place of none would have them decayed."""
    from raysearch.training import Trainer
    from training.tiny import tiny_assignment, tiny_method

    begun = Trainer(tiny_method(), tiny_assignment(epochs=2), number=3).model.state_dict()
    assert torch.equal(both[0]["weights"]["spare.weight"], begun["spare.weight"])
    assert not torch.equal(both[0]["weights"]["body.weight"], begun["body.weight"])


def test_losses_are_means_over_all_images(alone: dict[str, Any], both: list[dict[str, Any]]) -> None:
    for rank in both:
        assert rank["losses"] == [pytest.approx(losses, rel=1e-5) for losses in alone["losses"]]


def test_evidence_is_that_of_one_worker(alone: dict[str, Any], both: list[dict[str, Any]]) -> None:
    for rank in both:
        assert torch.equal(rank["rows"], alone["rows"])
        torch.testing.assert_close(rank["scores"], alone["scores"], rtol=1e-5, atol=1e-6)
        # a map value on the edge of two bins may fall to either side
        assert (rank["foreground"] - alone["foreground"]).abs().sum() <= 4
        assert rank["value"] == pytest.approx(alone["value"], abs=0.02)
        assert rank["value"] == both[0]["value"]


def test_a_loss_that_one_worker_lost_fails_on_both(alone: dict[str, Any], both: list[dict[str, Any]]) -> None:
    assert [rank["refusal"] for rank in both] == ["non-finite loss in epoch 2"] * 2
    assert alone["refusal"] == "non-finite loss in epoch 2"


def test_a_command_reaches_all_workers(both: list[dict[str, Any]]) -> None:
    assert [rank["word"] for rank in both] == ["from rank 0"] * 2


def test_streams_give_the_gradients_of_one_worker(alone: dict[str, Any], both: list[dict[str, Any]]) -> None:
    wanted = alone["streams"]
    assert len(wanted["gradients"]) == 2 + 7, "two steps of 4 labelled images, seven of one masked image"
    assert wanted["losses"][1]["masked"] > 0
    assert wanted["losses"][1]["others"] > 0
    for rank in both:
        assert rank["streams"]["losses"] == [pytest.approx(losses, rel=1e-5, abs=1e-7) for losses in wanted["losses"]]
        for found, gradient in zip(rank["streams"]["gradients"], wanted["gradients"], strict=True):
            torch.testing.assert_close(found, gradient, rtol=1e-4, atol=1e-6)
