"""Stopping: one reason, one interrupt, and none after the search has ended."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raysearch import _signals
from raysearch.search._events import Events
from search.simulator import Log


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set in place of an interrupt of the main thread."""
    event = threading.Event()
    monkeypatch.setattr("raysearch._signals.wake", event.set)
    return event


@pytest.fixture
def events() -> Iterator[Events]:
    _signals.catch()
    events = Events(Log())
    yield events
    events.close()


@pytest.fixture
def insistent(events: Events, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Events:
    """Watching, with little patience."""
    monkeypatch.setattr(Events, "INSIST_SECONDS", 0.1)
    events.watch(tmp_path / "stop")
    return events


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    wait()


def wait() -> None:
    """In short naps: a signal that another thread of the test run takes ends none of them."""
    for _ in range(400):
        time.sleep(0.05)


def lose_an_interrupt(events: Events) -> None:
    """Its exception goes nowhere, as in a destructor."""
    with contextlib.suppress(KeyboardInterrupt):
        press_ctrl_c()
    assert events.stop is not None
    assert events.stop.kind == "interrupt"
    wait()


def test_the_stop_file_stops(tmp_path: Path, interrupted: threading.Event, events: Events) -> None:
    events.watch(tmp_path / "stop")
    assert not interrupted.wait(0.3)
    (tmp_path / "stop").touch()
    assert interrupted.wait(10)
    assert events.stopping
    assert events.stop is not None
    assert events.stop.kind == "stop"


def test_the_end_of_the_time_stops(tmp_path: Path, interrupted: threading.Event, events: Events) -> None:
    events.watch(tmp_path / "stop")
    events.give(0.0)
    assert not events.stopping, "a run in which nothing has begun would not get on"
    events.started(0)
    assert events.stopping
    assert not interrupted.wait(0.5), "what runs is finished"
    assert events.stop is None, "Ctrl-C and 'raysearch stop' are still heard"
    events.leave()
    assert interrupted.is_set()
    assert events.stop is not None
    assert events.stop.kind == "time"


def test_who_waits_for_the_last_epochs_may_still_interrupt_them(
    tmp_path: Path, interrupted: threading.Event, events: Events
) -> None:
    events.watch(tmp_path / "stop")
    events.give(0.0)
    events.started(0)
    (tmp_path / "stop").touch()
    assert interrupted.wait(10)
    assert events.stop is not None
    assert events.stop.kind == "stop"


def test_the_first_reason_stands(interrupted: threading.Event, events: Events) -> None:
    events.fatal("No space left", 28)
    interrupted.clear()
    events.fatal("and more", None)
    assert events.stop is not None
    assert events.stop.reason == "No space left"
    assert not interrupted.is_set(), "one interrupt is enough"


def test_an_interrupt_that_gets_lost_is_on_record_and_repeated(insistent: Events) -> None:
    with pytest.raises(KeyboardInterrupt), insistent.insisting():
        lose_an_interrupt(insistent)


def test_nothing_is_repeated_while_it_cleans_up(insistent: Events) -> None:
    with pytest.raises(KeyboardInterrupt), insistent.insisting():
        press_ctrl_c()
    time.sleep(1)


def test_a_process_that_is_lost_as_the_search_is_stopped_is_no_crash(
    tmp_path: Path, interrupted: threading.Event, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Events, "TOGETHER_SECONDS", 60.0)
    assert not events.about_to_stop(), "nobody could ask for it"
    events.watch(tmp_path / "stop")
    threading.Timer(0.2, (tmp_path / "stop").touch).start()
    assert events.about_to_stop()
    assert events.stop is not None
    assert events.stop.kind == "stop"


def test_nothing_interrupts_after_the_end(tmp_path: Path, interrupted: threading.Event, events: Events) -> None:
    events.watch(tmp_path / "stop")
    events.close()
    (tmp_path / "stop").touch()
    events.fatal("too late", None)
    assert not interrupted.wait(0.5)
    assert events.stop is None
