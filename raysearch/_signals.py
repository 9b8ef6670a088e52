"""How this process is asked to end: the signals that stop it as Ctrl-C does, and what is said of them.

They are blocked in all threads and taken by one that does nothing else. So no handler that a library installs is ever
called (Ray's ends the process, its compiled part aborts it, Tune's of SIGUSR1 lets the training go on), processes that
this one starts are deaf to what is sent to the whole group or container (it is this one that ends them), and a process
that hangs can still be asked to end.

The first signal raises KeyboardInterrupt in the main thread, or at the end of `deferred`. The second one finds it
ending. The third one ends it on the spot, after the clean-up that cannot be left out (`at_once`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

STOPPING = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXCPU,
)
"""Ctrl-C, and what containers, service managers, batch systems and terminals send before they kill."""

WAKE = int(signal.SIGRTMAX) - 1
"""Sent to the main thread by `wake`, and by nobody else."""
DONE = int(signal.SIGRTMAX) - 2
"""Sent to the thread that takes signals when there are no more to take."""

SAME_SECONDS = 0.2
"""Within which another signal is the same request: it was sent to the process and to its group, or by two wrappers."""

AGAIN_SECONDS = 0.01
"""After which an interrupt that was lost is raised again."""

THE_LAST = 3
"""The signal, counted, that ends the process on the spot."""


class _State:
    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.hook = sys.unraisablehook
        self.thread: threading.Thread | None = None
        self.first: signal.Signals | None = None
        self.count = 0
        self.counted_at = 0.0
        self.over = False
        self.deferring = 0
        self.pending = False


_state = _State()
_listeners: list[Callable[[], object]] = []
_clean_ups: list[Callable[[], object]] = []


def catch() -> None:
    """Has `STOPPING` stop this process as Ctrl-C does, from here on. A signal that was ignored when the process began
    (``nohup``) stays ignored. For the main thread, before there are others: they inherit what is blocked."""
    global _state
    if _state.thread is not None and not _state.over:
        return
    release()
    _state = _State()
    taken = [number for number in STOPPING if not _ignored(number)]
    for number in (*taken, WAKE):
        _state.before[number] = signal.signal(number, _handle)  # should there be a thread that does not block it
    signal.pthread_sigmask(signal.SIG_BLOCK, {*taken, DONE})
    sys.unraisablehook = _unraisable
    _state.thread = threading.Thread(target=_take, args=({*taken, DONE},), name="signals", daemon=True)
    _state.thread.start()


def _ignored(number: signal.Signals) -> bool:
    """A shell without job control has SIGINT and SIGQUIT ignored in what it starts in the background, to keep the
    terminal's Ctrl-C from it; that is no wish to be deaf to ``kill -INT``."""
    in_background = number == signal.SIGINT and signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN
    return signal.getsignal(number) is signal.SIG_IGN and not in_background


def ended() -> None:
    """All is said and done: what arrives from now on changes nothing."""
    _state.over = True


def release() -> None:
    """Signals do again what they did before `catch`."""
    thread, _state.thread = _state.thread, None
    if thread is None:
        return
    _state.over = True
    assert thread.ident is not None
    signal.pthread_kill(thread.ident, DONE)
    thread.join()
    for number, handler in _state.before.items():
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_state.before, DONE})
    sys.unraisablehook = _state.hook


def wake() -> None:
    """Raises KeyboardInterrupt in the main thread, from any thread, without counting as a signal."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, WAKE if _state.thread is not None else signal.SIGINT)


def arrived() -> bool:
    """Whether a signal has asked this process to end."""
    return _state.first is not None


def exit_code() -> int:
    """128 + the number of the signal that came first; that of Ctrl-C if none was seen."""
    return 128 + (_state.first or signal.SIGINT)


def reason() -> str:
    """Why the process was stopped, in a word."""
    return "interrupted" if _state.first in (None, signal.SIGINT) else _state.first.name


def farewell() -> str:
    """The last words of a command that has nothing to go on with."""
    return reason() if reason() == "interrupted" else f"stopped by {reason()}"


@contextlib.contextmanager
def listening(listener: Callable[[], None]) -> Iterator[None]:
    """Within it `listener` is told of each signal, and of `wake`, before anything is raised."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Within it nothing is raised; what arrived is raised at the end. For the main thread."""
    _state.deferring += 1
    try:
        yield
    finally:
        _state.deferring -= 1
        if not _state.deferring and _state.pending:
            _state.pending = False
            raise KeyboardInterrupt


@contextlib.contextmanager
def at_once(clean_up: Callable[[], object]) -> Iterator[None]:
    """Within it `clean_up` is called, in another thread, if the process has to end on the spot."""
    _clean_ups.append(clean_up)
    try:
        yield
    finally:
        _clean_ups.remove(clean_up)


def unblock_in_children() -> None:
    """For a process that was started with `STOPPING` blocked: those that it forks hear them again, as whoever ends them
    expects."""
    os.register_at_fork(after_in_child=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING))


def _take(numbers: set[int]) -> None:
    """The thread that takes signals."""
    while (number := signal.sigwait(numbers)) != DONE:
        _received(number)


def _received(number: int) -> None:
    now = time.monotonic()
    repeats = now < _state.counted_at + SAME_SECONDS or (number == signal.SIGXCPU and _state.count)  # one a second
    if _state.over or repeats:
        return
    _state.first = _state.first or signal.Signals(number)
    _state.count, _state.counted_at = _state.count + 1, now
    if _state.count >= THE_LAST:
        _end_at_once()
    elif _state.count == 1:
        wake()


def _handle(number: int, frame: FrameType | None) -> None:
    """The main thread was woken, or a signal found a thread that did not block it."""
    del frame
    if number != WAKE:
        _received(number)
        return
    if _state.over:
        return
    for listener in tuple(_listeners):
        listener()
    if _state.deferring:
        _state.pending = True
        return
    raise KeyboardInterrupt


def _unraisable(unraisable: Any) -> None:
    """An interrupt that fell into a destructor, a callback of compiled code or the like is lost: it is raised again."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        if not _state.over:
            threading.Timer(AGAIN_SECONDS, wake).start()  # raised in here it would be lost too
        return
    _state.hook(unraisable)


def _end_at_once() -> None:
    _state.over = True
    for clean_up in reversed(_clean_ups):
        with contextlib.suppress(Exception):
            clean_up()
    os._exit(exit_code())
