"""The alternating scheduler: whose turn it is, what a trial trains under next, and what a failed step costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ray
from ray.tune.experiment import Trial

from raysearch.alternation import Next, Proposal, StepRule, rounds_of
from raysearch.method import LossThreshold
from raysearch.search import _steps
from raysearch.search._alternating import AlternatingScheduler, Waiting
from raysearch.search._events import Events
from raysearch.search._planner import RoundPlanner
from raysearch.search._rules import Rules
from raysearch.search._scheduler import StudyScheduler
from raysearch.search._steps import StepFailedError, ThresholdSteps
from raysearch.study._study import Study
from search.simulator import TARGET, Log, Machine, TuneTrial
from search.toy import toy_study

ALTERNATING: dict[str, Any] = {"loss_thresholds": "alternate", "alternate": "search", "round_epochs": 2, "seed": 3}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def told(study: Study, number: int) -> list[dict[str, Any]]:
    """What the last row of each round of a trial says."""
    rows = study.trial(number).rows()
    return [{**row["alternation"], "epoch": row["epoch"]} for row in rows if row["alternation"]["ends"]]


def test_two_trials_take_turns_on_one_slot(tmp_path: Path, machine: Machine) -> None:
    machine.run(toy_study(tmp_path, samples=3, epochs=4, **ALTERNATING))
    assert machine.trained == [
        *[(0, 1), (0, 2), (1, 1), (1, 2), (0, 3), (0, 4)],
        *[(1, 3), (1, 4), (2, 1), (2, 2), (2, 3), (2, 4)],
    ]


def test_rounds_are_kept_or_taken_back(tmp_path: Path, machine: Machine) -> None:
    study = toy_study(tmp_path, samples=1, epochs=12, **ALTERNATING)
    machine.run(study)
    rounds = told(study, 0)
    assert [r["round"] for r in rounds] == list(range(6))
    back = [i for i, r in enumerate(rounds) if r["taken_back"]]
    assert back
    for i in back:
        refused, before = rounds[i - 1], rounds[i - 2]
        assert refused["proposed"]
        assert refused["value"] < before["value"]
        assert rounds[i]["thresholds"] == before["thresholds"]
        assert not rounds[i]["proposed"]
        assert rounds[i]["value"] > before["value"], (
            "it goes on from the kept weights, which what was refused had spoilt"
        )
    rounds_seen = rounds_of(study.trial(0).rows())
    distances = [abs(r.thresholds["tau"]["a"] - TARGET) for r in rounds_seen if r.kept]
    assert distances == sorted(distances, reverse=True)


def test_a_trial_in_which_nothing_moves_ends_as_complete(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.simulator.toward_target", lambda number, kept, epoch: kept)
    study = toy_study(tmp_path, samples=2, epochs=40, **ALTERNATING)
    records = machine.run(study).records()
    assert [r.state for r in records] == ["complete", "complete"]
    assert all(r.epochs < 40 for r in records)
    assert all(r.epochs % 2 == 0 for r in records), "a round is trained to its end"


class Later(ThresholdSteps):
    """Steps that are done when they are told to be."""

    def __init__(self) -> None:
        self.done: set[str] = set()
        self.asked = 0
        self.failing = ""

    def ready(self, step: Any, *, seconds: float = 0.0) -> bool:
        self.asked += 1
        if seconds:  # whoever waits for it gets it in the end
            self.done.add(step)
        return step in self.done

    def proposal(self, step: Any) -> Proposal:
        assert step in self.done
        if step == self.failing:
            raise StepFailedError("the threshold step failed (no such evidence)")
        return Proposal({"tau": {"a": 0.25}}, ("a note",))


class Searcher:
    live = 0
    queued = ()
    time_is_up = False

    def attach(self, scheduler: Any) -> None:
        self.waiting, self.due = scheduler.waiting, scheduler.due

    def number(self, trial_id: str) -> int:
        return int(trial_id)

    def rows(self, number: int) -> list[dict[str, Any]]:
        return []

    def pending(self) -> None:
        return None


def scheduler(slots: int) -> tuple[AlternatingScheduler, Later, Searcher, Log]:
    """With two trials that wait, the first since before the second had its round."""
    steps, searcher, log = Later(), Searcher(), Log()
    rule = StepRule(
        proposer="search", specs=(LossThreshold(name="tau"),), moved=("tau",), start={}, classes=("a",),
        slack_weight=0.5,
        seed=0, origin="",
    )  # fmt: skip
    events = Events(log)
    planner = RoundPlanner(steps, rule=rule, epochs=2, evidence=lambda number: Path(str(number)), events=events)
    base = StudyScheduler(Rules(), searcher, slots=slots)  # type: ignore[arg-type]
    made = AlternatingScheduler(base, searcher, planner, slots=slots, events=events)  # type: ignore[arg-type]
    for number, turn in ((0, 1), (1, 2)):
        trial = TuneTrial(str(number), {"config": {"tau": 0.5}, "round": {"number": 0}})
        trial.status = Trial.PAUSED
        following = Next(action="propose", number=1, thresholds={"tau": {"a": 0.5}})
        base.paused[number] = trial  # type: ignore[assignment]
        made._waiting[number] = Waiting(following, f"step {number}", turn)  # type: ignore[arg-type]
    made._turns = 2
    return made, steps, searcher, log


def test_with_one_slot_the_order_does_not_depend_on_time() -> None:
    for done in ((), ("step 0",), ("step 1",), ("step 0", "step 1")):
        made, steps, searcher, log = scheduler(slots=1)
        steps.done.update(done)
        assert (searcher.waiting(), searcher.due()) == (2, 1), "the second one has had no round after it"
        chosen = [made.choose_trial_to_run(None) for _ in range(2)]
        assert [trial and trial.trial_id for trial in chosen] == ["0", "1"]
        assert made.choose_trial_to_run(None) is None
        assert not log.lines, "a remark of a step that did its work is for the record"


def test_with_one_slot_nobody_is_resumed_while_it_is_taken() -> None:
    made, _, searcher, _ = scheduler(slots=1)
    searcher.live = 1
    assert made.choose_trial_to_run(None) is None


def test_with_several_slots_whoever_is_ready_goes_on() -> None:
    made, steps, searcher, _ = scheduler(slots=2)
    assert searcher.due() == 0
    assert made.choose_trial_to_run(None) is None, "nobody is waited for while others train"
    steps.done.add("step 1")
    assert searcher.due() == 1
    chosen = made.choose_trial_to_run(None)
    assert chosen is not None
    assert chosen.trial_id == "1"
    assert chosen.config["round"] == {
        "number": 1, "epochs": 2, "thresholds": {"tau": {"a": 0.25}}, "proposed": True, "taken_back": False,
        "note": "a note",
    }  # fmt: skip
    assert searcher.waiting() == 1


def test_a_stop_is_not_held_up_by_a_step() -> None:
    made, steps, _, _ = scheduler(slots=1)
    steps.ready = lambda step, seconds=0.0: False  # type: ignore[method-assign,assignment]
    made._events.stop = object()  # type: ignore[assignment]
    assert made.choose_trial_to_run(None) is None


def test_a_step_that_fails_keeps_the_thresholds_and_says_so() -> None:
    made, steps, _, log = scheduler(slots=1)
    steps.failing = "step 0"
    chosen = made.choose_trial_to_run(None)
    assert chosen is not None
    plan = chosen.config["round"]
    assert (plan["thresholds"], plan["proposed"]) == ({"tau": {"a": 0.5}}, False)
    assert plan["note"] == "the threshold step failed (no such evidence)"
    assert log.lines == [("noted", 0, "round 1: the threshold step failed (no such evidence)")]


@pytest.mark.parametrize("error", [ValueError("no such evidence\nmore"), ray.exceptions.ActorDiedError()])
def test_whatever_goes_wrong_in_a_step_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(reference: Any) -> Any:
        raise error

    monkeypatch.setattr(_steps.ray, "get", get)
    with pytest.raises(StepFailedError, match="the threshold step failed") as failed:
        ThresholdSteps.proposal(object.__new__(ThresholdSteps), None)  # type: ignore[arg-type]
    assert "\n" not in str(failed.value)
