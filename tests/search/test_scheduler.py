"""The scheduler decides by what was reported alone: a rebuilt one goes on as if nothing had happened."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from raysearch.search._scheduler import StudyScheduler, inner_scheduler
from raysearch.study._book import Report
from search.simulator import TuneTrial

EPOCHS = 9


class Searcher:
    """What the scheduler asks of a searcher: Tune's name of trial 3 is "tune3"."""

    def __init__(self) -> None:
        self.stopped: list[int] = []
        self.trials: list[TuneTrial] = []

    def number(self, trial_id: str) -> int:
        return int(trial_id.removeprefix("tune"))

    def track(self, trial: TuneTrial) -> None:
        self.trials.append(trial)

    def pending(self) -> TuneTrial | None:
        return next((t for t in self.trials if t.status == Trial.PENDING), None)

    def stopped_before(self, number: int) -> None:
        self.stopped.append(number)


def scheduler(name: Any = "asha", *, maximise: bool = True) -> tuple[StudyScheduler, Searcher]:
    searcher = Searcher()
    inner = inner_scheduler(name, epochs=EPOCHS, maximise=maximise)
    return StudyScheduler(inner, searcher), searcher  # type: ignore[arg-type]


def result(report: Report) -> dict[str, Any]:
    return {"value": report.value, "epoch": report.epoch, "state": "running", "row": "{}"}


def tell(under_test: StudyScheduler, report: Report) -> str:
    """As Tune does: a trial on which the decision is to stop is reported as complete with the same result."""
    trial: Any = TuneTrial(f"tune{report.number}")
    decision = under_test.on_trial_result(None, trial, result(report))
    if decision == "STOP":
        under_test.on_trial_complete(None, trial, result(report))
    return decision


values = st.sampled_from([0.1, 0.2, 0.2, 0.3, 0.5, 0.7, 0.9, math.nan, math.inf])
histories = st.lists(st.tuples(st.integers(0, 5), values), max_size=40)


def live(history: list[tuple[int, float]], under_test: StudyScheduler) -> tuple[list[Report], list[str]]:
    """Trials report in the order of `history` until they are stopped or at their end."""
    epochs: dict[int, int] = {}
    over: set[int] = set()
    reports, decisions = [], []
    for number, value in history:
        if number in over:
            continue
        epochs[number] = epochs.get(number, 0) + 1
        report = Report(number, epochs[number], value)
        reports.append(report)
        decisions.append(tell(under_test, report))
        if decisions[-1] == "STOP" or epochs[number] == EPOCHS:
            over.add(number)
    return reports, decisions


@settings(max_examples=60, deadline=None)
@given(history=histories, maximise=st.booleans(), name=st.sampled_from(["asha", "fifo"]))
def test_every_decision_after_a_rebuild_is_the_undisturbed_one(
    history: list[tuple[int, float]], maximise: bool, name: str
) -> None:
    reports, decisions = live(history, scheduler(name, maximise=maximise)[0])
    for cut in range(len(reports) + 1):
        rebuilt, searcher = scheduler(name, maximise=maximise)
        assert rebuilt.replay(reports[:cut]) == decisions[:cut]
        assert [tell(rebuilt, report) for report in reports[cut:]] == decisions[cut:]
        last = {report.number: decision for report, decision in zip(reports[:cut], decisions, strict=False)}
        assert searcher.stopped == [number for number, decision in last.items() if decision == "STOP"]


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


def test_a_single_epoch_leaves_nothing_to_stop() -> None:
    assert type(inner_scheduler("asha", epochs=1, maximise=True)) is FIFOScheduler


def test_trials_run_in_the_order_in_which_they_were_made() -> None:
    under_test, _ = scheduler()
    trials: list[Any] = [TuneTrial(f"tune{n}") for n in range(3)]
    for trial in trials:
        under_test.on_trial_add(None, trial)
    trials[0].status = Trial.RUNNING
    assert under_test.choose_trial_to_run(None) is trials[1]
    trials[1].status = trials[2].status = Trial.TERMINATED
    assert under_test.choose_trial_to_run(None) is None
