"""A study's ledger and its journal mend each other, whatever has become of one of them."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from raysearch.errors import StudyError
from raysearch.study import _journal
from raysearch.study._journal import StudyJournal, compared, read_storage
from raysearch.study._ledger import lines_of, number_of, seal, unsealed, whole_ledger
from raysearch.study._outside import judge


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class Written:
    """A study of three trials on disk."""

    def __init__(self, folder: Path) -> None:
        self.ledger, self.journal = folder / "ledger.jsonl", folder / "journal.log"
        self.said: list[str] = []
        study = self.open()
        for number in range(3):
            trial = study.ask()
            trial.suggest_float("x", 0, 1)
            trial.set_user_attr("note", "ä\n" * 3)
            study.tell(trial, float(number))
        self.whole = self.ledger.read_bytes()

    def open(self) -> optuna.Study:
        self.backend = StudyJournal(
            self.ledger, self.journal, judge=lambda line: judge(line, lambda point: ""), say=self.said.append
        )
        storage = JournalStorage(self.backend)
        if storage.get_all_studies():
            study = optuna.load_study(study_name="s", storage=storage)
        else:
            study = optuna.create_study(study_name="s", storage=storage, direction="maximize")
        self.backend.look()
        return study

    def seen(self) -> list[str]:
        """States of trials, for those who only look."""
        storage = read_storage(self.ledger, self.journal)
        return [t.state.name for t in optuna.load_study(study_name="s", storage=storage).trials]

    def seen_by_optuna(self) -> list[str]:
        storage = JournalStorage(JournalFileBackend(str(self.journal)))
        return [t.state.name for t in optuna.load_study(study_name="s", storage=storage).trials]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path)


def test_the_journal_is_one_of_optunas(written: Written) -> None:
    assert written.journal.read_bytes() == written.whole
    assert written.seen_by_optuna() == written.seen() == ["COMPLETE"] * 3


def test_the_journal_is_looked_through_only_when_others_wrote(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks through all of it at every write takes time with the square of the trials."""
    looks: list[int] = []

    def counted(journal: Sequence[bytes], ledger: Sequence[bytes]) -> tuple[list[bytes], int | None]:
        looks.append(len(ledger))
        return compared(journal, ledger)

    monkeypatch.setattr(_journal, "compared", counted)
    study = written.open()
    for value in range(5):
        study.tell(study.ask(), float(value))
        written.backend.look()
    assert len(looks) == 1
    with open(written.journal, "ab") as file:
        file.write(b"x\n")
    study.ask()
    written.backend.look()
    assert len(looks) == 2


def test_a_line_knows_its_number_and_whether_it_was_changed(written: Written) -> None:
    lines = lines_of(written.whole)
    assert [number_of(line) for line in lines] == list(range(len(lines)))
    assert all("raysearch" not in json.loads(unsealed(line)) for line in lines)
    line = lines[5]
    for place in range(len(line)):
        changed = bytearray(line)
        changed[place] ^= 1
        assert number_of(bytes(changed)) in (None, 5)
        if number_of(bytes(changed)) == 5:
            raise AssertionError(f"nobody sees that byte {place} of {line!r} was changed")


def test_cut_at_every_byte_of_the_last_two_lines(written: Written) -> None:
    starts = [0] + [i + 1 for i, byte in enumerate(written.whole) if byte == ord("\n")]
    for cut in range(starts[-3], len(written.whole) + 1):
        both = [written.whole[:cut], written.whole]
        for ledger, journal in (both, both[::-1], both[:1] * 2):
            written.ledger.write_bytes(ledger)
            written.journal.write_bytes(journal)
            written.said.clear()
            before = written.seen()
            study = written.open()
            kept = max(start for start in starts if start <= max(len(ledger), len(journal)))
            assert written.ledger.read_bytes() == written.journal.read_bytes() == written.whole[:kept]
            assert [t.state.name for t in study.trials] == before, "a reader before the repair saw the same"
            lost = written.whole[:kept].count(b"\n") - journal.count(b"\n")
            assert len(written.said) == (lost > 1), "that the last entry is missing is a crash, and nobody's doing"


@pytest.mark.parametrize("which", ["ledger", "journal"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda data, chance: data[: -chance.randrange(1, len(data))],
        lambda data, chance: b"",
        lambda data, chance: flipped(data, chance, 100),
        lambda data, chance: data[: -chance.randrange(1, 400)] + chance.randbytes(100),
        lambda data, chance: data + chance.randbytes(100),
        lambda data, chance: b"\n".join(data.split(b"\n")[::-1]),
    ],
    ids=["cut", "empty", "flipped", "overwritten", "more", "reversed"],
)
def test_nothing_is_lost_with_one_of_the_files(
    written: Written, which: str, harm: Callable[[bytes, random.Random], bytes]
) -> None:
    for seed in range(20):
        written.ledger.write_bytes(written.whole)
        written.journal.write_bytes(written.whole)
        getattr(written, which).write_bytes(harm(written.whole, random.Random(seed)))
        assert written.seen() == ["COMPLETE"] * 3
        study = written.open()
        assert [trial.value for trial in study.trials] == [0.0, 1.0, 2.0]
        assert written.ledger.read_bytes() == written.journal.read_bytes() == written.whole
        assert written.seen_by_optuna() == ["COMPLETE"] * 3


