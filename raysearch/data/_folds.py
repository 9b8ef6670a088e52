"""Cross-validation over the annotated patients: each of them is in the test part of one fold."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, Collection
from raysearch.data._left_out import left_out
from raysearch.data._parts import divide
from raysearch.errors import DataError

FOLD = "fold:"
_TRAIN, _TUNING, _TEST = range(3)
_SPELLING = re.compile(r"fold:([0-9]{1,6})/([0-9]{1,6})")


def fold_name(fold: int, folds: int) -> str:
    """What ``--split`` calls the fold, the first of which is 1."""
    return f"{FOLD}{fold}/{folds}"


def fold_parts(
    collection: Collection, known: NDArray[np.bool_], how: str, tuning: float, seed: int, needs_regions: bool = True
) -> NDArray[np.int64]:
    """As `random_parts`, for one fold of the patients with a region: they are divided alike over the folds; those of
    this one are test, of the rest the share `tuning` is tuning. All other patients are in train, as the paper of
    limited annotation has it (its section on evaluation: 5 folds over the annotated images).

    Args:
        how: ``fold:I/K``, I from 1 to K.
        needs_regions: whether what is divided has to have a region; otherwise all known images are divided.
        seed: of the folds: those of one seed belong together.

    Raises:
        DataError: `how` is no fold, or there are more folds than patients with a region.
    """
    fold, folds = _parse(how)
    boxed = np.flatnonzero(known & (collection.truth == PRESENT).any(axis=1) if needs_regions else known)
    owners = np.unique(collection.patients[boxed])
    if folds > len(owners):
        raise DataError(
            f"--split {how}: {len(owners)} patients of {collection.source} have a "
            f"{'region' if needs_regions else 'label'}; expected at most as many folds{left_out(collection)}"
        )
    of_fold = np.full(len(collection), -1, np.int64)
    divide(collection, boxed, of_fold, range(folds), [1.0] * folds, seed)
    here = boxed[of_fold[boxed] == fold - 1]
    rest = np.setdiff1d(boxed, here)
    of_rest = np.full(len(collection), -1, np.int64)
    divide(collection, rest, of_rest, (_TRAIN, _TUNING), (1 - tuning, tuning), seed)
    part = np.where(known, _TRAIN, -1)
    for rows, index in ((rest[of_rest[rest] == _TUNING], _TUNING), (here, _TEST)):
        # a patient's images without a region go where those with one are
        part[known & np.isin(collection.patients, collection.patients[rows])] = index
    return part


def _parse(how: str) -> tuple[int, int]:
    match = _SPELLING.fullmatch(how)
    fold, folds = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (folds >= 2 and 1 <= fold <= folds):
        raise DataError(f"--split {how}: expected fold:I/K, fold I of K, with K at least 2 and I from 1 to K")
    return fold, folds
