"""Sends what libraries print to the study's log, and keeps the terminal for the display."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TextIO, cast

from raysearch._outlet import Outlet
from raysearch.study._study import unwritable

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "1e9",
    "PYTHONWARNINGS": "ignore",
}
"""Set before Ray is imported. Tune's own snapshots are not written: resume is from the study's records."""


def set_environment() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def chatter_to(path: Path) -> Iterator[IO[str]]:
    """Within it, everything that this process and its children write to file descriptors 1 and 2 goes to `path`; yields
    the terminal (or whatever standard output was) for those who have something to say to the user. It may go away: what
    they then say is lost, and nothing fails.

    Raises:
        StudyError: the log cannot be written.
        StorageError: the disk is full.
    """
    try:
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        raise unwritable(path.parent, error) from None
    streams = sys.stdout, sys.stderr
    for stream in streams:
        stream.flush()
    kept = os.dup(1), os.dup(2)
    terminal = Outlet(
        os.fdopen(os.dup(1), "w", buffering=1, encoding=sys.stdout.encoding, errors="backslashreplace"), obeyed=True
    )
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        file = io.TextIOWrapper(
            os.fdopen(os.dup(log), "wb", buffering=0), encoding="utf-8", errors="backslashreplace", write_through=True
        )
        sys.stdout = sys.stderr = cast(TextIO, Outlet(file, obeyed=True))
        yield cast(IO[str], terminal)
    finally:
        sys.stdout, sys.stderr = streams
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        terminal.close()
        for descriptor in (*kept, log):
            os.close(descriptor)
