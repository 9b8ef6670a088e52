"""What others write to a journal: notes and points are taken over, and nothing that would change the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from search.toy import Toy, toy_study

from raysearch.space import load_space
from raysearch.study._book import Book
from raysearch.study._enqueued import refusal
from raysearch.study._outside import judge, sentence
from raysearch.study._records import read_records
from raysearch.study._study import Study

Write = Callable[[optuna.Study, Any], object]


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def outsider(study: Study) -> optuna.Study:
    """Somebody with Optuna and the journal's path."""
    storage = JournalStorage(JournalFileBackend(str(study.journal)))
    return optuna.load_study(study_name="toy", storage=storage)


def _rename(theirs: optuna.Study, storage: Any) -> None:
    """As optuna-dashboard does it."""
    renamed = optuna.create_study(storage=storage, study_name="renamed", directions=theirs.directions)
    renamed.add_trials(theirs.get_trials(deepcopy=False))
    storage.delete_study(theirs._study_id)


REFUSED: dict[str, tuple[Write, str]] = {
    "rename": (_rename, "study 'renamed' created, a trial begun, the study deleted"),
    "delete": (lambda theirs, storage: storage.delete_study(theirs._study_id), "the study deleted"),
    "fail": (lambda theirs, storage: theirs.tell(0, state=TrialState.FAIL), "trial 0 told FAIL"),
    "complete": (lambda theirs, storage: theirs.tell(0, 0.99), "trial 0 told COMPLETE"),
    "ask": (lambda theirs, storage: theirs.ask(), "a trial begun"),
    "value": (lambda theirs, storage: storage.set_trial_intermediate_value(0, 1, 0.9), "a value of trial 0 reported"),
    "result": (
        lambda theirs, storage: storage.set_trial_user_attr(0, "result", {}), "attribute 'result' of trial 0 set"
    ),
    "constraint": (
        lambda theirs, storage: storage.set_trial_system_attr(0, "constraints", [1]), "attribute 'constraints' of"
    ),
    "sampler": (
        lambda theirs, storage: storage.set_study_system_attr(0, "study:metric_names", ["x"]), "of the study set"
    ),
    "parameter": (
        lambda theirs, storage: storage.set_trial_param(0, "x", 0.5, optuna.distributions.FloatDistribution(0, 1)),
        "parameter x of trial 0 set",
    ),
    "trial": (
        lambda theirs, storage: theirs.add_trial(optuna.trial.create_trial(value=9.0)), "a trial added as COMPLETE"
    ),
    "point": (lambda theirs, storage: theirs.enqueue_trial({"lr": 7.0}), "point lr=7.0 enqueued and refused"),
    "name": (lambda theirs, storage: theirs.enqueue_trial({"lrr": 0.1}), "did you mean 'lr'?"),
    "truth": (lambda theirs, storage: theirs.enqueue_trial({"lr": True}), "lr=True is outside"),
    "its result": (lambda theirs, storage: theirs.enqueue_trial({}, {"result": {}}), "no entry of Optuna's"),
}  # fmt: skip

