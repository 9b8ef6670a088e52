"""Evidence on disk: one compressed .npz file an evaluation, with all the kinds that it collected."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from raysearch.errors import StudyError
from raysearch.thresholds._evidence import Evidence
from raysearch.thresholds._kinds import KINDS

_ORIGIN = "origin"
_LIMIT = 2 << 30
"""Bytes unpacked, about a million pairs of counts: a damaged or hostile file must not fill the memory."""


def encode_evidence(evidence: Mapping[str, Evidence], origin: str = "") -> bytes:
    """The bytes of the file that `load_evidence` reads, from evidence by kind.

    Args:
        origin: what the maps are of, in any words: a method and its data, for one.

    Raises:
        ValueError: a name is not the kind of its evidence, or two kinds differ in their classes.
    """
    wrong = [name for name, part in evidence.items() if name != part.kind or part.kind not in KINDS]
    if wrong or len({part.classes for part in evidence.values()}) > 1:
        raise ValueError(f"expected evidence of the same classes by its kind, got {', '.join(evidence)}")
    arrays = {
        f"{part.kind}.{name}": np.asarray(getattr(part, name))
        for part in evidence.values()
        for name in (*part.constants(), *part.columns)
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays, **{_ORIGIN: np.asarray(origin)})  # type: ignore[arg-type]
    return buffer.getvalue()


def load_evidence(
    path: Path,
    kinds: Collection[str] | None = None,
    *,
    classes: Sequence[str] | None = None,
    origin: str | None = None,
) -> dict[str, Evidence]:
    """Reads what `encode_evidence` wrote.

    Args:
        kinds: those to read; all that the file holds if None.
        classes: that it must be about, where they are known.
        origin: likewise.

    Raises:
        StudyError: missing, cut short, not evidence, of kinds that this version does not know, of another origin or
            other classes, contradicting itself, or without a kind that is asked for.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
        held = {name.split(".")[0] for name in sizes} - {_ORIGIN}
        wanted = held if kinds is None else set(kinds)
        _check_kinds(path, held, wanted)
        unpacked = sum(size for name, size in sizes.items() if name.split(".")[0] in wanted)
        if unpacked > _LIMIT:
            raise ValueError(f"it unpacks to {unpacked} bytes, more than the limit of {_LIMIT}")
        with np.load(path, allow_pickle=False) as arrays:
            said = str(arrays[_ORIGIN])
            found = {kind: _decode(KINDS[kind], arrays) for kind in KINDS if kind in wanted}
    except FileNotFoundError:
        raise StudyError(f"{path}: no evidence there; name a trial that kept it") from None
    except (OSError, ValueError, TypeError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StudyError(
            f"{path}: not readable as evidence ({reason}); put it back from a copy; the other trials do not need it"
        ) from error
    if origin is not None and said != origin:
        raise StudyError(
            f"{path}: evidence of {said or 'unknown origin'}, expected {origin}; put the trial's own file back"
        )
    for kind, evidence in found.items():
        if classes is not None and evidence.classes != tuple(classes):
            raise StudyError(
                f"{path}: {kind} of the classes {', '.join(evidence.classes)}, expected {', '.join(classes)}: it is "
                "evidence of another method or data; put the trial's own file back"
            )
    return found


def _check_kinds(path: Path, held: set[str], wanted: set[str]) -> None:
    unknown, missing = sorted(wanted & held - KINDS.keys()), sorted(wanted - held)
    if unknown:
        raise StudyError(
            f"{path}: holds evidence of unknown kind {', '.join(unknown)}, this version knows {', '.join(KINDS)}; "
            "read it with the version that wrote it"
        )
    if missing:
        raise StudyError(
            f"{path}: holds no {', '.join(missing)}, only {', '.join(sorted(held)) or 'nothing'}; "
            "tune by a metric that needs it, or with --keep-evidence"
        )


def _decode(cls: type[Evidence], arrays: Mapping[str, Any]) -> Evidence:
    fields: dict[str, Any] = {name: arrays[f"{cls.kind}.{name}"] for name in cls.columns}
    for name in cls.constants():
        value = arrays[f"{cls.kind}.{name}"].tolist()
        fields[name] = tuple(value) if isinstance(value, list) else value  # else a str
    return cls(**fields)
