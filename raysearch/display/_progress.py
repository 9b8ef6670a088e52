"""One line a finished trial, and below them a live line: best value, running trials, percentage, time to go."""

from __future__ import annotations

import contextlib
import math
import statistics
import threading
import time
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from raysearch import _signals
from raysearch._text import counted, one_line
from raysearch.study._book import Book
from raysearch.study._config import StudyConfig
from raysearch.study._upstream import unfinished

REFRESH_PER_SECOND = 4


class Progress:
    """Listens to a search and draws on `terminal`. Where that is no terminal, only the lines of finished trials are
    written. Use as a context manager."""

    def __init__(self, terminal: IO[str], config: StudyConfig) -> None:
        self._console = Console(file=terminal, highlight=False, soft_wrap=True)
        self._config = config
        self._book: Book | None = None
        self._live: Live | None = None
        self._at_once = contextlib.ExitStack()
        self._running: dict[int, tuple[float, int]] = {}
        self._durations: list[float] = []
        self._finished = 0
        self._best: float | None = None
        self._best_number: int | None = None
        self._phase = "starting Ray"
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=self._line,
                refresh_per_second=REFRESH_PER_SECOND,
                transient=True,
                redirect_stdout=False,  # what libraries print goes to the study's log
                redirect_stderr=False,
            )
            self._live.__enter__()
            self._at_once.enter_context(_signals.at_once(self._console.show_cursor))
        return self

    def __exit__(self, *exception: Any) -> None:
        self._at_once.close()
        if self._live is not None:
            self._live.__exit__(*exception)

    def listen(self, book: Book) -> Progress:
        """Takes up a book: what earlier runs of the study finished counts."""
        self._book = book
        records = book.records()
        self._finished = sum(r.state != "running" for r in records)
        best = book.best()
        if best is not None:
            self._best, self._best_number = best.value, best.number
        return self

    def started(self, number: int) -> None:
        with self._lock:
            self._phase = ""
            self._running[number] = (time.monotonic(), 0)

    def reported(self, number: int, row: dict[str, Any]) -> None:
        with self._lock:
            begun, _ = self._running.get(number, (time.monotonic(), 0))
            self._running[number] = (begun, int(row["epoch"]))

    def ended(self, number: int, state: str, reason: str) -> None:
        with self._lock:
            begun, _ = self._running.pop(number, (math.nan, 0))
            seconds = time.monotonic() - begun
            if seconds == seconds:  # of one that was trained
                self._durations.append(seconds)
            self._finished += 1
        assert self._book is not None
        record = self._book.record(number)
        maximise = self._config.direction == "maximize"
        better = (
            state == "complete"
            and record.value is not None
            and (self._best is None or (record.value > self._best if maximise else record.value < self._best))
        )
        if better:
            self._best, self._best_number = record.value, number
        value = f"{record.value:.4f}" if record.value is not None else "-"
        params = " ".join(f"{k}={_short(v)}" for k, v in record.params.items())
        mark = "*" if better else " "
        took = f"{seconds:6.1f} s" if seconds == seconds else f"{'-':>8}"
        line = f"{mark} trial {number:<4} {state:<9} {self._config.metric} {value:<7} {took}  {params} {reason}"
        self._console.print(Text(one_line(line.rstrip())))

    def noted(self, number: int, text: str) -> None:
        """Something went otherwise than it should in a trial that goes on."""
        self._console.print(Text(one_line(f"  trial {number:<4} {text}")))

    def told(self, text: str) -> None:
        """Something happened to the study as a whole."""
        self._console.print(Text(one_line(f"note: {text}")))

    def _line(self) -> Text:
        with self._lock:
            samples = self._config.budget.samples
            if self._phase:
                return Text(f"  {self._phase} ...", style="dim")
            epochs = self._config.budget.epochs
            running = ", ".join(f"{n} ({e}/{epochs})" for n, (_, e) in sorted(self._running.items()))
            eta = eta_seconds(
                self._durations,
                left=samples - self._finished - len(self._running),
                running=[time.monotonic() - begun for begun, _ in self._running.values()],
                slots=self._config.resources.slots,
            )
            best = "-" if self._best is None else f"{self._best:.4f} (trial {self._best_number})"
            parts = [
                f"{100 * self._finished // samples}%",
                f"{self._finished}/{counted(samples, 'trial')}",
                f"best {self._config.metric} {best}",
                f"running {running or '-'}",
                *self._shared(),
                f"ETA {'-' if eta is None else format_seconds(eta)}",
            ]
        return Text(one_line("  " + " | ".join(parts)), style="bold", no_wrap=True, overflow="ellipsis")

    def _shared(self) -> list[str]:
        """What trials wait for before their first epoch."""
        if self._book is None:
            return []
        return [f"{work.name} to share ({work.epoch}/{work.epochs})" for work in unfinished(self._book.path)]


def eta_seconds(durations: list[float], *, left: int, running: list[float], slots: int) -> float | None:
    """Seconds until a search ends, from the median duration of its finished trials; None before the first.

    Args:
        left: trials that have not begun.
        running: seconds that each running trial has taken so far.

    >>> eta_seconds([10.0], left=4, running=[5.0, 5.0], slots=2)
    25.0
    >>> eta_seconds([10.0], left=0, running=[4.0], slots=2)
    6.0
    """
    if not durations:
        return None
    usual = statistics.median(durations)
    pieces = [max(0.0, usual - seconds) for seconds in running] + [usual] * max(0, left)
    # shared out evenly, but no trial is divided between slots
    return max(sum(pieces) / slots, max(pieces, default=0.0))


def format_seconds(seconds: float) -> str:
    """Short: 42s, 3m05s, 2h10m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