TAKEN: dict[str, Write] = {
    "note": lambda theirs, storage: storage.set_study_system_attr(0, "dashboard:0:note_ver:", 1),
    "study": lambda theirs, storage: theirs.set_user_attr("who", "me"),
    "trial": lambda theirs, storage: storage.set_trial_user_attr(0, "seen", True),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_change_the_truth_is_put_aside(tmp_path: Path, name: str) -> None:
    write, said = REFUSED[name]
    study = toy_study(tmp_path)
    book = Book(study)
    assert book.next() is not None
    before, journal = read_records(study), study.journal.read_bytes()
    write(outsider(study), outsider(study)._storage)
    assert read_records(study) == before
    (told,) = book.heard()
    assert said in told
    assert "\n" not in told
    assert "not taken over (kept in journal.outside.log), the study goes on as it was" in told
    assert study.journal.read_bytes() == journal
    assert (study.path / "journal.outside.log").read_text().count("\n") >= 1
    assert book.heard() == []
    assert book.close(0, "failed", "for a test") == ("failed", "for a test")
    assert [r.state for r in read_records(study)] == ["failed"]


@pytest.mark.parametrize("name", TAKEN)
def test_notes_stay(tmp_path: Path, name: str) -> None:
    study = toy_study(tmp_path)
    book = Book(study)
    book.next()
    theirs = outsider(study)
    TAKEN[name](theirs, theirs._storage)
    written = study.journal.read_bytes()
    assert book.heard() == [], "there is nothing to be said of a note"
    assert study.journal.read_bytes() == written, "whoever wrote may go on writing"
    TAKEN[name](theirs, theirs._storage)
    book.close(0, "failed")
    for again in (Book(study), Book(study)):
        assert again.heard() == []
    assert not (study.path / "journal.outside.log").exists()
    assert study.ledger.read_bytes().count(b"\n") == study.journal.read_bytes().count(b"\n")


def test_what_was_written_while_nothing_ran_is_said_too(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    Book(study).next()
    theirs = outsider(study)
    theirs.tell(0, state=TrialState.FAIL)
    theirs._storage.delete_study(0)
    assert [r.state for r in read_records(study)] == ["running"]
    (told,) = Book(study).heard()
    assert "trial 0 told FAIL, the study deleted: not taken over" in told
    assert Book(study).heard() == []
    assert [t.state.name for t in outsider(study).trials] == ["RUNNING"], "for others, it is as it was"


def test_points_are_tried_next(tmp_path: Path) -> None:
    study = toy_study(tmp_path, samples=4)
    book = Book(study)
    book.next()
    theirs = outsider(study)
    for lr in (0.02, 0.03):  # by one and the same program, while we look in between
        theirs.enqueue_trial({"lr": lr})
        (told,) = book.heard()
        assert told == f"{study.journal} was changed by others: point lr={lr} enqueued: it will be tried"
    tried = [book.next(), book.next(), book.next()]
    assert [one.config["lr"] for one in tried[:2] if one] == [0.02, 0.03]
    assert [one.number for one in tried if one] == [1, 2, 3]
    assert book.remaining == 0
    again = Book(study)
    assert [one.number for one in again.queued] == [0, 1, 2, 3]
    assert again.heard() == []


def test_a_point_beyond_the_budget_waits(tmp_path: Path) -> None:
    study = toy_study(tmp_path, samples=1)
    book = Book(study)
    book.next()
    outsider(study).enqueue_trial({"lr": 0.02})
    assert book.next() is None
    assert [r.number for r in read_records(study)] == [0], "it is no trial yet"
    assert [r.number for r in Book(study).queued] == [0]


def test_the_grid_has_its_own_points(tmp_path: Path) -> None:
    space = load_space(Toy, "small")
    assert refusal({"lr": 0.1}, space, "grid") == "a grid lists its points itself"
    assert refusal({"lr": 0.1}, space, "tpe") == ""
    assert refusal({"lr": "much"}, space, "tpe").startswith("lr=much is outside ")


@pytest.mark.parametrize(
    "entry",
    [
        b"", b"\n", b"{}\n", b"[]\n", b'"x"\n', b"null\n", b"\x00\xff\n", b'{"op_code":4}\n',
        b'{"op_code":99,"worker_id":"x"}\n',
        b'{"op_code":8,"worker_id":"x","trial_id":"0","user_attr":{"a":1}}\n',
        b'{"op_code":8,"worker_id":"x","trial_id":0,"user_attr":{}}\n',
        b'{"op_code":2,"worker_id":"x","study_id":0,"user_attr":3}\n',
        b'{"op_code":2,"worker_id":"x","study_id":0,"user_attr":{"a":1}} \n',
        b'{"op_code":2,"worker_id":"x","study_id":0,"user_attr":{"a":1}}',
        b'{"op_code":4,"worker_id":"x","study_id":0,"state":4,"system_attrs":{"fixed_params":3},"datetime_start":null}\n',
        b'{"op_code":4,"worker_id":"x","study_id":0,"state":4,"system_attrs":{"fixed_params":{}},"datetime_start":"x"}\n',
    ],
)  # fmt: skip
def test_what_no_optuna_wrote_is_not_taken(entry: bytes) -> None:
    verdict = judge(entry, lambda point: "")
    assert not verdict.taken
    assert verdict.said


def test_what_is_said_is_short() -> None:
    def many(point: Mapping[str, Any]) -> str:
        raise AssertionError("nothing is enqueued")

    lines = [json.dumps({"op_code": 6, "worker_id": "x", "trial_id": n % 9, "state": 3}) + "\n" for n in range(90)]
    text = sentence([judge(line.encode(), many) for line in lines], missing=0, journal=Path("journal.log"))
    assert text.startswith("journal.log was changed by others: trial 0 told FAIL (10 times), trial 1 told FAIL")
    assert "and 4 more: not taken over" in text
