"""What a running search tells its display, and how it is asked to stop."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from raysearch import _signals
from raysearch.search._clock import deadline_in, is_over

StopKind = Literal["interrupt", "stop", "time", "fatal"]

TIME_IS_UP = "the time of --time is used up"


class Listener(Protocol):
    """A display."""

    def started(self, number: int) -> None: ...

    def reported(self, number: int, row: dict[str, Any]) -> None: ...

    def ended(self, number: int, state: str, reason: str) -> None: ...

    def noted(self, number: int, text: str) -> None: ...

    def told(self, text: str) -> None: ...


@dataclass(frozen=True)
class Stop:
    """Why a search ended before its budget of trials."""

    kind: StopKind
    reason: str
    errno: int | None = None


class Events:
    """Passes events on and holds the reason to stop. Stopping interrupts the main thread, as Ctrl-C does: there is one
    way out of a running search, and what was finished is on disk already."""

    INSIST_SECONDS = 10.0
    """After which an interrupt that nothing came of is repeated: Python drops one that falls into a destructor or into
    a callback of compiled code."""

    TOGETHER_SECONDS = 1.0
    """In which processes that are ended together have all heard of it."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.stop: Stop | None = None
        self.deadline: float | None = None
        """After which no epoch begins, of `time.monotonic`."""
        self._begun = False
        self._ended = threading.Event()
        self._lock = threading.RLock()  # a signal may find the main thread inside
        self._insist_at: float | None = None
        self._insists = False
        self._watching = False
        self._listening = contextlib.ExitStack()

    @property
    def stopping(self) -> bool:
        return self.stop is not None or self.time_is_up

    @property
    def time_is_up(self) -> bool:
        """Whether running epochs are the last ones of this run: they are finished, and nothing is interrupted. Never
        before the first trial was handed out: every run gets on."""
        return self._begun and is_over(self.deadline)

    def give(self, seconds: float | None) -> None:
        """Starts the time that the search may take, or does not limit it."""
        self.deadline = deadline_in(seconds)

    def leave(self) -> None:
        """The time is up, and nothing runs any more."""
        self._stop(Stop("time", TIME_IS_UP))

    def started(self, number: int) -> None:
        self._begun = True
        self._listener.started(number)

    def reported(self, number: int, row: dict[str, Any]) -> None:
        self._listener.reported(number, row)

    def ended(self, number: int, state: str, reason: str) -> None:
        self._listener.ended(number, state, reason)

    def noted(self, number: int, text: str) -> None:
        self._listener.noted(number, text)

    def told(self, text: str) -> None:
        """Of the study as a whole."""
        self._listener.told(text)

    def fatal(self, reason: str, errno: int | None) -> None:
        self._stop(Stop("fatal", reason, errno))

    def watch(self, stop_file: Path) -> None:
        """Starts a thread that stops the search when `stop_file` appears, and listens to the signals that stop the
        process. For the main thread."""

        def loop() -> None:
            while not self._ended.wait(0.2):
                if self.stop is not None:
                    self._insist()
                elif stop_file.exists():
                    self._stop(Stop("stop", "'raysearch stop' asked for it"))

        self._watching = True
        self._listening.enter_context(_signals.listening(self._interrupted))
        threading.Thread(target=loop, name="stop-watch", daemon=True).start()

    @contextlib.contextmanager
    def insisting(self) -> Iterator[None]:
        """Within it an interrupt that nothing comes of is repeated; what follows may clean up in peace."""
        self._insists = True
        try:
            yield
        finally:
            with self._lock:
                self._insists = False

    def about_to_stop(self) -> bool:
        """Whether the search is being stopped, for one that has just lost a process: what ends a whole batch job or
        cluster reaches its processes one after the other."""
        deadline = time.monotonic() + self.TOGETHER_SECONDS
        while self._watching and self.stop is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.stop is not None

    def close(self) -> None:
        """After it nothing interrupts the main thread any more but a signal."""
        with self._lock:
            self._ended.set()
        self._listening.close()

    def _interrupted(self) -> None:
        """The reason is on record even if the exception that follows gets lost."""
        with self._lock:
            self.stop = self.stop or Stop("interrupt", _signals.reason())
            self._insist_at = time.monotonic() + self.INSIST_SECONDS

    def _stop(self, stop: Stop) -> None:
        with self._lock:
            if self.stop is None and not self._ended.is_set():
                self.stop = stop
                _signals.wake()

    def _insist(self) -> None:
        with self._lock:
            if self._insists and self._insist_at is not None and time.monotonic() > self._insist_at:
                self._insist_at = None
                _signals.wake()
