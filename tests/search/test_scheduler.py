"""The scheduler decides by what was reported alone: a rebuilt one goes on as if nothing had happened."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.experiment import Trial

from raysearch.search._asha import Asha
from raysearch.search._hyperband import HyperBand
from raysearch.search._rules import Rules
from raysearch.search._scheduler import StudyScheduler, rules_of
from raysearch.study._book import Book, Report
from raysearch.study._study import Study
from search.simulator import TuneTrial
from search.toy import toy_study

EPOCHS = 9


class Searcher:
    """What the scheduler asks of a searcher: Tune's name of trial 3 is "tune3"."""

    def __init__(self, queued: Sequence[int] = ()) -> None:
        self.stopped: list[int] = []
        self.trials: list[TuneTrial] = []
        self.waiting = list(queued)
        self.time_is_up = False

    def attach(self, scheduler: StudyScheduler) -> None:
        self.scheduler = scheduler

    @property
    def queued(self) -> list[Any]:
        return [SimpleNamespace(number=number) for number in self.waiting]

    @property
    def live(self) -> int:
        return sum(t.status in (Trial.PENDING, Trial.RUNNING) for t in self.trials)

    def number(self, trial_id: str) -> int:
        return int(trial_id.removeprefix("tune"))

    def track(self, trial: TuneTrial) -> None:
        self.trials.append(trial)

    def pending(self) -> TuneTrial | None:
        return next((t for t in self.trials if t.status == Trial.PENDING), None)

    def ended_before(self, number: int, state: str) -> None:
        self.waiting.remove(number)
        self.stopped.append(number)


def scheduler(
    name: str = "asha",
    *,
    maximise: bool = True,
    queued: Sequence[int] = (),
    slots: int = 1,
    kept: Collection[int] = (),
) -> tuple[StudyScheduler, Searcher]:
    searcher = Searcher(queued)
    rules: dict[str, Callable[[], Rules]] = {
        "fifo": lambda: Rules(kept),
        "asha": lambda: Asha(epochs=EPOCHS, maximise=maximise, kept=kept),
        "hyperband": lambda: HyperBand(epochs=EPOCHS, samples=14, maximise=maximise, kept=kept),
    }
    return StudyScheduler(rules[name](), searcher, slots=slots), searcher  # type: ignore[arg-type]


def result(report: Report) -> dict[str, Any]:
    return {"value": report.value, "epoch": report.epoch, "state": "running", "row": "{}"}


def tell(under_test: StudyScheduler, report: Report) -> str:
    """As Tune does: a trial on which the decision is to stop is reported as complete with the same result."""
    trial: Any = TuneTrial(f"tune{report.number}")
    decision = under_test.on_trial_result(Tune(under_test), trial, result(report))
    if decision == "STOP":
        under_test.on_trial_complete(None, trial, result(report))
    return decision


class Tune:
    """What is asked of Tune's controller."""

    def __init__(self, under_test: StudyScheduler) -> None:
        self._scheduler = under_test
        self.stopped: list[str] = []

    def pause_trial(self, trial: TuneTrial, should_checkpoint: bool = True) -> None:
        assert not should_checkpoint, "Tune would load it when the trial goes on"
        trial.status = Trial.PAUSED

    def stop_trial(self, trial: Any) -> None:
        assert trial.status == Trial.PAUSED
        self._scheduler.on_trial_remove(self, trial)
        trial.status = Trial.TERMINATED
        self.stopped.append(trial.trial_id)


values = st.sampled_from([0.1, 0.2, 0.2, 0.3, 0.5, 0.7, 0.9, math.nan, math.inf])
histories = st.lists(st.tuples(st.integers(0, 5), values), max_size=40)


def live(history: list[tuple[int, float]], under_test: StudyScheduler) -> tuple[list[Report], list[str]]:
    """Trials report in the order of `history`, as long as they are let go, until they are stopped or at their end."""
    epochs: dict[int, int] = {}
    over: set[int] = set()
    reports, decisions = [], []
    for number, value in history:
        if number in over or not under_test.lets_go(number):
            continue
        epochs[number] = epochs.get(number, 0) + 1
        report = Report(number, epochs[number], value)
        reports.append(report)
        decisions.append(tell(under_test, report))
        if decisions[-1] == "STOP" or epochs[number] == EPOCHS:
            over.add(number)
    return reports, decisions


