"""The seam between Tune and the book: hands out trials when there is a place, and tells Optuna the truth about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, Protocol

from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from raysearch import _signals
from raysearch.search._events import TIME_IS_UP, Events
from raysearch.study._book import Assigned, Book

TRIALS_PER_TUNER = 1000
"""Tune's driver keeps every trial that it has seen; a long study runs as successive Tuners on the same slots."""


def next_action(
    *,
    live: int,
    slots: int,
    remaining: int,
    handed_out: int,
    waiting: int = 0,
    held: int = 0,
    due: int = 0,
    ready: int = 0,
    limit: int = TRIALS_PER_TUNER,
) -> Literal["ask", "wait", "finish"]:
    """What to answer when Tune asks for another trial.

    Args:
        live: trials that Tune holds RUNNING or PENDING.
        slots: trials that can run at a time.
        remaining: trials that can be handed out.
        handed_out: by this Tuner so far.
        waiting: paused trials that hold no place, at most as many as there are slots.
        held: trials that wait for others to be compared with, as many as it takes.
        due: paused trials that could go on: they come before new ones.
        ready: of `remaining`, those that had been interrupted: they come first.

    >>> next_action(live=0, slots=1, remaining=3, handed_out=0)
    'ask'
    >>> next_action(live=1, slots=1, remaining=3, handed_out=1)
    'wait'
    >>> next_action(live=0, slots=1, remaining=3, handed_out=1, waiting=1)
    'ask'
    >>> next_action(live=0, slots=1, remaining=3, handed_out=2, waiting=2, due=1)
    'wait'
    >>> next_action(live=0, slots=1, remaining=0, handed_out=3)
    'finish'
    """
    if not remaining or (handed_out >= limit and not held):  # those that are held may wait for a new one
        return "wait" if live or waiting or held else "finish"
    full = live >= slots or live + waiting >= 2 * slots
    return "wait" if full or (due and not ready) else "ask"


class Pausing(Protocol):
    """A scheduler that pauses trials."""

    def refresh(self) -> None:
        """Ends interrupted trials that do not go on."""

    def waiting(self) -> int:
        """Paused trials, as `next_action` counts them."""

    def held(self) -> int:
        """Likewise."""

    def due(self) -> int:
        """Likewise."""

    def lets_go(self, number: int) -> bool:
        """Whether a trial that does not run may go on."""

    def end(self, number: int) -> None:
        """A trial trains no more, or never did."""


class NeverPausing:
    """What a searcher assumes until a scheduler tells it more."""

    def refresh(self) -> None:
        pass

    def waiting(self) -> int:
        return 0

    def held(self) -> int:
        return 0

    def due(self) -> int:
        return 0

    def lets_go(self, number: int) -> bool:
        del number
        return True

    def end(self, number: int) -> None:
        pass


