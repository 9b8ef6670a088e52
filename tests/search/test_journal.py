"""The journal is opened whole, whatever a killed writer has left at its end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from raysearch.errors import StudyError
from raysearch.search import _journal
from raysearch.search._journal import open_journal, repair


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal with three trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = tmp_path_factory.mktemp("journal") / "journal.log"
    study = optuna.create_study(study_name="s", storage=open_journal(path))
    for number in range(3):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        trial.set_user_attr("note", "ä\n" * 3)
        study.tell(trial, float(number))
    return path.read_bytes()


def told(path: Path) -> list[str]:
    storage = JournalStorage(JournalFileBackend(str(path)))
    return [t.state.name for t in optuna.load_study(study_name="s", storage=storage).trials]


def test_cut_at_every_byte_of_the_last_two_lines(
    written: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    starts = [0] + [i + 1 for i, byte in enumerate(written) if byte == ord("\n")]
    for cut in range(starts[-3], len(written) + 1):
        path = tmp_path / f"{cut}.log"
        path.write_bytes(written[:cut])
        whole = max(start for start in starts if start <= cut)
        before = told(path)
        storage = open_journal(path)
        assert path.read_bytes() == written[:whole]
        aside = path.with_name(path.name + ".cut")
        assert (aside.read_bytes() if aside.exists() else b"") == (written[whole:cut] + b"\n" if whole < cut else b"")
        study = optuna.load_study(study_name="s", storage=storage)
        assert [t.state.name for t in study.trials] == before, "a reader before the repair saw the same"
        study.tell(study.ask(), 0.5)
        lines = path.read_bytes().splitlines()
        assert all(json.loads(line) for line in lines)
        assert told(path) == [*before, "COMPLETE"], "nothing was glued to the next write"


def test_a_last_line_of_rubbish_is_cut_too(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(written + b'{"op_code":5,"wor\x00\x00\n')
    assert repair(path) == b'{"op_code":5,"wor\x00\x00\n'
    assert path.read_bytes() == written
    assert repair(path) == b""


def test_a_reader_that_is_open_goes_on(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(written + b'{"op_code":4,"worker')
    reader = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))
    assert len(reader.trials) == 3
    writer = optuna.load_study(study_name="s", storage=open_journal(path))
    writer.tell(writer.ask(), 0.5)
    assert [t.state.name for t in reader.trials] == ["COMPLETE"] * 4


def test_damage_in_the_middle_is_refused(written: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    lines = written.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"rubbish\n", *lines[3:]]))
    with pytest.raises(StudyError, match=r"journal\.log line 3 is not JSON: .* restore the file") as caught:
        open_journal(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes().splitlines()[2] == b"rubbish", "nothing was cut"
    assert not list(tmp_path.glob("*.lock")), "the lock was given back"


@pytest.mark.parametrize("relative", [False, True])
def test_the_lock_of_a_killed_writer_is_taken_over(
    written: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    """Optuna's lock is a link to the journal, and its age that of the journal: a link that leads nowhere has none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_journal, "LOCK_GRACE_SECONDS", 3)
    folder = Path("studies/one") if relative else tmp_path / "studies" / "one"
    folder.mkdir(parents=True)
    path = folder / "journal.log"
    path.write_bytes(written)
    clock = [0.0]
    monkeypatch.setattr("optuna.storages.journal._file.time.sleep", lambda s: clock.__setitem__(0, clock[0] + s))
    monkeypatch.setattr("optuna.storages.journal._file.time.monotonic", lambda: clock[0])
    tries = 0
    link = os.symlink

    def impatient(*arguments: str) -> None:
        nonlocal tries
        tries += 1
        assert tries < 10_000, "it waits for ever"
        link(*arguments)

    monkeypatch.setattr(os, "symlink", impatient)
    open_journal(path)._backend._lock.acquire()  # type: ignore[attr-defined]  # and it is killed here
    storage = open_journal(path)
    assert len(optuna.load_study(study_name="s", storage=storage).trials) == 3
