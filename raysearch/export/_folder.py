"""A folder that is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from raysearch import _signals
from raysearch.errors import ExportError, StorageError
from raysearch.study._study import is_disk_full


def refuse_taken(out: Path, option: str = "--out") -> None:
    """Refuses what would be written over.

    Args:
        option: what the user named it by.

    Raises:
        ExportError: `out` exists and is not an empty folder, or cannot be looked into.
    """
    try:
        taken = os.path.lexists(out) and (not out.is_dir() or any(out.iterdir()))
    except OSError as error:
        raise ExportError(f"{out} cannot be read ({error.strerror}); give another {option}") from None
    if taken:
        raise ExportError(f"{out} exists and is not an empty folder; give another {option}")


@contextlib.contextmanager
def new_folder(out: Path, option: str = "--out") -> Iterator[Path]:
    """A folder that becomes `out` at the end of the body: all of it, or none after an error.

    Args:
        option: what the user named it by.

    Raises:
        ExportError: `out` exists and is not an empty folder, or cannot be written.
        StorageError: the disk is full.
    """
    target = out.absolute()
    try:
        refuse_taken(out, option)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            with _signals.at_once(lambda: shutil.rmtree(part, ignore_errors=True)):
                yield part
            part.chmod(0o755)
            if target.is_dir():
                target.rmdir()
            part.rename(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except OSError as error:
        if is_disk_full(error):
            raise StorageError(f"the disk of {out} is full; free some space and export again") from None
        raise ExportError(f"{out} cannot be written ({error.strerror}); give another {option}") from None
