"""What a search shows: a line a finished trial, and on a terminal a live line below."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search.toy import toy_study

from raysearch.display import Progress, eta_seconds, format_seconds
from raysearch.display import _progress as module
from raysearch.study._study import Study
from raysearch.study._trial_record import TrialRecord

LINE = re.compile(r"^[* ] trial \d+ +(complete|pruned|failed|crashed) ")


class Book:
    """What a display asks of a book."""

    path = Path("no study")

    def __init__(self) -> None:
        self.all: dict[int, TrialRecord] = {}

    def add(self, number: int, value: float | None, state: Any = "complete", **params: Any) -> None:
        self.all[number] = TrialRecord(
            number=number, state=state, value=value, params=params, epochs=1, reason="", result={}, seconds=1.0
        )

    def records(self) -> list[TrialRecord]:
        return list(self.all.values())

    def record(self, number: int) -> TrialRecord:
        return self.all[number]

    def best(self) -> TrialRecord | None:
        return max((r for r in self.all.values() if r.value is not None), key=lambda r: r.value or 0.0, default=None)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return toy_study(tmp_path, samples=8, epochs=4)


def finish(progress: Progress, book: Book, clock: Clock, number: int, value: float | None, **more: Any) -> None:
    """A trial of ten seconds."""
    state, reason = more.pop("state", "complete"), more.pop("reason", "")
    progress.started(number)
    clock.now += 10
    progress.reported(number, {"epoch": 4})
    book.add(number, value, state, **more)
    progress.ended(number, state, reason)


def test_a_line_a_finished_trial_and_nothing_else(study: Study, clock: Clock) -> None:
    out, book = io.StringIO(), Book()
    with Progress(out, study.config) as progress:
        progress.listen(book)  # type: ignore[arg-type]
        finish(progress, book, clock, 0, 0.5, lr=0.012345, mode="plain")
        finish(progress, book, clock, 1, 0.4)
        finish(progress, book, clock, 2, None, state="failed", reason="non-finite loss in epoch 2")
        finish(progress, book, clock, 3, 0.9, state="pruned")
        finish(progress, book, clock, 4, 0.6, backbone="a" * 300)
    lines = out.getvalue().splitlines()
    assert len(lines) == 5
    assert all(LINE.match(line) for line in lines)
    assert lines[0] == "* trial 0    complete  f1_plus 0.5000    10.0 s  lr=0.0123 mode=plain"
    assert lines[2].endswith("non-finite loss in epoch 2")
    assert "f1_plus -  " in lines[2]
    assert [line[0] for line in lines] == ["*", " ", " ", " ", "*"], (
        "the star is for a new best, and complete ones only"
    )
    assert "\x1b" not in out.getvalue()


def test_minimised_metrics_have_their_best_below(tmp_path: Path, clock: Clock) -> None:
    study = toy_study(tmp_path, metric="classification_error", direction="minimize")
    out, book = io.StringIO(), Book()
    with Progress(out, study.config) as progress:
        progress.listen(book)  # type: ignore[arg-type]
        for number, value in enumerate((0.5, 0.6, 0.2, 0.2)):
            finish(progress, book, clock, number, value)
    assert [line[0] for line in out.getvalue().splitlines()] == ["*", " ", "*", " "]


def test_what_earlier_runs_finished_counts(study: Study, clock: Clock) -> None:
    out, book = io.StringIO(), Book()
    book.add(0, 0.8)
    book.add(1, None, "failed")
    book.add(2, None, "running")
    with Progress(out, study.config) as progress:
        progress.listen(book)  # type: ignore[arg-type]
        finish(progress, book, clock, 2, 0.7)
        progress.started(3)
        live = progress._line().plain
    assert out.getvalue()[0] == " ", "trial 0 was better"
    assert "37% | 3/8 trials | best f1_plus 0.8000 (trial 0)" in live


def test_the_live_line(study: Study, clock: Clock) -> None:
    out, book = Terminal(), Book()
    with Progress(out, study.config) as progress:
        assert progress._line().plain == "  starting Ray ..."
        progress.listen(book)  # type: ignore[arg-type]
        progress.started(0)
        assert "ETA -" in progress._line().plain, "nothing is known before the first end"
        finish(progress, book, clock, 1, 0.5)
        progress.reported(0, {"epoch": 3})
        line = progress._line().plain
    assert line == "  12% | 1/8 trials | best f1_plus 0.5000 (trial 1) | running 0 (3/4) | ETA 1m00s"
    assert "starting Ray" in out.getvalue()
    written = [line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", out.getvalue()).splitlines() if line.strip()]
    assert sum(bool(LINE.match(line)) for line in written) == 1


@given(
    durations=st.lists(st.floats(1, 100), min_size=1, max_size=5),
    left=st.integers(-1, 8),
    running=st.lists(st.floats(0, 200), max_size=4),
    slots=st.integers(1, 4),
)
def test_time_to_go_is_within_its_bounds(durations: list[float], left: int, running: list[float], slots: int) -> None:
    eta = eta_seconds(durations, left=left, running=running, slots=slots)
    assert eta is not None
    usual = sorted(durations)[(len(durations) - 1) // 2], sorted(durations)[len(durations) // 2]
    median = sum(usual) / 2
    work = max(0, left) * median + sum(max(0.0, median - t) for t in running)
    assert work / slots - 1e-6 <= eta <= work + 1e-6
    if left > 0:
        assert eta >= median - 1e-6, "a trial that has not begun takes as long as one"
    assert eta_seconds(durations, left=left, running=running, slots=1) == pytest.approx(work)


def test_nothing_left_takes_no_time() -> None:
    assert eta_seconds([3.0], left=0, running=[], slots=2) == 0
    assert eta_seconds([], left=5, running=[1.0], slots=2) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (185, "3m05s"), (3599.6, "1h00m"), (7800, "2h10m"), (90000, "25h00m")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
