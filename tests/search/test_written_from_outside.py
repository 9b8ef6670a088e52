"""A search goes on as if nothing had happened, whatever others write to its journal while it runs."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from raysearch.study._book import Book
from raysearch.study._journal import StudyJournal
from raysearch.study._records import read_records
from raysearch.study._study import Study
from search.simulator import Machine, epochs_of, outcome
from search.toy import toy_study

WRITES = 100

SEARCH: dict[str, Any] = {"scheduler": "asha", "samples": 20, "epochs": 4, "seed": 1}


class Outsider:
    """Somebody who knows Optuna and the journal's path, and does whatever Optuna lets one do."""

    def __init__(self, study: Study, seed: int, *, points: bool) -> None:
        self._study = study
        self._chance = random.Random(seed)
        self.done: list[str] = []
        self._acts = [self.rename, self.delete, self.tell, self.attribute, self.ask, self.add, self.damage]
        self._acts += [self.enqueue] if points else []

    def act(self) -> None:
        if not self._study.journal.exists():
            return  # it is being begun
        act = self._chance.choice(self._acts)
        # what Optuna refuses, or falls over after damage, is theirs to mend
        with contextlib.suppress(Exception):
            storage = JournalStorage(JournalFileBackend(str(self._study.journal)))
            names = optuna.get_all_study_names(storage)
            act(optuna.load_study(study_name=self._chance.choice(names), storage=storage) if names else None)
            self.done.append(act.__name__)

    def rename(self, theirs: Any) -> None:
        renamed = optuna.create_study(storage=theirs._storage, study_name=f"renamed{len(self.done)}")
        renamed.add_trials(theirs.get_trials(deepcopy=False))
        theirs._storage.delete_study(theirs._study_id)

    def delete(self, theirs: Any) -> None:
        theirs._storage.delete_study(theirs._study_id)

    def tell(self, theirs: Any) -> None:
        number = self._chance.choice([t.number for t in theirs.trials if not t.state.is_finished()])
        state = self._chance.choice([TrialState.FAIL, TrialState.PRUNED, TrialState.COMPLETE])
        theirs.tell(number, 0.99 if state == TrialState.COMPLETE else None, state=state)

    def attribute(self, theirs: Any) -> None:
        name = self._chance.choice(["result", "mine", "constraints"])
        if self._chance.random() < 0.3:
            theirs.set_user_attr(name, 1)
        else:
            theirs._storage.set_trial_user_attr(self._chance.choice(theirs.trials)._trial_id, name, {"state": "x"})

    def ask(self, theirs: Any) -> None:
        theirs.ask()

    def add(self, theirs: Any) -> None:
        theirs.add_trial(create_trial(value=0.99))

    def enqueue(self, theirs: Any) -> None:
        theirs.enqueue_trial({self._chance.choice(["lr", "lr", "lrr"]): self._chance.choice([0.02, 0.5, 9.0, "much"])})

    def damage(self, theirs: Any) -> None:
        del theirs
        size, rubbish = os.path.getsize(self._study.journal), self._chance.randbytes(100)
        match self._chance.randrange(3):
            case 0:
                os.truncate(self._study.journal, max(0, size - self._chance.randrange(100)))
            case 1:
                with open(self._study.journal, "ab") as file:
                    file.write(rubbish)
            case _:
                with open(self._study.journal, "r+b") as file:
                    file.seek(max(0, size - len(rubbish)))
                    file.write(rubbish[:size])


def disturbed(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Something happens before whatever the search writes."""
    real = StudyJournal.append_logs

    def append_logs(journal: StudyJournal, logs: list[dict[str, Any]]) -> None:
        act()
        real(journal, logs)

    monkeypatch.setattr(StudyJournal, "append_logs", append_logs)


@pytest.mark.parametrize("seed", range(3))
def test_a_hundred_writes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    calm = Machine(monkeypatch).run(toy_study(tmp_path / "calm", **SEARCH))
    study = toy_study(tmp_path / "hit", **SEARCH)
    outsider, machine = Outsider(study, seed, points=False), Machine(monkeypatch)
    disturbed(monkeypatch, outsider.act)
    book = machine.run(study)
    assert len(outsider.done) > WRITES
    assert len(set(outsider.done)) == 7
    assert outcome(book.records()) == outcome(calm.records()) == outcome(read_records(study))
    assert epochs_of(study) == {r.number: list(range(1, r.epochs + 1)) for r in calm.records()}
    assert any("not taken over" in line[1] for line in machine.events if line[0] == "told")
    assert outcome(Book(study).records()) == outcome(calm.records())


@pytest.mark.parametrize("seed", range(2))
def test_points_among_them_are_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    study = toy_study(tmp_path, **{**SEARCH, "scheduler": "fifo"})
    outsider, machine = Outsider(study, seed, points=True), Machine(monkeypatch)
    disturbed(monkeypatch, outsider.act)
    records = machine.run(study).records()
    told = [line[1] for line in machine.events if line[0] == "told"]
    assert any("point lr=0.02 enqueued: it will be tried" in text or "lr=0.5 enqueued: it" in text for text in told)
    assert any("refused: lr" in text for text in told)
    tried = [r for r in records if r.params["lr"] in (0.02, 0.5)]
    assert tried
    assert len(records) == SEARCH["samples"]
    assert {r.state for r in records} <= {"complete", "failed"}
    assert all(r.value is not None for r in records if r.state == "complete")
    assert outcome(Book(study).records()) == outcome(records)
