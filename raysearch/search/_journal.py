"""Optuna's journal file, opened so that a line cut by a crash never swallows the line written after it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from raysearch.errors import StudyError

LOCK_GRACE_SECONDS = 5
"""A lock this old belongs to a process that was killed while it wrote (a write takes milliseconds)."""


def open_journal(path: Path) -> JournalStorage:
    """The storage in `path`, repaired first if its last line has no end.

    Raises:
        StudyError: a line in the middle is not JSON: the file was damaged by something else than a crash.
    """
    lock = _lock(path)
    path.touch()
    lock.acquire()
    try:
        repair(path)
    finally:
        lock.release()
    return read_journal(path)


def read_journal(path: Path) -> JournalStorage:
    """The storage in `path` as it is, for those who look on while another process writes.

    Raises:
        StudyError: the journal does not say what Optuna writes.
    """
    try:
        return JournalStorage(JournalFileBackend(str(path.resolve()), lock_obj=_lock(path)))
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{path} is damaged ({type(error).__name__}: {' '.join(str(error).split())[:100]}): expected one Optuna"
            " journal entry a line; restore the file from a copy, or start a new study"
        ) from None


def _lock(path: Path) -> JournalFileSymlinkLock:
    # Optuna's lock is a link to the journal: a relative one leads nowhere, and no lock would ever be old
    return JournalFileSymlinkLock(str(path.resolve()), grace_period=LOCK_GRACE_SECONDS)


def repair(path: Path) -> bytes:
    """Cuts an unterminated or unreadable last line and saves it beside the journal; returns what was cut.

    Optuna would glue the next write to it, and lose both.
    """
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    start_of_last = data.rfind(b"\n", 0, max(end - 1, 0)) + 1
    if end and not _is_json(data[start_of_last:end]):
        end = start_of_last
    for number, line in enumerate(data[:end].splitlines(), 1):
        if not _is_json(line):
            raise StudyError(
                f"{path} line {number} is not JSON: expected one Optuna journal entry a line; restore the file from a"
                " copy, or start a new study"
            )
    cut = data[end:]
    if cut:
        with open(path.with_name(path.name + ".cut"), "ab") as aside:
            aside.write(cut + b"\n")
        os.truncate(path, end)
    return cut


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def quiet_optuna() -> None:
    """Optuna speaks through our display and log, not through its own handler."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
