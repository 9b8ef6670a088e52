"""What Tune is told, and what the book is told of Tune."""

from __future__ import annotations

import json
import math
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from raysearch import _signals
from raysearch.search._events import Events
from raysearch.search._searcher import StudySearcher, next_action
from raysearch.study._book import Book
from raysearch.study._study import Study
from search.simulator import Log, TuneTrial
from search.toy import toy_study


class Search:
    """A searcher over a new book, and Tune's part."""

    def __init__(self, study: Study, slots: int = 2) -> None:
        self.study = study
        self.book = Book(study)
        self.log = Log()
        self.events = Events(self.log)
        self.searcher = StudySearcher(
            self.book, slots=slots, make_config=lambda t: {"number": t.number}, events=self.events
        )

    def begin(self, name: str) -> TuneTrial:
        assert self.searcher.suggest(name) is not None
        trial: Any = TuneTrial(name)
        self.searcher.track(trial)
        trial.status = Trial.RUNNING
        return trial

    def report(self, name: str, epoch: int, value: float, state: str = "running") -> dict[str, Any]:
        """A result of the trainable, its row on disk as the trainable leaves it."""
        row = {
            "time": float(epoch), "epoch": epoch, "value": value, "metrics": {}, "thresholds": {},
            "losses": {"train_seconds": 0.0}, "evaluate_seconds": 0.0,
            "last_stage": True, "finished": state == "complete",
        }  # fmt: skip
        folder = self.study.trial(self.searcher.number(name))
        folder.record(row, evidence=b"e", checkpoint=b"c", best=True)
        return {"state": state, "row": json.dumps(row), "value": value, "epoch": epoch, "done": state == "complete"}


@pytest.fixture
def search(tmp_path: Path) -> Search:
    return Search(toy_study(tmp_path, samples=4))


@given(
    live=st.integers(0, 5),
    slots=st.integers(1, 4),
    waiting=st.integers(0, 8),
    held=st.integers(0, 3),
    due=st.integers(0, 8),
    ready=st.integers(0, 3),
    remaining=st.integers(0, 3),
    handed_out=st.integers(0, 4),
)
def test_the_next_action_keeps_its_promises(
    live: int, slots: int, waiting: int, held: int, due: int, ready: int, remaining: int, handed_out: int
) -> None:
    due, ready = min(due, waiting + held), min(ready, remaining)
    action = next_action(
        live=live, slots=slots, waiting=waiting, held=held, due=due, ready=ready, remaining=remaining,
        handed_out=handed_out, limit=3,
    )  # fmt: skip
    if action == "ask":
        assert live < slots
        assert remaining
        assert not due or ready, "who waited goes first"
        assert live + waiting < 2 * slots
        assert handed_out < 3 or held, "those that are held may wait for it"
    if action == "finish":
        assert not live
        assert not waiting + held, "Tune would leave a paused trial behind"
    if not live and not waiting and (remaining or not held) and not due:
        assert action != "wait", "nothing would ever wake it"


def test_places_follow_the_status_of_tune(search: Search) -> None:
    first, _ = search.begin("a"), search.begin("b")
    assert search.searcher.suggest("c") is None
    first.status = Trial.PENDING
    assert search.searcher.suggest("c") is None, "it waits for a process and will take the place"
    search.searcher.on_trial_complete("a", search.report("a", 1, 0.5, "complete"))
    assert search.searcher.suggest("c") == {"number": 2}


def test_it_is_finished_when_no_trial_is_live(search: Search) -> None:
    for name in "ab":
        search.begin(name)
    for name, following in (("a", "c"), ("b", "d")):
        search.searcher.on_trial_complete(name, search.report(name, 1, 0.5, "complete"))
        search.begin(following)
    assert search.searcher.suggest("e") is None
    search.searcher.on_trial_complete("c", search.report("c", 1, 0.5, "complete"))
    assert search.searcher.suggest("e") is None, "d still runs"
    search.searcher.on_trial_complete("d", search.report("d", 1, 0.5, "complete"))
    assert search.searcher.suggest("e") == Searcher.FINISHED