def once(decision: str) -> str:
    """`replay` says PAUSE where `on_trial_result` has paused the trial already."""
    return "PAUSE" if decision == "NOOP" else decision


@given(history=histories, maximise=st.booleans(), name=st.sampled_from(["asha", "fifo", "hyperband"]))
def test_the_defaults_are_never_stopped(history: list[tuple[int, float]], maximise: bool, name: str) -> None:
    under_test, _ = scheduler(name, maximise=maximise, kept={0})
    reports, decisions = live(
        [(number, value) for number, value in history if number or math.isfinite(value)], under_test
    )
    own = [decision for report, decision in zip(reports, decisions, strict=True) if not report.number]
    assert "STOP" not in own[: EPOCHS - 1]
    assert under_test.verdict(0) == "go", "nor do they wait for others"
    assert tell(under_test, Report(0, len(own) + 1, math.nan)) == "STOP", "what diverged has failed"


def test_asha_would_have_stopped_them() -> None:
    for kept, expected in (((), "STOP"), ((0,), "CONTINUE")):
        under_test, _ = scheduler("asha", kept=kept)
        assert [tell(under_test, Report(number, 1, 0.5 + number)) for number in (3, 2)] == ["CONTINUE", "STOP"]
        assert tell(under_test, Report(0, 1, 0.1)) == expected


@pytest.mark.parametrize("name", ["fifo", "asha", "hyperband", "pbt"])
def test_every_scheduler_of_a_study_keeps_the_defaults(tmp_path: Path, name: str) -> None:
    study = toy_study(tmp_path, scheduler=name, epochs=9)
    assert rules_of(study, Book(study)).kept == {0}
    grid = Study(study.path, replace(study.config, sampler="grid"))
    assert not rules_of(grid, Book(study)).kept, "the first point of a grid is as good as any"


@settings(max_examples=60)
@given(history=histories, maximise=st.booleans(), name=st.sampled_from(["asha", "fifo", "hyperband"]))
def test_every_decision_after_a_rebuild_is_the_undisturbed_one(
    history: list[tuple[int, float]], maximise: bool, name: str
) -> None:
    reports, decisions = live(history, scheduler(name, maximise=maximise)[0])
    for cut in range(len(reports) + 1):
        last = {report.number: decision for report, decision in zip(reports[:cut], decisions, strict=False)}
        rebuilt, searcher = scheduler(name, maximise=maximise, queued=sorted(last))
        replayed = rebuilt.replay(reports[:cut])
        assert [once(decision) for decision in replayed] == [once(decision) for decision in decisions[:cut]]
        assert [tell(rebuilt, report) for report in reports[cut:]] == decisions[cut:]
        told_to_stop = {number for number, decision in last.items() if decision == "STOP"}
        assert told_to_stop <= set(searcher.stopped)
        if name != "hyperband":
            assert told_to_stop == set(searcher.stopped)


