"""The alternating scheduler: weight training and threshold steps in turn, around whatever scheduler else there is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from raysearch.alternation import Next, StepRule, Thresholds, distance, outcomes, rounds_of, what_next
from raysearch.method import LossThreshold, by_class, load_method
from raysearch.search._events import Events
from raysearch.search._scheduler import StudyScheduler
from raysearch.search._searcher import StudySearcher
from raysearch.search._steps import POLL_SECONDS, StepFailedError, ThresholdSteps
from raysearch.space import AnySpace, FloatRange, space_from_dict
from raysearch.study._book import Assigned
from raysearch.study._study import Study

Rows = list[dict[str, Any]]


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


class Alternation:
    """What a trial trains under next: the threshold step and its outcome as a plan for the trainable."""

    def __init__(
        self,
        steps: ThresholdSteps,
        *,
        rule: StepRule,
        epochs: int,
        evidence: Callable[[int], Path],
        events: Events,
    ) -> None:
        self._steps = steps
        self._events = events
        self._rule = rule
        self._epochs = epochs
        self._evidence = evidence

    def after(self, rows: Rows) -> Next:
        """What follows these rows of a trial."""
        return what_next(rounds_of(rows))

    def think(self, number: int, following: Next, rows: Rows) -> ray.ObjectRef | None:
        """Begins the threshold step that a trial needs, if it needs one."""
        if following.action != "propose":
            return None
        history = outcomes(rounds_of(rows))
        return self._steps.start(number, following, history, self._evidence(number))

    def ready(self, step: ray.ObjectRef | None, *, seconds: float = 0.0) -> bool:
        """Whether a step is done, waiting for at most some seconds."""
        return step is None or self._steps.ready(step, seconds=seconds)

    def plan(self, number: int, following: Next, step: ray.ObjectRef | None, config: dict[str, Any]) -> dict[str, Any]:
        """The next round of a trial, for the trainable; waits for the step. One that failed keeps the thresholds."""
        kept = following.thresholds or initial(config, self._rule)
        thresholds, notes = kept, tuple[str, ...]()
        try:
            if step is not None:
                proposal = self._steps.proposal(step)
                thresholds, notes = proposal.thresholds, proposal.notes
        except StepFailedError as error:
            notes = (str(error),)
            self._events.noted(number, f"round {following.number}: {error}")
        return {
            "number": following.number,
            "epochs": self._epochs,
            "thresholds": thresholds,
            "proposed": distance(thresholds, kept) > 0,
            "taken_back": following.take_back,
            "note": "; ".join(notes),
        }

    def adopt(self, rows: Rows, exploited: dict[str, Any]) -> dict[str, Any]:
        """The next round of a trial that has just taken over weights, settings and kept thresholds of another one."""
        return {
            "number": rows[-1]["alternation"]["round"] + 1,
            "epochs": self._epochs,
            "thresholds": exploited["loss_thresholds"],
            "proposed": False,
            "taken_back": False,
            "note": "",
        }

    def resume(self, trial: Assigned, exploited: dict[str, Any] | None) -> dict[str, Any]:
        """The round that a new trial begins with, or an interrupted one goes on with; `exploited` is what it took over
        from another one."""
        if just_taken_over(trial.rows, exploited):
            assert exploited is not None
            return self.adopt(trial.rows, exploited)
        following = self.after(trial.rows)
        if following.action == "train" and trial.rows:
            facts = trial.rows[-1]["alternation"]
            shared = ("thresholds", "proposed", "taken_back", "note")
            return {"number": facts["round"], "epochs": self._epochs, **{key: facts[key] for key in shared}}
        return self.plan(trial.number, following, self.think(trial.number, following, trial.rows), trial.config)


def start_alternation(study: Study, events: Events) -> Alternation:
    """The alternation of a study whose loss thresholds alternate; Ray has to be up."""
    config = study.config
    assert config.alternate is not None
    method = load_method(config.method)
    space = space_from_dict(config.space, method)
    rule = StepRule(
        proposer=config.alternate,
        specs=tuple(narrowed(spec, space) for spec in method.loss_thresholds),
        moved=space.alternated,
        classes=tuple(config.classes),
        slack_weight=config.slack_weight,
        seed=config.seed,
    )
    return Alternation(
        ThresholdSteps(rule),
        rule=rule,
        epochs=config.round_epochs,
        evidence=lambda number: study.trial(number).last_evidence,
        events=events,
    )


def narrowed(spec: LossThreshold, space: AnySpace) -> LossThreshold:
    """A loss threshold within the range that the study's search space gives it."""
    parameter = space.parameters[spec.name]
    if parameter.fraction_of is not None or not isinstance(parameter.domain, FloatRange):
        return spec
    return replace(spec, low=max(spec.low, parameter.domain.low), high=min(spec.high, parameter.domain.high))


def just_taken_over(rows: Rows, exploited: dict[str, Any] | None) -> bool:
    """Whether a trial has not trained since it took something over from another one."""
    return exploited is not None and bool(rows) and rows[-1]["epoch"] == exploited["epoch"]


def initial(config: dict[str, Any], rule: StepRule) -> Thresholds:
    """The thresholds of a trial's settings, by class."""
    return {
        spec.name: dict(zip(rule.classes, by_class(config[spec.name], rule.classes), strict=True))
        for spec in rule.specs
    }


class AlternatingScheduler(TrialScheduler):  # type: ignore[misc]
    """Pauses a trial at the end of each round and resumes it, under new loss thresholds, when their step is done.

    While a trial waits, its place goes to another one: at most twice as many trials as slots are under way. With one
    slot the order is logical, not a matter of time: a waiting trial goes on when another one has had a round since, or
    when there is nothing else to run, and its step is then waited for.
    """

    def __init__(
        self, base: StudyScheduler, searcher: StudySearcher, alternation: Alternation, *, slots: int, events: Events
    ) -> None:
        super().__init__()
        self._base = base
        self._searcher = searcher
        self._alternation = alternation
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

    def close_settled(self, queued: Sequence[Assigned]) -> None:
        """Ends interrupted trials that had settled when the study was interrupted."""
        for trial in queued:
            if self._alternation.after(trial.rows).action == "settled":
                self._base.end_queued(trial.number, "complete")

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
            following = self._alternation.after(rows)
            if following.action == "settled":
                self._searcher.settle(number)
                return str(TrialScheduler.STOP)
            self._waiting[number] = Waiting(following, self._alternation.think(number, following, rows), self._turns)
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
        number = self._next_paused()
        return None if number is None else self._go_on(number)

    def debug_string(self) -> str:
        return self._base.debug_string()

    def _is_due(self, number: int) -> bool:
        waiting = self._waiting.get(number)
        if waiting is None or not self._base.lets_go(number):
            return self._base.lets_go(number)
        if self._slots == 1:
            return self._turns > waiting.turn
        return self._alternation.ready(waiting.step)

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
            plan = self._alternation.adopt(rows, exploited)
        else:
            while not self._alternation.ready(waiting.step, seconds=POLL_SECONDS):
                if self._events.stopping:
                    return None
            config = self._base.paused[number].config["config"]
            plan = self._alternation.plan(number, waiting.following, waiting.step, config)
        del self._waiting[number]
        self._turns += 1
        return self._base.resume(number, round=plan)
