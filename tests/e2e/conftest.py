"""The command line as a user runs it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

SMALL = ("--data", "phantom:images=60,size=32", "--fix", "batch=12")
TIMEOUT = 300
TESTS = str(Path(__file__).parents[1])


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "raysearch", *arguments]


def cli(*arguments: str, timeout: float = TIMEOUT) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=timeout, check=False)


def status(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(cli("status", name, "--json").stdout)
    return answer


def rows(studies: Path, name: str, number: int) -> list[dict[str, Any]]:
    """Lines of a trial's metrics.jsonl."""
    path = studies / name / "trials" / str(number) / "metrics.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"it ended by itself: {process.communicate()}"
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def strangers_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", TESTS)


@pytest.fixture
def studies() -> Path:
    return Path(os.environ["RAYSEARCH_STUDIES"])


@pytest.fixture
def begin() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command in the background; whatever it started is gone when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def begin_command(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield begin_command
    for process in started:
        if process.poll() is None:
            kill_tree(process.pid)
        process.communicate()


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where searches put what is temporary: a folder of the test's own, on a path that is short enough."""
    with tempfile.TemporaryDirectory(prefix="rs", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def kill_tree(pid: int) -> None:
    """``kill -9`` of a process and of what it started."""
    victims = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGKILL)
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue


def train_workers(pid: int) -> list[psutil.Process]:
    """Ray Train's worker processes below a driver."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            if "RayTrainWorker" in " ".join(process.cmdline()) or "RayTrainWorker" in process.name():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
