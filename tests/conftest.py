"""What all tests share: studies and caches in folders of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from raysearch import _signals

settings.register_profile("raysearch", deadline=None)  # a slow machine is no failure
settings.load_profile("raysearch")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies of a test are its own; decoded data is shared by the tests of a session."""
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(tmp_path / "studies"))
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """A command that ran in this process leaves the signals to pytest again."""
    yield
    _signals.release()