@pytest.mark.parametrize(
    ("ending", "state", "optuna_state", "reason"),
    [
        ("complete", "complete", "COMPLETE", ""),
        ("stopped", "pruned", "PRUNED", ""),
        ("nothing", "pruned", "PRUNED", ""),
        ("nan", "failed", "FAIL", "non-finite f1_plus in epoch 2"),
        ("inf", "failed", "FAIL", "non-finite f1_plus in epoch 2"),
        ("nan at its end", "failed", "FAIL", "non-finite f1_plus in epoch 2"),
        ("failed", "failed", "FAIL", "ValueError: no"),
        ("crashed", "crashed", "FAIL", "lost its worker group 4 times"),
        ("died", "crashed", "FAIL", "its process died"),
    ],
)
def test_ends_are_told_as_they_are(search: Search, ending: str, state: str, optuna_state: str, reason: str) -> None:
    search.begin("a")
    search.searcher.on_trial_result("a", search.report("a", 1, 0.5))
    values = {"nan": math.nan, "inf": math.inf, "nan at its end": math.nan}
    if ending == "died":
        search.searcher.on_trial_complete("a", error=True)
    elif ending == "nothing":
        search.searcher.on_trial_complete("a", None)
    elif ending in ("failed", "crashed"):
        search.searcher.on_trial_complete("a", {"state": ending, "reason": reason, "value": math.nan, "done": True})
    else:
        kind = "complete" if ending in ("complete", "nan at its end") else "running"
        search.searcher.on_trial_complete("a", search.report("a", 2, values.get(ending, 0.4), kind))
    record = search.book.record(0)
    assert (record.state, record.reason) == (state, reason)
    assert search.book._optuna.trials[0].state.name == optuna_state
    assert record.value == 0.5, "by its best epoch"
    assert search.log.lines[-1] == ("ended", 0, state, reason)
    told = search.book._optuna.trials[0].intermediate_values
    assert told == ({1: 0.5, 2: 0.4} if ending in ("complete", "stopped") else {1: 0.5})


def test_a_fatal_error_ends_the_search_and_not_the_trial(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupts: list[None] = []
    monkeypatch.setattr("raysearch._signals.wake", lambda: interrupts.append(None))
    search.begin("a")
    search.searcher.on_trial_complete(
        "a", {"state": "fatal", "reason": "No space left", "errno": 28, "value": math.nan, "done": True}
    )
    assert interrupts == [None]
    assert search.events.stop is not None
    assert (search.events.stop.kind, search.events.stop.errno) == ("fatal", 28)
    assert search.book.record(0).state == "running", "it goes on when there is room again"
    assert search.searcher.suggest("b") == Searcher.FINISHED


def test_a_signal_waits_for_what_is_being_written(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    _signals.catch()
    search.begin("a")
    reported: list[int] = []

    def interrupted(number: int, row: Any) -> None:
        _signals.wake()
        time.sleep(0.01)
        reported.append(number)

    monkeypatch.setattr(search.events, "reported", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search.searcher.on_trial_result("a", search.report("a", 1, 0.5))
    assert reported == [0]


def test_tune_may_pickle_it_and_uses_no_limiter_of_its_own(search: Search) -> None:
    assert search.searcher.set_max_concurrency(1)
    assert pickle.loads(pickle.dumps(search.searcher)) is not None


class LeftError(Exception):
    """In place of the interrupt that ends a search."""


@pytest.fixture
def leave(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave() -> None:
        raise LeftError

    monkeypatch.setattr(search.events, "leave", leave)


@pytest.mark.usefixtures("leave")
def test_when_the_time_is_up_nothing_new_begins_and_running_trials_end_their_epochs(search: Search) -> None:
    search.events.give(0.0)
    first = search.begin("a")
    assert search.searcher.suggest("b") is None, "there is a place, but no time"
    assert search.searcher.suggest("b") is None
    assert [line for line in search.log.lines if line[0] == "noted"] == [
        ("noted", 0, "ends its epoch: the time of --time is used up")
    ], "said once"
    search.searcher.on_trial_result("a", search.report("a", 1, 0.5))
    first.status = Trial.TERMINATED
    search.searcher.on_trial_complete("a", {"state": "halted", "reason": "", "done": True})
    with pytest.raises(LeftError):
        search.searcher.suggest("b")
    assert [(r.number, r.state, r.epochs) for r in search.book.records()] == [(0, "running", 1)]


@pytest.mark.usefixtures("leave")
def test_a_search_that_ends_with_its_time_has_ended(tmp_path: Path, search: Search) -> None:
    search.events.give(0.0)
    for number in range(4):
        search.events._begun = False
        name = f"t{number}"
        trial = search.begin(name)
        trial.status = Trial.TERMINATED
        search.searcher.on_trial_complete(name, search.report(name, 1, 0.5, state="complete"))
    assert search.searcher.suggest("none") == Searcher.FINISHED


@pytest.mark.usefixtures("leave")
def test_paused_trials_wait_for_another_run(search: Search) -> None:
    search.events.give(0.0)
    search.begin("a").status = Trial.PAUSED
    with pytest.raises(LeftError):
        search.searcher.suggest("b")
