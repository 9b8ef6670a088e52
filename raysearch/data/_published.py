"""Divisions that stand in files: tables of parts, tables of folds, lists of images or patients."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import Collection
from raysearch.data._left_out import left_out
from raysearch.data._parts import PARTS, TEST, TRAIN, TUNING, UNUSED, divide
from raysearch.data.kinds._names import Meant, meant, meant_by_line, meant_patients
from raysearch.data.kinds._patients import NOBODY, patient_number
from raysearch.data.kinds._tables import read_header, read_names, read_table
from raysearch.errors import DataError, nearest

FORMS = (
    "a CSV file with columns image,split or patient,split; FILE:fold=K with columns image,fold or patient,fold; or"
    " lists as [train=FILE,][tuning=FILE,]test=FILE"
)
_VALUES = dict(zip(PARTS, (TRAIN, TUNING, TEST), strict=True)) | {UNUSED: -1}
_VALUES |= dict.fromkeys(("val", "valid", "validation"), TUNING)
_FOLD = re.compile(r"(.+):fold=([^,=]+)", re.DOTALL)
_LIST = re.compile(r"(train|tuning|test)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Published:
    """What files say of images or patients.

    Attributes:
        origin: what error messages call it.
        column: ``image`` or ``patient``; empty for lists, which may hold either.
        told: by name, an index into `PARTS`, or -1 for no part.
        divided: it names folds: train stands for all that is not test.
        complete: whether every labelled image has to be named; otherwise the others are in train.
    """

    origin: str
    column: str
    told: dict[str, int]
    divided: bool = False
    complete: bool = True


def read_published(how: str) -> Published:
    """Reads the files that ``--split`` names.

    Raises:
        DataError: no such file or column, a part that is not known, a name in two parts, no list of test, a fold that
            the table does not have.
    """
    if _LIST.fullmatch(how):
        return _read_lists(how)
    fold = _FOLD.fullmatch(how)
    path = Path(fold[1] if fold else how)
    if not path.is_file():
        raise DataError(
            f"--split {how}: there is no such file{_unknown_part(how)}; expected random, official, fold:I/K or {FORMS}"
        )
    return _read_folds(path, fold[2]) if fold else _read_parts(path)


def of_source(published: Published, name: str, sources: Sequence[str]) -> Published:
    """What files that name the images of several sources, as ``cls/NAME``, say of one of them.

    Raises:
        DataError: a name that begins with no source.
    """
    for said in published.told:
        if said.partition("/")[0] not in sources:
            expected = " or ".join(f"{source}/" for source in sources)
            raise DataError(
                f"{published.origin}: '{said}' is of no source; expected names that begin with {expected}, or a file"
                f" for each: --split {','.join(f'{source}=FILE' for source in sources)}"
            )
    prefix = f"{name}/"
    told = {said.removeprefix(prefix): part for said, part in published.told.items() if said.startswith(prefix)}
    return replace(published, told=told)


def published_parts(
    collection: Collection, known: NDArray[np.bool_], published: Published, tuning: float, seed: int
) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) index into `PARTS`, -1 for no part; and notes. Unlabelled images need not be named. Where nothing is told to
    be tuning, the share `tuning` of the patients in train is; of folds, those of patients that the table names.

    Names that are not as the images are called, with a folder before them or without their ending, mean the only image
    that fits, which a note says.

    Raises:
        DataError: a name that the collection does not have or that may mean several images, a labelled image that is
            not named, a patient in two parts.
    """
    keys, told, notes = _matched(collection, published)
    named = np.array([key in told for key in keys], bool)
    part = np.array([told.get(key, -1) for key in keys], np.int64)
    _refuse_shared_patients(collection, part, published.origin)
    others = np.flatnonzero(known & ~named)
    if others.size and published.complete:
        raise DataError(
            f"{published.origin}: {others.size} labelled images of {collection.source} are not named, "
            f"'{collection.image_ids[others[0]]}' for one; give each a line"
        )
    part[others] = _with_their_patient(collection, part, others)
    if TUNING not in told.values():
        rows = np.flatnonzero(known & (part == TRAIN) & (named | (not published.divided)))
        divide(collection, rows, part, (TRAIN, TUNING), (1 - tuning, tuning), seed)
        if published.divided:
            part[others] = _with_their_patient(collection, np.where(named, part, -1), others)
    if others.size:
        notes.append(
            f"{others.size} labelled images are not named: they are in train, or where the rest of their patient is"
        )
    return part, notes


def _read_parts(path: Path) -> Published:
    origin = f"split file {path}"
    column, rows = _read(path, "split")
    for name, value in rows:
        if value not in _VALUES:
            raise DataError(f"{origin}: {column} '{name}' is in '{value}'; expected one of {', '.join(PARTS)}")
    return Published(origin, column, _told(origin, column, ((name, _VALUES[value]) for name, value in rows)))


def _read_folds(path: Path, fold: str) -> Published:
    origin = f"split file {path}"
    column, rows = _read(path, "fold")
    rows = [(name, patient_number(value) or value) for name, value in rows]  # 1.0 is fold 1
    fold = patient_number(fold.strip()) or fold.strip()
    if blank := [name for name, value in rows if value.lower() in NOBODY]:
        raise DataError(f"{origin}: the line of {column} '{blank[0]}' has no fold; name one, or leave out the line")
    folds = {value for _, value in rows}
    if fold not in folds:
        raise DataError(f"{origin} has no fold '{fold}'; {nearest(fold, folds)}")
    told = _told(origin, column, ((name, TEST if value == fold else TRAIN) for name, value in rows))
    return Published(origin, column, told, divided=True, complete=False)


