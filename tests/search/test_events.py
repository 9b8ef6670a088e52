"""Stopping: one reason, one interrupt, and none after the search has ended."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from raysearch.search._events import Events
from search.simulator import Log


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set in place of an interrupt of the main thread."""
    event = threading.Event()
    monkeypatch.setattr("raysearch.search._events._thread.interrupt_main", event.set)
    return event


def test_the_stop_file_stops(tmp_path: Path, interrupted: threading.Event) -> None:
    events = Events(Log())
    events.watch(tmp_path / "stop", None)
    assert not interrupted.wait(0.3)
    (tmp_path / "stop").touch()
    assert interrupted.wait(10)
    assert events.stopping
    assert events.stop is not None
    assert events.stop.kind == "stop"


def test_the_end_of_the_time_stops(tmp_path: Path, interrupted: threading.Event) -> None:
    events = Events(Log())
    events.watch(tmp_path / "stop", 0.1)
    assert interrupted.wait(10)
    assert events.stop is not None
    assert events.stop.kind == "time"


def test_the_first_reason_stands(interrupted: threading.Event) -> None:
    events = Events(Log())
    events.fatal("No space left", 28)
    interrupted.clear()
    events.fatal("and more", None)
    assert events.stop is not None
    assert events.stop.reason == "No space left"
    assert not interrupted.is_set(), "one interrupt is enough"


def test_nothing_interrupts_after_the_end(tmp_path: Path, interrupted: threading.Event) -> None:
    events = Events(Log())
    events.watch(tmp_path / "stop", None)
    events.close()
    (tmp_path / "stop").touch()
    events.fatal("too late", None)
    assert not interrupted.wait(0.5)
    assert events.stop is None
