"""Which part each row of a collection belongs to: drawn, as published, or from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, Collection
from raysearch.data._stratify import stratify
from raysearch.data.kinds._tables import read_table
from raysearch.errors import DataError, nearest

PARTS = ("train", "tuning", "test")
UNUSED = "unused"
"""What a study's split.csv says of training images that ``--unannotated`` has left out."""
_TRAIN, _TUNING, _TEST = range(3)


def random_parts(
    collection: Collection, known: NDArray[np.bool_], fractions: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """(N,) index into `PARTS` of every known row, -1 elsewhere."""
    part = np.full(len(collection), -1, np.int64)
    divide(collection, np.flatnonzero(known), part, (_TRAIN, _TUNING, _TEST), fractions, seed)
    return part


def official_parts(
    collection: Collection, known: NDArray[np.bool_], fractions: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """As `random_parts`, within the published parts; known rows in none of them are -1.

    Raises:
        DataError: nothing is published, or the published parts share a patient.
    """
    train, test = known & (collection.official == "train"), known & (collection.official == "test")
    if not (train.any() and test.any()):
        raise DataError(f"{collection.source} has no published split; use --split random or --split FILE")
    shared = np.intersect1d(collection.patients[train], collection.patients[test])
    if shared.size:
        raise DataError(
            f"the published parts of {collection.source} share {shared.size} patients, '{shared[0]}' for one, and a "
            "patient may be in one part only; use --split random (or, for glas, the data option patients=image)"
        )
    part = np.full(len(collection), -1, np.int64)
    part[test] = _TEST
    share = fractions[_TUNING]
    divide(collection, np.flatnonzero(train), part, (_TRAIN, _TUNING), (1 - share, share), seed)
    boxed = (collection.truth == PRESENT).any(axis=1)
    if not boxed[train].any():
        owners = np.unique(collection.patients[test & boxed])
        rows = np.flatnonzero(test & np.isin(collection.patients, owners))
        divide(collection, rows, part, (_TRAIN, _TUNING, _TEST), (1, 1, 1), seed)
    return part


def parts_from_file(collection: Collection, known: NDArray[np.bool_], path: Path) -> NDArray[np.int64]:
    """As `random_parts`, from a CSV file with columns image and split, such as the split.csv of a study or an export.
    Unlabelled images may be absent from it; those that it calls ``unused`` are in no part.

    Raises:
        DataError: no such file or column, an image or a split that is not known, named twice or not named, or a patient
            in two parts.
    """
    if not path.is_file():
        raise DataError(
            f"--split {path}: there is no such file; expected random, official, fold:I/K or a CSV file with columns "
            "image,split"
        )
    table = read_table(path, ("image", "split"))
    row_of = {name: row for row, name in enumerate(collection.image_ids)}
    part = np.full(len(collection), -1, np.int64)
    named = np.zeros(len(collection), bool)
    for image, name in zip(table["image"], table["split"], strict=True):
        if image not in row_of:
            raise DataError(
                f"split file {path}: image '{image}' is not in {collection.source}; {nearest(image, row_of)}"
            )
        if name not in (*PARTS, UNUSED):
            raise DataError(f"split file {path}: image '{image}' is in '{name}'; expected one of {', '.join(PARTS)}")
        if named[row_of[image]]:
            raise DataError(f"split file {path}: image '{image}' is named twice; keep one of the lines")
        named[row_of[image]] = True
        part[row_of[image]] = PARTS.index(name) if name in PARTS else -1
    missing = np.flatnonzero(known & ~named)
    if missing.size:
        raise DataError(
            f"split file {path}: {missing.size} labelled images of {collection.source} are not named, "
            f"'{collection.image_ids[missing[0]]}' for one; give each a line"
        )
    _refuse_shared_patients(collection, part, path)
    return part


def _refuse_shared_patients(collection: Collection, part: NDArray[np.int64], path: Path) -> None:
    first: dict[str, int] = {}
    for row in np.flatnonzero(part >= 0).tolist():
        other = first.setdefault(str(collection.patients[row]), row)
        if part[other] != part[row]:
            raise DataError(
                f"split file {path}: patient '{collection.patients[row]}' is in {PARTS[part[other]]} "
                f"('{collection.image_ids[other]}') and {PARTS[part[row]]} ('{collection.image_ids[row]}'); "
                "put a patient's images in one part"
            )


def divide(
    collection: Collection,
    rows: NDArray[np.int64],
    part: NDArray[np.int64],
    parts: Sequence[int],
    fractions: Sequence[float],
    seed: int,
) -> None:
    """Gives the patients of `rows` to `parts` by `fractions`, stratified, in place."""
    attributes = np.concatenate(
        [np.ones((len(rows), 1), bool), collection.labels[rows] == PRESENT, collection.truth[rows] == PRESENT], axis=1
    )
    owners, owner = np.unique(collection.patients[rows], return_inverse=True)
    counts = np.zeros((len(owners), attributes.shape[1]), np.int64)
    np.add.at(counts, owner, attributes)
    part[rows] = np.asarray(parts)[stratify(counts, fractions, seed)[owner]]
