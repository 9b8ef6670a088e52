"""`Counts` on disk: one compressed .npz file that is whole or not there."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from raysearch.errors import StorageError, StudyError
from raysearch.thresholds._counts import Counts

_ARRAYS = ("foreground", "background", "image", "label", "patient", "present")
_LIMIT = 2 << 30
"""Bytes unpacked, about a million pairs: a damaged or hostile file must not fill the memory."""


def save_counts(counts: Counts, path: Path) -> None:
    """Writes `path` in one step: a reader, or a killed writer, never leaves or sees half a file.

    Raises:
        StorageError: the folder is missing, full or not writable.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(encode_counts(counts))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(
            f"{path}: evidence cannot be written ({error.strerror}); make room or choose another folder"
        ) from error


def encode_counts(counts: Counts) -> bytes:
    """The bytes of the file that `load_counts` reads."""
    buffer = io.BytesIO()
    arrays = {name: getattr(counts, name) for name in _ARRAYS}
    np.savez_compressed(buffer, classes=np.asarray(counts.classes, np.str_), **arrays)
    return buffer.getvalue()


def load_counts(path: Path) -> Counts:
    """Reads what `save_counts` wrote.

    Raises:
        StudyError: missing, cut off, not evidence, or contradicting itself.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _LIMIT:
            raise ValueError(f"it unpacks to {unpacked} bytes, more than the limit of {_LIMIT}")
        with np.load(path, allow_pickle=False) as archive:
            classes, *arrays = (archive[name] for name in ("classes", *_ARRAYS))
        return Counts(classes=tuple(classes.tolist()), **dict(zip(_ARRAYS, arrays, strict=True)))
    except FileNotFoundError:
        raise StudyError(f"{path}: no evidence there; run `raysearch rethreshold` on a study that kept it") from None
    except (OSError, ValueError, TypeError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StudyError(
            f"{path}: not readable as evidence ({reason}); delete it and evaluate the trial again"
        ) from error
