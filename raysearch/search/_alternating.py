"""The alternating scheduler: weight training and threshold steps in turn, around whatever scheduler else there is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import ray
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from raysearch.alternation import Next
from raysearch.search._events import Events
from raysearch.search._planner import RoundPlanner, just_taken_over
from raysearch.search._scheduler import StudyScheduler
from raysearch.search._searcher import StudySearcher
from raysearch.search._steps import POLL_SECONDS


@dataclass
class Waiting:
    """A trial between two rounds.

    Attributes:
        following: what it does next.
        step: the threshold step that it waits for, if it needs one.
        turn: rounds that had begun in the study when it was paused.
    """

    following: Next
    step: ray.ObjectRef | None
    turn: int


class AlternatingScheduler(TrialScheduler):  # type: ignore[misc]
    """Pauses a trial at the end of each round and resumes it, under new loss thresholds, when their step is done.

    While a trial waits, its place goes to another one: at most twice as many trials as slots are under way. With one
    slot the order is logical, not a matter of time: a waiting trial goes on when another one has had a round since, or
    when there is nothing else to run, and its step is then waited for.
    """

    def __init__(
        self, base: StudyScheduler, searcher: StudySearcher, planner: RoundPlanner, *, slots: int, events: Events
    ) -> None:
        super().__init__()
        self._base = base
        self._searcher = searcher
        self._planner = planner
        self._slots = slots
        self._events = events
        self._waiting: dict[int, Waiting] = {}
        self._turns = 0
        searcher.attach(self)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: see `StudySearcher`."""
        return {}

    def waiting(self) -> int:
        """Trials between two rounds that the rules let go on."""
        return sum(map(self._base.lets_go, self._waiting))

    def held(self) -> int:
        """Other paused trials."""
        return len(self._base.paused) - self.waiting()

    def due(self) -> int:
        """Paused trials that come before new ones."""
        return sum(map(self._is_due, self._base.paused))

    def refresh(self) -> None:
        """See `StudyScheduler`."""
        self._base.refresh()

    def lets_go(self, number: int) -> bool:
        """Whether the rules let a trial go on that does not run."""
        return self._base.lets_go(number)

    def end(self, number: int) -> None:
        """See `StudyScheduler`."""
        self._base.end(number)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._turns += 1
        self._base.on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        number = self._searcher.number(trial.trial_id)
        decision = self._base.decide(number, result)
        if decision == TrialScheduler.STOP or result["state"] != "running":
            return decision
        row = json.loads(result["row"])
        if row["alternation"]["ends"]:
            rows = [*self._searcher.rows(number), row]
            following = self._planner.after(rows)
            if following.action == "settled":
                self._searcher.settle(number)
                return str(TrialScheduler.STOP)
            self._waiting[number] = Waiting(following, self._planner.think(number, following, rows), self._turns)
        elif decision == TrialScheduler.CONTINUE:
            return decision
        return self._base.pause(tune_controller, trial)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        self._base.on_trial_complete(tune_controller, trial, result)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self._base.on_trial_error(tune_controller, trial)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        self._waiting.pop(self._searcher.number(trial.trial_id), None)
        self._base.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        pending = self._searcher.pending()
        if pending is not None or self._searcher.live >= self._slots:
            return pending
        self._base.settle(tune_controller)
        number = None if self._searcher.time_is_up else self._next_paused()
        return None if number is None else self._go_on(number)

    def debug_string(self) -> str:
        return self._base.debug_string()

    def _is_due(self, number: int) -> bool:
        waiting = self._waiting.get(number)
        if waiting is None or not self._base.lets_go(number):
            return self._base.lets_go(number)
        if self._slots == 1:
            return self._turns > waiting.turn
        return self._planner.ready(waiting.step)

    def _next_paused(self) -> int | None:
        """The trial that pauses for longest among those that are due; with one slot, any that may go on if nothing else
        can run."""
        paused = self._base.paused
        due = next(filter(self._is_due, paused), None)
        return next(filter(self._base.lets_go, paused), None) if due is None and self._slots == 1 else due

    def _go_on(self, number: int) -> Trial | None:
        """Resumes a trial, in its next round if it is between two; None if the study stops while its threshold step is
        waited for."""
        waiting = self._waiting.get(number)
        if waiting is None:
            return self._base.resume(number)
        rows, exploited = self._searcher.rows(number), self._base.exploited(number)
        if just_taken_over(rows, exploited):
            assert exploited is not None
            plan = self._planner.adopt(rows, exploited)
        else:
            while not self._planner.ready(waiting.step, seconds=POLL_SECONDS):
                if self._events.stopping:
                    return None
            config = self._base.paused[number].config["config"]
            plan = self._planner.plan(number, waiting.following, waiting.step, config)
        del self._waiting[number]
        self._turns += 1
        return self._base.resume(number, round=plan)