@pytest.mark.parametrize("name", ["fifo", "asha"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_stops_at_its_first_report(name: str, value: float) -> None:
    under_test, _ = scheduler(name)
    assert tell(under_test, Report(0, 1, value)) == "STOP"


def test_asha_keeps_the_better_ones() -> None:
    reports = [Report(number, 1, 0.1 * number) for number in range(1, 7)]
    under_test, _ = scheduler(maximise=True)
    assert [tell(under_test, r) for r in reports] == ["CONTINUE"] * 6, "each is better than all before"
    under_test, _ = scheduler(maximise=False)
    assert [tell(under_test, r) for r in reports] == ["CONTINUE", *["STOP"] * 5]
    under_test, _ = scheduler(maximise=True)
    tell(under_test, Report(0, 1, 0.5))
    assert [tell(under_test, Report(0, epoch, 0.0)) for epoch in (2, 3)] == ["CONTINUE"] * 2, "nobody else came so far"


def test_a_single_epoch_leaves_nothing_to_stop(tmp_path: Path) -> None:
    study = toy_study(tmp_path, scheduler="asha", epochs=1)
    assert type(rules_of(study, Book(study))) is Rules


def test_trials_run_in_the_order_in_which_they_were_made() -> None:
    under_test, _ = scheduler()
    trials: list[Any] = [TuneTrial(f"tune{n}") for n in range(3)]
    for trial in trials:
        under_test.on_trial_add(None, trial)
    trials[0].status = Trial.RUNNING
    assert under_test.choose_trial_to_run(None) is trials[1]
    trials[1].status = trials[2].status = Trial.TERMINATED
    assert under_test.choose_trial_to_run(None) is None


def paused(under_test: StudyScheduler, tune: Tune, values: Sequence[float]) -> list[Any]:
    """Trials that have all come to the first rung of a bracket, from the first one on."""
    trials: list[Any] = [TuneTrial(f"tune{number}") for number in range(len(values))]
    for number, value in enumerate(values):
        under_test.on_trial_add(tune, trials[number])
        trials[number].status = Trial.RUNNING
        decision = under_test.on_trial_result(tune, trials[number], result(Report(number, 1, value)))
        if decision == "STOP":
            trials[number].status = Trial.TERMINATED
            under_test.on_trial_complete(tune, trials[number], result(Report(number, 1, value)))
    return trials


@pytest.mark.parametrize("slots", [1, 3])
def test_hyperband_compares_a_whole_bracket_even_with_one_slot(slots: int) -> None:
    under_test, _ = scheduler("hyperband", slots=slots)
    tune = Tune(under_test)
    trials = paused(under_test, tune, [0.1, 0.8, 0.2, 0.9, 0.3, 0.4, 0.5, 0.6])
    assert {trial.status for trial in trials} == {Trial.PAUSED}
    assert (under_test.held(), under_test.due(), under_test.waiting()) == (8, 0, 0)
    assert under_test.choose_trial_to_run(tune) is None, "the ninth is still to come"
    trials = paused(under_test, tune, [])
    last: Any = TuneTrial("tune8")
    under_test.on_trial_add(tune, last)
    assert under_test.choose_trial_to_run(tune) is last
    last.status = Trial.RUNNING
    assert under_test.on_trial_result(tune, last, result(Report(8, 1, 0.7))) == "NOOP"
    assert under_test.due() == 3
    going = [under_test.choose_trial_to_run(tune) for _ in range(4)]
    assert [trial and trial.trial_id for trial in going] == ["tune1", "tune3", "tune8", None]
    assert tune.stopped == ["tune0", "tune2", "tune4", "tune5", "tune6", "tune7"]


def test_a_trial_that_fails_is_not_waited_for() -> None:
    under_test, _ = scheduler("hyperband")
    tune = Tune(under_test)
    paused(under_test, tune, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, math.nan])
    failing: Any = TuneTrial("tune8")
    under_test.on_trial_error(tune, failing)
    assert under_test.due() == 3
    assert not under_test.lets_go(7)


def test_a_paused_trial_goes_on_only_where_there_is_a_place() -> None:
    under_test, searcher = scheduler("hyperband", slots=2)
    tune = Tune(under_test)
    trials = paused(under_test, tune, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    others: list[Any] = [TuneTrial(f"tune{number}") for number in (9, 10)]
    for other in others:
        under_test.on_trial_add(tune, other)
        other.status = Trial.RUNNING
    assert under_test.choose_trial_to_run(tune) is None
    others[0].status = Trial.TERMINATED
    chosen = under_test.choose_trial_to_run(tune)
    assert chosen is trials[6]
    assert searcher.live == 1


def test_no_paused_trial_goes_on_once_the_time_is_up() -> None:
    under_test, searcher = scheduler("hyperband")
    tune = Tune(under_test)
    paused(under_test, tune, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    searcher.time_is_up = True
    assert under_test.choose_trial_to_run(tune) is None
    searcher.time_is_up = False
    assert under_test.choose_trial_to_run(tune) is not None


def test_a_trial_that_is_halted_has_not_ended() -> None:
    """The others of its bracket would be compared without it."""
    under_test, _ = scheduler("hyperband")
    tune = Tune(under_test)
    trials = paused(under_test, tune, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    last: Any = TuneTrial("tune8")
    under_test.on_trial_complete(tune, last, {"state": "halted"})
    assert under_test.choose_trial_to_run(tune) is None
    assert all(trial.status == Trial.PAUSED for trial in trials)
    assert not tune.stopped
