"""What an alternating trial trains under next: rounds and threshold steps, made into plans for the trainable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from raysearch.alternation import Next, StepRule, Thresholds, outcomes, rounds_of, what_next
from raysearch.method import LossThreshold, by_class, load_method
from raysearch.search._events import Events
from raysearch.search._steps import StepFailedError, ThresholdSteps
from raysearch.space import AnySpace, FloatRange, space_from_dict
from raysearch.study._book import Assigned
from raysearch.study._study import Study

Rows = list[dict[str, Any]]


class RoundPlanner:
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
        self._begun: dict[int, ray.ObjectRef | None] = {}

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
        kept = following.thresholds or by_name(config, self._rule.specs, self._rule.classes)
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
            "proposed": thresholds != kept,
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

    def prepare(self, queued: Sequence[Assigned]) -> list[int]:
        """Begins the steps that interrupted trials wait for, all at once; numbers of those that have settled."""
        following = {trial.number: self.after(trial.rows) for trial in queued}
        self._begun = {t.number: self.think(t.number, following[t.number], t.rows) for t in queued}
        return [number for number, after in following.items() if after.action == "settled"]

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
        return self.plan(trial.number, following, self._begun.pop(trial.number, None), trial.config)


def start_planner(study: Study, events: Events) -> RoundPlanner:
    """The planner of a study whose loss thresholds alternate; Ray has to be up."""
    config = study.config
    assert config.alternate is not None
    method = load_method(config.method)
    space = space_from_dict(config.space, method)
    specs, classes = tuple(narrowed(spec, space) for spec in method.loss_thresholds), tuple(config.classes)
    rule = StepRule(
        proposer=config.alternate,
        specs=specs,
        moved=space.alternated,
        start=by_name(space.defaults(), specs, classes),
        classes=classes,
        slack_weight=config.slack_weight,
        seed=config.seed,
        origin=config.origin,
    )
    return RoundPlanner(
        ThresholdSteps(rule),
        rule=rule,
        epochs=config.round_epochs,
        evidence=lambda number: study.trial(number).last_evidence.resolve(),  # the step runs in another folder
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


def by_name(settings: Mapping[str, Any], specs: Sequence[LossThreshold], classes: Sequence[str]) -> Thresholds:
    """The loss thresholds among a trial's settings, by class."""
    return {spec.name: dict(zip(classes, by_class(settings[spec.name], classes), strict=True)) for spec in specs}
