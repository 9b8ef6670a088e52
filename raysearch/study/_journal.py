"""``journal.log``: a study's ledger as others see it. Any tool of Optuna's may read it, and may write to it as to any
journal: what is written there is a request (`raysearch.study._outside`), never the truth."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileSymlinkLock

from raysearch.study._ledger import Ledger, LedgerReader, lines_of, number_of, read_bytes, unsealed
from raysearch.study._outside import Verdict, sentence
from raysearch.study._study import is_disk_full
from raysearch.study._trial_folder import write_atomically

LOCK_GRACE_SECONDS = 5
"""A lock this old belongs to a process that was killed while it wrote (a write takes milliseconds)."""

BEGINS = b'{"op_code":'
"""How an entry begins."""

Judge = Callable[[bytes], Verdict]


class StudyJournal(BaseJournalBackend):
    """Optuna's backend of the one process that runs a study: it reads and writes the ledger, and keeps the journal
    beside it the same.

    Args:
        ledger, journal: their files.
        judge: what becomes of an entry that somebody else wrote.
        say: told in one line what others wrote, and what became of it.

    Raises:
        StudyError: an entry is damaged in both files.
    """

    def __init__(self, ledger: Path, journal: Path, *, judge: Judge, say: Callable[[str], None]) -> None:
        self._journal = journal
        self._judge = judge
        self._say = say
        self._ledger = Ledger(ledger, journal)
        self._unread = deque(json.loads(line) for line in self._ledger.lines())
        self._left: tuple[int, ...] | None = ()
        """`_mark` of the journal as it was left; () before it was looked through."""
        self._shared = True

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """What was not read yet: one storage reads here, and nobody else writes."""
        del log_number_from
        while self._unread:
            yield self._unread.popleft()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with self._lock():
            self._sharing(self._look)
            lines = [self._record(json.dumps(log, separators=(",", ":")).encode()) for log in logs]
            self._sharing(lambda: self._publish(lines))

    def look(self) -> None:
        """Takes notice of what others have written."""
        if self._shared and self._left != _mark(self._journal):
            with self._lock():
                self._sharing(self._look)

    def _record(self, entry: bytes) -> bytes:
        line = self._ledger.append(entry)
        self._unread.append(json.loads(line))
        return line

    def _look(self) -> None:
        if self._left == _mark(self._journal):
            return
        ours = self._ledger.lines()
        written, missing = compared(lines_of(read_bytes(self._journal)), ours)
        verdicts = [self._judge(line) for line in written]
        ours += [self._record(line) for line, verdict in zip(written, verdicts, strict=True) if verdict.taken]
        refused = [line for line, verdict in zip(written, verdicts, strict=True) if not verdict.taken]
        if refused:
            with open(aside(self._journal), "ab") as file:
                file.write(b"".join(line.rstrip(b"\n") + b"\n" for line in refused))
        if refused or missing is not None:
            write_atomically(self._journal, b"".join(ours))
        self._left = _mark(self._journal)
        # one that is missing was not written any more when the study was killed
        said = sentence(verdicts, missing=missing if missing and missing > 1 else 0, journal=self._journal)
        if said:
            self._say(said)

    def _publish(self, lines: Sequence[bytes]) -> None:
        with open(self._journal, "ab") as file:
            file.write(b"".join(lines))
        self._left = _mark(self._journal)

    def _sharing(self, action: Callable[[], None]) -> None:
        """Does something to the journal, which the study can do without."""
        if not self._shared:
            return
        try:
            action()
        except OSError as error:
            if is_disk_full(error):
                raise
            self._shared = False
            self._say(f"{self._journal} cannot be kept up ({error.strerror}); the study goes on without it")

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        # Optuna's lock is a link to the journal: a relative one leads nowhere, and no lock would ever be old
        lock = JournalFileSymlinkLock(str(self._journal.resolve()), grace_period=LOCK_GRACE_SECONDS)

        def acquire() -> None:
            open(self._journal, "ab").close()  # it is there, and as old as it was: a look goes by its time
            lock.acquire()

        self._sharing(acquire)
        held = self._shared
        try:
            yield
        finally:
            if held:
                with contextlib.suppress(RuntimeError):  # it was taken over, since we were so slow
                    lock.release()


class ReadOnlyJournal(BaseJournalBackend):
    """Optuna's backend for those who look on while another process runs the study; nothing can be written by it."""

    def __init__(self, ledger: Path, journal: Path) -> None:
        self._reader = LedgerReader(ledger, journal)

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """What was not read yet: one storage reads here."""
        del log_number_from
        return self._reader.more()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise PermissionError("a study's trials are written by its search alone")


def read_storage(ledger: Path, journal: Path) -> JournalStorage:
    """The trials of a study, for reading.

    Raises:
        StudyError: an entry is damaged in both files.
    """
    return JournalStorage(ReadOnlyJournal(ledger, journal))


def aside(journal: Path) -> Path:
    """Where what others wrote is kept, if it was not taken over."""
    return journal.with_name("journal.outside.log")


def compared(journal: Sequence[bytes], ledger: Sequence[bytes]) -> tuple[list[bytes], int | None]:
    """What others wrote to a journal, and how many entries of the ledger it lacks: None if it holds all of them, in
    their order and before anything else."""
    place, found, others, in_order = 0, 0, list[bytes](), True
    for line in journal:
        expected = ledger[place] if place < len(ledger) else b""
        if expected and line in (expected, unsealed(expected)):
            place, found = place + 1, found + 1
            in_order = in_order and not others
        elif number_of(line) is not None:
            found, in_order = found + 1, False  # one before it is missing
        elif not line.endswith(b"\n") and line[: len(BEGINS)] == BEGINS[: len(line)]:
            in_order = False  # a crash cut it, ours or another's
        else:
            others.append(line)
    return others, None if in_order and found == len(ledger) else max(len(ledger) - found, 0)


def _mark(path: Path) -> tuple[int, ...] | None:
    """What changes with a file; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def quiet_optuna() -> None:
    """Optuna speaks through our display and log, not through its own handler."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