def flipped(data: bytes, chance: random.Random, count: int) -> bytes:
    changed = bytearray(data)
    for _ in range(count):
        changed[chance.randrange(max(0, len(data) - 600), len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def test_a_missing_file_is_written_again(written: Written) -> None:
    for path in (written.ledger, written.journal):
        path.unlink()
        assert written.seen() == ["COMPLETE"] * 3
        written.open()
        assert path.read_bytes() == written.whole


def test_what_both_have_lost_is_refused(written: Written) -> None:
    lines = lines_of(written.whole)
    for path in (written.ledger, written.journal):
        path.write_bytes(b"".join([*lines[:2], b"rubbish\n", *lines[3:]]))
    with pytest.raises(StudyError, match=rf"entry 2 of {len(lines)} is in neither; restore one of them") as caught:
        written.open()
    assert "\n" not in str(caught.value)
    with pytest.raises(StudyError, match="is in neither"):
        written.seen()
    assert lines_of(written.ledger.read_bytes())[2] == b"rubbish\n", "nothing was cut"


def test_an_entry_of_others_is_found_between_its_neighbours(tmp_path: Path) -> None:
    own = [seal(b'{"op_code":%d}\n' % number, number) for number in range(3)]
    ledger, journal = b"".join(own[:1] + own[2:]), own[0] + b'{"op_code":1}\n' + own[2]
    assert whole_ledger(ledger, journal, tmp_path) == own
    with pytest.raises(StudyError, match="entry 1 of 3"):
        whole_ledger(ledger, own[0] + b"{rubbish}\n" + own[2], tmp_path)


def test_a_reader_that_is_open_goes_on(written: Written) -> None:
    reader = optuna.load_study(study_name="s", storage=read_storage(written.ledger, written.journal))
    with open(written.ledger, "ab") as file:
        file.write(b'{"op_code":4,"worker')
    assert len(reader.trials) == 3
    writer = written.open()
    for _ in range(2):
        writer.tell(writer.ask(), 0.5)
        assert [t.state.name for t in reader.trials] == ["COMPLETE"] * len(writer.trials)


def test_a_reader_cannot_write(written: Written) -> None:
    reader = optuna.load_study(study_name="s", storage=read_storage(written.ledger, written.journal))
    for write in (reader.ask, lambda: reader.set_user_attr("a", 1), lambda: reader.enqueue_trial({"x": 0.5})):
        with pytest.raises(PermissionError):
            write()
    assert written.ledger.read_bytes() == written.journal.read_bytes() == written.whole


def test_a_full_disk_leaves_no_half_line(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    study = written.open()
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[: len(data) // 2]))
    with pytest.raises(OSError, match="No space"):
        study.ask()
    monkeypatch.setattr(os, "write", real)
    assert written.ledger.read_bytes() == written.whole
    study.tell(study.ask(), 0.5)
    assert written.seen() == written.seen_by_optuna() == ["COMPLETE"] * 4


def test_a_journal_that_cannot_be_written_is_done_without(written: Written) -> None:
    study = written.open()
    written.journal.unlink()
    written.journal.mkdir()
    for _ in range(2):
        study.tell(study.ask(), 0.5)
    assert written.seen() == ["COMPLETE"] * 5
    assert [text.partition(" cannot")[0] for text in written.said] == [str(written.journal)], "said once"
    assert not list(written.journal.parent.glob("*.lock")), "what was locked is given back"


@pytest.mark.parametrize("relative", [False, True])
def test_the_lock_of_a_killed_writer_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    """Optuna's lock is a link to the journal, and its age that of the journal: a link that leads nowhere has none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_journal, "LOCK_GRACE_SECONDS", 3)
    folder = Path("studies/one") if relative else tmp_path / "studies" / "one"
    folder.mkdir(parents=True)
    written = Written(folder)
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
    os.symlink(written.journal.resolve(), f"{written.journal}.lock")  # whoever made it was killed
    study = written.open()
    study.tell(study.ask(), 0.5)
    assert written.seen() == ["COMPLETE"] * 4


def test_compared() -> None:
    own = [seal(b'{"op_code":%d}\n' % number, number) for number in range(3)]
    foreign = b'{"op_code":9}\n'
    assert compared(own, own) == ([], None)
    assert compared([*own, foreign], own) == ([foreign], None)
    assert compared([unsealed(own[0]), *own[1:]], own) == ([], None), "an entry of others that was taken over"
    assert compared(own[:2], own) == ([], 1)
    assert compared([*own[:2], own[2][:9]], own) == ([], 1), "a crash cut it"
    assert compared([own[0], foreign, *own[1:]], own) == ([foreign], 0)
    assert compared([own[0], own[2]], own) == ([], 1)
    assert compared([], own) == ([], 3)
