"""The book: what is told to Optuna, kept on disk, and put right when a study is opened again."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from search.toy import Toy, toy_study

from raysearch.errors import StudyError
from raysearch.method import Work
from raysearch.search._grid import narrowed
from raysearch.space import FloatRange, load_space
from raysearch.study._book import Book
from raysearch.study._records import read_records
from raysearch.study._study import Study
from raysearch.study._trial_record import TrialRecord, best_of
from raysearch.study._upstream import Progress, UpstreamFiles
from raysearch.training import encode

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def epoch(study: Study, number: int, value: float, *, at: int = 1, finished: bool = True, **row: Any) -> dict[str, Any]:
    """Records an epoch in a trial's folder, as its thin process does; its row."""
    row = {
        "time": 10.0 * at, "epoch": at, "value": value, "metrics": {"f1_plus": value}, "thresholds": {},
        "losses": {"train_seconds": 2.0}, "evaluate_seconds": 1.0, "last_stage": True, "finished": finished, **row,
    }  # fmt: skip
    checkpoint = encode({"trainer": {"epoch": at}, "row": row})
    study.trial(number).record(row, evidence=b"evidence", checkpoint=checkpoint, best=True)
    return row


def complete(study: Study, book: Book, value: float) -> int:
    number = book.next().number
    book.report(number, epoch(study, number, value))
    book.close(number, "complete")
    return number


def weights(study: Study) -> set[int]:
    return {int(path.parts[-3]) for path in (study.path / "trials").glob("*/checkpoint/*")}


def record(number: int, value: float | None, state: Any = "complete") -> TrialRecord:
    return TrialRecord(number=number, state=state, value=value, params={}, epochs=1, reason="", result={}, seconds=None)


