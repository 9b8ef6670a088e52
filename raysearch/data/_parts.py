"""Which part each row of a collection belongs to: drawn, or as published with the data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, Collection
from raysearch.data._left_out import left_out
from raysearch.data._stratify import stratify
from raysearch.errors import DataError

PARTS = ("train", "tuning", "test")
UNUSED = "unused"
"""What a study's split.csv says of images that are in no part, or that ``--unannotated`` has left out of train."""
TRAIN, TUNING, TEST = range(3)


def random_parts(
    collection: Collection, known: NDArray[np.bool_], fractions: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """(N,) index into `PARTS` of every known row, -1 elsewhere."""
    part = np.full(len(collection), -1, np.int64)
    divide(collection, np.flatnonzero(known), part, (TRAIN, TUNING, TEST), fractions, seed)
    return part


def official_parts(
    collection: Collection, known: NDArray[np.bool_], fractions: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """As `random_parts`, within the published parts; known rows in none of them are -1.

    A published validation part is tuning; where it has regions and published train has none (CheXpert), a quarter of
    its patients with a region stay there and the others are in train.

    Raises:
        DataError: nothing is published, or the published parts share a patient.
    """
    train, valid, test = _published(collection, known)
    part = np.full(len(collection), -1, np.int64)
    part[train], part[valid], part[test] = TRAIN, TUNING, TEST
    boxed = (collection.truth == PRESENT).any(axis=1)
    share = fractions[TUNING]
    if not valid.any():
        divide(collection, np.flatnonzero(train), part, (TRAIN, TUNING), (1 - share, share), seed)
    if not boxed[train].any():
        scarce, parts = (valid, (TRAIN, TUNING)) if boxed[valid].any() else (test, (TRAIN, TUNING, TEST))
        owners = np.unique(collection.patients[scarce & boxed])
        rows = np.flatnonzero(scarce & np.isin(collection.patients, owners))
        divide(collection, rows, part, parts, (3, 1) if scarce is valid else (1, 1, 1), seed)
    return part


def is_published(collection: Collection, known: NDArray[np.bool_]) -> bool:
    """Whether it comes with a published train and test part, which `official_parts` divides unless they share
    patients."""
    return all(bool((known & (collection.official == name)).any()) for name in ("train", "test"))


def _published(collection: Collection, known: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Known rows of the published train, validation and test parts; raises as `official_parts` does."""
    train, valid, test = (known & (collection.official == name) for name in ("train", "valid", "test"))
    if not (train.any() and test.any()):
        lacks = "has no published split"
        if (train | test).any():
            lacks = f"has no labelled image in a published {'test' if train.any() else 'train'} part"
        raise DataError(f"{collection.source} {lacks}; use --split random or --split FILE{left_out(collection)}")
    _refuse_shared_patients(collection, (train, valid, test))
    return [train, valid, test]


def _refuse_shared_patients(collection: Collection, published: Sequence[NDArray[np.bool_]]) -> None:
    """Patients as the data names them: of those who share a picture across parts `twin_warnings` tells."""
    for one, other in combinations(published, 2):
        shared = np.intersect1d(collection.named_patients[one], collection.named_patients[other])
        if shared.size:
            raise DataError(
                f"the published parts of {collection.source} share {shared.size} patients, '{shared[0]}' for one, and "
                "a patient may be in one part only; use --split random (or, for glas, the data option patients=image)"
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