def _read_lists(how: str) -> Published:
    files: dict[str, str] = {}
    for piece in how.split(","):
        match = _LIST.fullmatch(piece)
        name, path = (match[1], match[2]) if match else (next(reversed(files)), f"{list(files.values())[-1]},{piece}")
        if match and name in files:
            raise DataError(f"--split {how}: {name} is given twice; leave out one")
        files[name] = path
    if PARTS[TEST] not in files:
        raise DataError(f"--split {how}: no list of test; add test=FILE")
    origin = f"--split {how}"
    for name, path in files.items():
        if not Path(path).is_file():
            raise DataError(
                f"{origin}: there is no file '{path}'{_unknown_part(path)}; expected {name}=FILE, a list with one name"
                " a line"
            )
    pairs = [(said, PARTS.index(name)) for name, path in files.items() for said in read_names(Path(path))]
    return Published(origin, "", _told(origin, "", pairs), complete=PARTS[TRAIN] in files)


def _unknown_part(text: str) -> str:
    """The name before a ``=`` in what was taken for a file's name, which was perhaps meant for a part; or nothing."""
    match = re.search(r"(?:^|,)([A-Za-z]+)=", text)
    return f", and no part '{match[1]}' ({nearest(match[1], PARTS)})" if match else ""


def _read(path: Path, value: str) -> tuple[str, list[tuple[str, str]]]:
    """``image`` or ``patient``, whichever the table has, and its rows."""
    try:
        header = read_header(path, (value,))
    except (OSError, ValueError, csv.Error):
        header = []  # the reader of tables says what is wrong
    column = "patient" if "patient" in header and "image" not in header else "image"
    if header and (column not in header or value not in header):
        raise DataError(f"split file {path} has columns {','.join(header)[:80] or 'of no name'}; expected {FORMS}")
    table = read_table(path, (column, value))
    return column, list(zip(table[column], table[value], strict=True))


def _told(origin: str, column: str, pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """By name; a patient may have a line an image, an image has one line."""
    told: dict[str, int] = {}
    for name, part in pairs:
        what = f"{column} '{name}'" if column else f"'{name}'"
        if told.get(name, part) != part:
            raise DataError(f"{origin}: {what} is in {_name(told[name])} and in {_name(part)}; put it in one part")
        if name in told and column == "image":
            raise DataError(f"{origin}: {what} is named twice; keep one of the lines")
        told[name] = part
    return told


def _name(part: int) -> str:
    return PARTS[part] if part >= 0 else UNUSED


def _matched(collection: Collection, published: Published) -> tuple[list[str], dict[str, int], list[str]]:
    """What names each image in the files: itself, or its patient; what is told by these names; and notes.

    Raises:
        DataError: the files name what the collection does not have, or may mean several of it, or one twice.
    """
    names = {"image": list(collection.image_ids), "patient": [str(name) for name in collection.named_patients]}
    found = {
        column: _meant(published, column, names[column])
        for column in ([published.column] if published.column else names)
    }
    column = min(found, key=lambda column: len(found[column].unknown))
    if missing := sorted(found[column].unknown):
        close = difflib.get_close_matches(missing[0], names[column], n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"expected names such as '{names[column][0]}'"
        raise DataError(
            f"{published.origin}: {column} '{missing[0]}' is not in {collection.source}; {hint}{left_out(collection)}"
        )
    for said, several in found[column].several.items():
        raise DataError(
            f"{published.origin}: {column} '{said}' may be '{several[0]}' or '{several[1]}'; write the whole name"
        )
    told: dict[str, int] = {}
    for said, part in published.told.items():
        name = found[column].by_name[said]
        if told.setdefault(name, part) != part:
            raise DataError(
                f"{published.origin}: {column} '{name}', also written '{said}', is in {_name(told[name])} and in "
                f"{_name(part)}; put it in one part"
            )
    return names[column], told, found[column].notes(published.origin)


def _meant(published: Published, column: str, names: list[str]) -> Meant:
    if column == "patient":
        return meant_patients(published.told, names)
    return meant(published.told, names) if published.column else meant_by_line(published.told, names)


def _with_their_patient(collection: Collection, part: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The part of each row's patient where that has one in `part`, train elsewhere. A patient by name comes before the
    others who share a picture with him, whom the files may have put elsewhere."""
    placed = part >= 0
    found = np.full(len(rows), TRAIN, np.int64)
    for patients in (collection.patients, collection.named_patients):
        of_patient = dict(zip(patients[placed].tolist(), part[placed].tolist(), strict=True))
        found = np.array(
            [of_patient.get(str(patients[row]), own) for row, own in zip(rows, found, strict=True)], np.int64
        )
    return found


def _refuse_shared_patients(collection: Collection, part: NDArray[np.int64], origin: str) -> None:
    first: dict[str, int] = {}
    for row in np.flatnonzero(part >= 0).tolist():
        other = first.setdefault(str(collection.named_patients[row]), row)
        if part[other] != part[row]:
            raise DataError(
                f"{origin}: patient '{collection.named_patients[row]}' is in {PARTS[part[other]]} "
                f"('{collection.image_ids[other]}') and {PARTS[part[row]]} ('{collection.image_ids[row]}'); "
                "put a patient's images in one part"
            )