def test_the_first_trial_is_the_default_one(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    book = Book(study)
    first = book.next()
    assert first.config == {"lr": 0.1, "depth": 2, "mode": "plain", "gate": 0.5, "tau": 0.9}
    assert first.thresholds == {"mask_threshold": 0.5}
    assert book.next().config != first.config
    assert study.trial(0).config == {"config": first.config, "thresholds": first.thresholds}


def test_a_grid_runs_every_point_once_and_no_defaults_before_it(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    sets = ("depth=int:1:3", "mode=choice:plain,gated")
    space = narrowed(load_space(Toy, "small").override(sets=sets), sets)
    budget = replace(study.config.budget, samples=6)
    study = Study(study.path, replace(study.config, sampler="grid", space=space.to_dict(), budget=budget))
    seen = []
    for _ in range(3):
        book = Book(study)  # anew, as after a crash that left a trial open
        number = complete(study, book, 0.5)
        seen.append(study.trial(number).config)
        book.next()
    book = Book(study)
    while book.remaining:
        seen.append(study.trial(complete(study, book, 0.5)).config)
    drawn = [(one["config"]["depth"], one["config"]["mode"]) for one in seen if one is not None]
    assert sorted(drawn) == [(depth, mode) for depth in (1, 2, 3) for mode in ("gated", "plain")]


def test_decision_thresholds_of_each_class_are_sampled_and_given_to_the_trial(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    space = load_space(Toy, "small").for_classes(["a", "b"]).with_modes(decision_thresholds="sample")
    threshold = replace(space.parameters["mask_threshold"], per_class=True, domain=FloatRange(low=0.0, high=1.0))
    space = replace(space, parameters={**space.parameters, "mask_threshold": threshold})  # type: ignore[type-var]
    assert space.first_point()["mask_threshold[b]"] == 0.5
    study = Study(study.path, replace(study.config, space=space.to_dict(), decision_thresholds="sample"))
    book = Book(study)
    assert book.next().thresholds == {"mask_threshold": {"a": 0.5, "b": 0.5}}
    second = book.next()
    assert set(second.thresholds["mask_threshold"]) == {"a", "b"}
    assert study.trial(1).config == {"config": second.config, "thresholds": second.thresholds}


@pytest.mark.parametrize(("direction", "best", "kept"), [("maximize", 3, {0, 1, 3}), ("minimize", 2, {0, 2})])
def test_the_best_and_the_defaults_keep_their_weights(
    tmp_path: Path, direction: str, best: int, kept: set[int]
) -> None:
    study = toy_study(tmp_path, direction=direction, keep_checkpoints=2)
    book = Book(study)
    for value in (0.3, 0.7, 0.2, 0.8, 0.5):
        complete(study, book, value)
    assert weights(study) == kept
    found = book.best()
    assert found is not None
    assert found.number == best
    assert {p.name for n in kept for p in (study.trial(n).path / "checkpoint").iterdir()} == {"best.pt"}


def test_weights_are_kept_over_a_restart(tmp_path: Path) -> None:
    study = toy_study(tmp_path, keep_checkpoints=2, samples=9)
    book = Book(study)
    for value in (0.3, 0.7, 0.2):
        complete(study, book, value)
    book = Book(study)
    assert weights(study) == {0, 1}
    for value in (0.1, 0.5, 0.7):
        complete(study, book, value)
    assert weights(study) == {0, 1, 5}
    again = Book(study)
    assert weights(study) == {0, 1, 5}
    assert again.best() == book.best()


def test_of_equal_trials_the_earlier_is_the_best_and_keeps_its_weights(tmp_path: Path) -> None:
    study = toy_study(tmp_path, keep_checkpoints=1)
    book = Book(study)
    for _ in range(3):
        complete(study, book, 0.5)
    assert weights(study) == {0}
    records = [record(0, None, "failed"), record(1, 0.5), record(2, 0.5), record(3, 0.9, "pruned")]
    for maximise in (True, False):
        chosen = best_of(records, maximise=maximise)
        assert chosen is not None
        assert chosen.number == 1
    assert best_of(records[:1], maximise=True) is None


def test_trials_without_a_value_keep_no_weights(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    book = Book(study)
    for state in ("pruned", "failed", "crashed"):
        number = book.next().number
        book.report(number, epoch(study, number, 0.9, finished=False))
        book.close(number, state)  # type: ignore[arg-type]
    assert weights(study) == set()
    assert [(r.state, r.value) for r in book.records()] == [("pruned", 0.9), ("failed", 0.9), ("crashed", 0.9)]
    states = [t.state.name for t in book._optuna.trials]
    assert states == ["PRUNED", "FAIL", "FAIL"]


def test_an_epoch_counts_once(tmp_path: Path) -> None:
    """The last report comes twice: with the result and with the end."""
    study = toy_study(tmp_path)
    book = Book(study)
    number = book.next().number
    row = epoch(study, number, 0.5)
    book.report(number, row)
    book.report(number, dict(row))
    assert [tuple(report) for report in book.reports] == [(0, 1, 0.5)]
    book.close(number, "complete")
    assert book.record(number).epochs == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_do_not_reach_optuna(tmp_path: Path, value: float) -> None:
    study = toy_study(tmp_path)
    book = Book(study)
    number = book.next().number
    book.report(number, epoch(study, number, value))
    assert book.close(number, "complete") == ("failed", "non-finite f1_plus in epoch 1")
    assert book.record(number).value is None
    trial = book._optuna.trials[0]
    assert (trial.state.name, trial.intermediate_values) == ("FAIL", {})
    json.loads(study.journal.read_text().splitlines()[-1], parse_constant=pytest.fail)


def test_the_budget_counts_what_was_begun(tmp_path: Path) -> None:
    study = toy_study(tmp_path, samples=3)
    book = Book(study)
    assert book.remaining == 3
    complete(study, book, 0.5)
    book.next()
    assert book.remaining == 1
    again = Book(study)
    assert again.remaining == 2, "the interrupted one and a new one"
    assert [waiting.number for waiting in again.queued] == [1]
    assert again.next().number == 1
    assert again.next().number == 2
    assert again.remaining == 0


def test_spent_time_leaves_out_when_nothing_ran(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    book = Book(study)
    first, second = book.next().number, book.next().number
    for number, time, at in ((first, 103.0, 1), (second, 104.0, 1), (first, 9000.0, 2)):
        book.report(number, epoch(study, number, 0.5, at=at, finished=False, time=time))
    assert book.spent == 0, "of earlier runs"
    assert Book(study).spent == pytest.approx(4.0 + 3.0)


def test_time_spent_on_what_trials_share_counts(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    book = Book(study)
    number = book.next().number
    book.report(number, epoch(study, number, 0.5, at=1, finished=False, time=103.0))
    files = UpstreamFiles(study.path, Work(name="teacher", key="a" * 64, fields={}, inputs={}, read=True))
    files.tell(Progress(name="teacher", seconds=50.0, spans=[(20.0, 60.0), (95.0, 102.5)]))
    assert Book(study).spent == pytest.approx(40.0 + 8.0), "the trial's epoch began at 100"


def test_reports_are_in_the_order_of_their_recording(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    book = Book(study)
    first, second = book.next().number, book.next().number
    times = {(first, 1): 5.0, (second, 1): 3.0, (first, 2): 4.0, (second, 2): 9.0}  # a clock was set back
    for (number, at), time in times.items():
        book.report(number, epoch(study, number, 0.5, at=at, finished=False, time=time))
    assert [(r.number, r.epoch) for r in Book(study).reports] == [(second, 1), (first, 1), (first, 2), (second, 2)]


def test_readers_see_a_running_study(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    assert read_records(study) == []
    book = Book(study)
    assert read_records(study) == [], "the defaults are not a trial yet"
    complete(study, book, 0.5)
    book.next()
    with open(study.ledger, "ab") as ledger:
        ledger.write(b'{"op_code":5,"worker')
    assert [(r.number, r.state, r.value) for r in read_records(study)] == [(0, "complete", 0.5), (1, "running", None)]


def test_a_lost_ledger_is_not_begun_again(tmp_path: Path) -> None:
    """Parameters of old folders would be mixed with numbers of new trials."""
    study = toy_study(tmp_path)
    complete(study, Book(study), 0.5)
    study.ledger.unlink()
    study.journal.unlink()
    with pytest.raises(StudyError, match=r"trials/0 holds trial 0, and .*ledger\.jsonl knows 0 trials only: restore"):
        Book(study)
    with pytest.raises(StudyError, match=r"holds trials, and .*ledger\.jsonl knows none: restore"):
        read_records(study)
    assert not study.ledger.exists() or not study.ledger.read_bytes(), "nothing was begun"


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", b"PK\x03\x04" + b"\0" * 60])
def test_a_checkpoint_that_is_none_is_named(tmp_path: Path, damage: bytes) -> None:
    study = toy_study(tmp_path)
    book = Book(study)
    number = book.next().number
    epoch(study, number, 0.5, finished=False)
    study.trial(number).last.write_bytes(damage)
    with pytest.raises(StudyError, match=r"last\.pt is not a checkpoint of raysearch .*delete it") as caught:
        Book(study)
    assert "\n" not in str(caught.value)


def test_the_advice_for_a_damaged_checkpoint_works(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    book = Book(study)
    number = book.next().number
    book.report(number, epoch(study, number, 0.5, finished=False))
    shutil.rmtree(study.trial(number).path / "checkpoint")
    again = Book(study)
    assert again.next().number == number


def test_optuna_is_not_asked_for_all_trials_to_show_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial costs the same after ten thousand others."""
    study = toy_study(tmp_path)
    book = Book(study)
    number = complete(study, book, 0.5)
    monkeypatch.setattr(optuna.Study, "get_trials", lambda *_, **__: pytest.fail("all trials were read"))
    assert book.record(number).value == 0.5


def test_a_trial_whose_checkpoint_was_deleted_begins_again(tmp_path: Path) -> None:
    """As the message on a damaged checkpoint tells the user to do."""
    study = toy_study(tmp_path, samples=2)
    book = Book(study)
    number = book.next().number
    folder = study.trial(number)
    row = {
        "epoch": 1,
        "value": 0.5,
        "time": 1.0,
        "last_stage": True,
        "finished": False,
        "losses": {"train_seconds": 0.0},
    }
    folder.record({**row, "evaluate_seconds": 0.0}, evidence=b"e", checkpoint=b"c", best=True)
    book.report(number, folder.rows()[0])
    folder.last.unlink()
    again = Book(study)
    (waiting,) = again.queued
    assert (waiting.number, waiting.rows) == (number, [])
    assert folder.rows() == []
    assert (folder.path / "metrics.jsonl.old").exists()
    assert again.reports == []
