"""The seam between Tune and the book: hands out trials when there is a place, and tells Optuna the truth about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from raysearch.search._events import Events
from raysearch.study._book import Assigned, Book

TRIALS_PER_TUNER = 1000
"""Tune's driver keeps every trial that it has seen; a long study runs as successive Tuners on the same slots."""


def next_action(
    *, live: int, slots: int, ready: int, remaining: int, handed_out: int, limit: int = TRIALS_PER_TUNER
) -> Literal["ask", "wait", "finish"]:
    """What to answer when Tune asks for another trial.

    Args:
        live: trials that Tune holds RUNNING or PENDING.
        slots: trials that can run at a time.
        ready: paused trials that could go on: they come before new ones.
        remaining: trials that are still to be handed out.
        handed_out: by this Tuner so far.

    >>> next_action(live=0, slots=1, ready=0, remaining=3, handed_out=0)
    'ask'
    >>> next_action(live=1, slots=1, ready=0, remaining=3, handed_out=1)
    'wait'
    >>> next_action(live=0, slots=1, ready=0, remaining=0, handed_out=3)
    'finish'
    """
    if not remaining or handed_out >= limit:
        return "wait" if live or ready else "finish"
    return "wait" if live >= slots or ready else "ask"


class StudySearcher(Searcher):  # type: ignore[misc]
    """Tune's searcher over a `Book`. Concurrency is decided here, not by Tune's ConcurrencyLimiter.

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

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Tells Tune that its own limiter is not needed."""
        del max_concurrent
        return True

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

    def stopped_before(self, number: int) -> None:
        """The scheduler had stopped a trial when the study was interrupted: it does not go on."""
        if self._book.queued(number):
            self._book.prune(number)
            self._events.ended(number, "pruned", "")

    def suggest(self, trial_id: str) -> Any:
        action = next_action(
            live=self.live,
            slots=self._slots,
            ready=0,
            remaining=0 if self._events.stopping else self._book.remaining,
            handed_out=self._handed_out,
        )
        if action == "wait":
            return None
        if action == "finish":
            return Searcher.FINISHED
        assigned = self._book.next()
        self._handed_out += 1
        self._numbers[trial_id] = assigned.number
        self._events.started(assigned.number)
        return self._make_config(assigned)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if "row" in result:
            row = json.loads(result["row"])
            self._book.report(self._numbers[trial_id], row)
            self._events.reported(self._numbers[trial_id], row)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The last report arrives here, not in `on_trial_result`."""
        number = self._numbers[trial_id]
        self._trials.pop(trial_id, None)
        result = result or {}
        state: Any = "crashed" if error else result.get("state", "running")
        if "row" in result:
            self._book.report(number, json.loads(result["row"]))
        if state == "fatal":
            self._events.fatal(str(result["reason"]), result.get("errno"))
            return
        reason = str(result.get("reason") or ("its process died" if error else ""))
        state, reason = self._book.close(number, "pruned" if state == "running" else state, reason)
        self._events.ended(number, state, reason)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its Tuner for a restore that we do not use."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the book is on disk already, and resume starts from there."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""
