"""Two workers train what one worker trains, whatever the method: its upstream work, its stages and its streams.

Batch norms are frozen and there is no dropout; noise and augmentation are keyed by image, and stay.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from methods_worker import CASES
from torch import Tensor

WORKERS = ((0, 1), (0, 2), (1, 2))
"""Rank and number of workers: one alone, and two together."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder, script = tmp_path_factory.mktemp("workers"), str(Path(__file__).with_name("methods_worker.py"))
    workers = [
        subprocess.Popen(
            [sys.executable, script, str(folder), str(rank), str(count)],
            env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rank, count in WORKERS
    ]  # fmt: skip
    try:
        for worker in workers:
            out, _ = worker.communicate(timeout=300)
            assert worker.returncode == 0, out
    finally:
        for worker in workers:
            worker.kill()
    return [torch.load(folder / f"{rank} of {count}.pt", weights_only=True) for rank, count in WORKERS]


def assert_close(found: Tensor, wanted: Tensor, where: str, rtol: float, atol: float) -> None:
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=atol, msg=lambda text: f"{where}: {text}")


@pytest.mark.parametrize("name", CASES)
def test_losses_and_gradients_are_those_of_one_worker(name: str, trained: list[dict[str, Any]]) -> None:
    alone, *both = (found[name] for found in trained)
    for rank in both:
        assert rank.keys() == alone.keys()
        for work, wanted in alone.items():
            found = rank[work]
            assert found["losses"] == [pytest.approx(losses, rel=1e-9, abs=1e-12) for losses in wanted["losses"]], work
            for step, (ours, theirs) in enumerate(zip(found["gradients"], wanted["gradients"], strict=True)):
                assert ours.keys() == theirs.keys()
                for parameter, gradient in theirs.items():
                    where = f"{work}, step {step}, {parameter}"
                    assert_close(ours[parameter], gradient, where, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_what_is_left_is_that_of_one_worker(name: str, trained: list[dict[str, Any]]) -> None:
    alone, first, second = (found[name] for found in trained)
    for work, wanted in alone.items():
        left, other = first[work]["left"], second[work]["left"]
        assert left.keys() == other.keys() == wanted["left"].keys()
        for part, value in wanted["left"].items():
            assert torch.equal(left[part], other[part]), f"{work}, {part}: workers agree bit for bit"
            # upstream work leaves single precision
            assert_close(left[part], value, f"{work}, {part}", rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_every_step_learns_something(name: str, trained: list[dict[str, Any]]) -> None:
    """Equal zeros would be no evidence."""
    gradients = [step for work in trained[0][name].values() for step in work["gradients"]]
    assert len(gradients) >= 3
    for step in gradients:
        assert any(bool(gradient.any()) for gradient in step.values())