class StudySearcher(Searcher):  # type: ignore[misc]
    """Tune's searcher over a `Book`. Concurrency is decided here, not by Tune's ConcurrencyLimiter. What is written
    into the book at a time is written as a whole, whatever signal arrives meanwhile.

    Args:
        book: the study's trials.
        slots: trials that may run at a time.
        make_config: from a trial to the config that its trainable gets.
        events: told what happens.
    """

    def __init__(
        self, book: Book, *, slots: int, make_config: Callable[[Assigned], dict[str, Any]], events: Events
    ) -> None:
        super().__init__(metric="value", mode="max")
        self._book = book
        self._slots = slots
        self._make_config = make_config
        self._events = events
        self._handed_out = 0
        self._numbers: dict[str, int] = {}
        self._trials: dict[str, Trial] = {}
        self._settled: set[int] = set()
        self._halted = 0
        self._told = False
        self._pausing: Pausing = NeverPausing()

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Tells Tune that its own limiter is not needed."""
        del max_concurrent
        return True

    def attach(self, pausing: Pausing) -> None:
        """Called by a scheduler that pauses trials."""
        self._pausing = pausing

    def settle(self, number: int) -> None:
        """The scheduler ends a trial as complete: nothing in it moves any more."""
        self._settled.add(number)

    def rows(self, number: int) -> list[dict[str, Any]]:
        """What a trial has reported, without what is being reported now."""
        return self._book.rows(number)

    @property
    def time_is_up(self) -> bool:
        """Whether no epoch begins any more."""
        return self._events.time_is_up

    def track(self, trial: Trial) -> None:
        """Called by the scheduler with each trial that Tune made: its status is what counts, not our memory of it."""
        self._trials[trial.trial_id] = trial

    def number(self, trial_id: str) -> int:
        return self._numbers[trial_id]

    @property
    def live(self) -> int:
        return sum(t.status in (Trial.RUNNING, Trial.PENDING) for t in self._trials.values())

    def pending(self) -> Trial | None:
        """The trial that Tune has held PENDING for longest."""
        return next((t for t in self._trials.values() if t.status == Trial.PENDING), None)

    @property
    def queued(self) -> tuple[Assigned, ...]:
        """Interrupted trials that are still to be handed out."""
        return self._book.queued

    def ended_before(self, number: int, state: Literal["pruned", "complete"]) -> None:
        """The scheduler had ended a trial, or would have, when the study was interrupted: it does not go on."""
        if any(assigned.number == number for assigned in self._book.queued):
            self._book.end_queued(number, state)
            self._events.ended(number, state, "")
            self._pass_on()

    @_signals.deferred()
    def suggest(self, trial_id: str) -> Any:
        self._pausing.refresh()
        if self._events.time_is_up:
            self._tell_of_the_time()
            if not self.live and self._unfinished:
                self._events.leave()  # Tune itself ends no search in which trials pause
                return None
        lets_go = self._pausing.lets_go
        queued = len(self.queued)
        ready = sum(lets_go(trial.number) for trial in self.queued)
        action = next_action(
            live=self.live,
            slots=self._slots,
            waiting=self._pausing.waiting(),
            held=self._pausing.held() + queued - ready,
            due=self._pausing.due(),
            ready=ready,
            remaining=0 if self._events.stopping else self._book.remaining - (queued - ready),
            handed_out=self._handed_out,
        )
        if action == "wait":
            return None
        if action == "finish":
            return Searcher.FINISHED
        assigned = self._book.next(lets_go)
        self._pass_on()
        if assigned is None:
            return self.suggest(trial_id)  # nothing is left to be trained
        self._handed_out += 1
        self._numbers[trial_id] = assigned.number
        self._events.started(assigned.number)
        return self._make_config(assigned)

    @_signals.deferred()
    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if "row" in result:
            row = json.loads(result["row"])
            self._book.report(self._numbers[trial_id], row)
            self._events.reported(self._numbers[trial_id], row)
            self._pass_on()

    @_signals.deferred()
    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The last report arrives here, not in `on_trial_result`."""
        number = self._numbers[trial_id]
        self._trials.pop(trial_id, None)
        result = result or {}
        state: Any = "crashed" if error else result.get("state", "running")
        if "row" in result:
            self._book.report(number, json.loads(result["row"]))
        if state == "halted":
            self._halted += 1
            return
        if state in ("crashed", "fatal") and self._events.about_to_stop():
            return  # it goes on
        if state == "fatal":
            self._events.fatal(str(result["reason"]), result.get("errno"))
            return
        reason = str(result.get("reason") or ("its process died" if error else ""))
        if state == "running":
            state = "complete" if number in self._settled else "pruned"
        state, reason = self._book.close(number, state, reason)
        self._events.ended(number, state, reason)
        self._pass_on()

    def _pass_on(self) -> None:
        """Tells what the book has come to know by itself: who ends untrained, and what others wrote to its journal."""
        for number in self._book.untrained():
            self._pausing.end(number)
        for ended in self._book.settled():
            self._events.ended(*ended)
        for text in self._book.heard():
            self._events.told(text)

    def _tell_of_the_time(self) -> None:
        if not self._told:
            for trial in self._trials.values():
                if trial.status == Trial.RUNNING:
                    self._events.noted(self.number(trial.trial_id), f"ends its epoch: {TIME_IS_UP}")
        self._told = True

    @property
    def _unfinished(self) -> bool:
        """Whether there is something left for another run of the study."""
        paused = any(trial.status == Trial.PAUSED for trial in self._trials.values())
        return bool(self._book.remaining or self._halted or paused)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its Tuner for a restore that we do not use."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the book is on disk already, and resume starts from there."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""
