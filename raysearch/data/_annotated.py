"""Which training images keep their regions, and which of the others are trained on at all."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, Collection
from raysearch.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """Rows of a collection, sorted.

    Attributes:
        train: the training images that are used.
        annotated: those of `train` whose region truth and masks a method gets; of the others it is UNKNOWN to it.
        notes: what could not be given as it was asked for, one line each.
    """

    train: NDArray[np.int64]
    annotated: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def choose_annotated(
    collection: Collection, train_rows: NDArray[np.int64], annotated: float | None, unannotated: float, seed: int
) -> Annotation:
    """Limits the annotated and the unannotated images of the training split; deterministic, and nested: a smaller share
    is part of every larger one.

    Images with a region are taken one by one: the class that has the fewest so far (of equal ones the rarest) gets the
    next, so that as many images as there are classes reach every class; a patient's second image comes after the first
    ones of all others.

    Args:
        train_rows: (n,) rows of the training split.
        annotated: share, of the n training images, that keeps its regions, to the nearest image; None hides nothing.
        unannotated: share of the other training images (with None: of those without a region) that is used at all.
        seed: of the split.

    Raises:
        DataError: a share outside [0, 1], no annotated image left, or no training image of a class in the single view.
    """
    rows = np.sort(np.asarray(train_rows, np.int64))
    for option, share in (("--annotated", annotated), ("--unannotated", unannotated)):
        if share is not None and not 0 <= share <= 1:
            raise DataError(f"{option} {share:g}: expected a share of the training images from 0 to 1")
    if annotated is None and unannotated == 1:
        return Annotation(train=rows, annotated=rows)
    order = np.random.default_rng([seed, 0xA440]).permutation(len(rows))
    ranked = _ranked(collection, rows[order])
    wanted = len(ranked) if annotated is None else _count(annotated, len(rows))
    if annotated is not None:
        _refuse(collection, ranked, annotated, wanted, len(rows))
    chosen = np.sort(ranked[:wanted])
    rest = rows[order][~np.isin(rows[order], chosen)]
    train = np.sort(np.concatenate([chosen, rest[: _count(unannotated, len(rest))]]))
    _refuse_lost_class(collection, train, unannotated)
    return Annotation(
        train=train,
        annotated=train if annotated is None else chosen,
        notes=tuple(_notes(collection, rows, chosen, annotated, wanted)),
    )


def _count(share: float, images: int) -> int:
    """The share of so many images, to the nearest whole one, halves up."""
    return math.floor(share * images + 0.5)


def _ranked(collection: Collection, shuffled: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows with a region in the order in which they are annotated; ties go by the order of `shuffled`."""
    present = collection.truth == PRESENT
    candidates = shuffled[present[shuffled].any(axis=1)]
    seen: dict[str, int] = {}
    turn = []  # of each image among those of its patient
    for patient in collection.patients[candidates].tolist():
        turn.append(seen.get(patient, 0))
        seen[patient] = turn[-1] + 1
    candidates = candidates[np.argsort(turn, kind="stable")]
    total = present[candidates].sum(axis=0)
    rarest = sorted(np.flatnonzero(total).tolist(), key=lambda label: (total[label], label))
    waiting = {label: deque(row for row in candidates.tolist() if present[row, label]) for label in rarest}
    given = dict.fromkeys(rarest, 0)
    taken: dict[int, None] = {}
    while len(taken) < len(candidates):
        label = min((label for label in rarest if given[label] < total[label]), key=given.__getitem__)
        row = waiting[label].popleft()
        if row in taken:
            continue
        taken[row] = None
        for other in np.flatnonzero(present[row]).tolist():
            given[other] += 1
    return np.fromiter(taken, np.int64, len(taken))


def _refuse(collection: Collection, ranked: NDArray[np.int64], share: float, wanted: int, images: int) -> None:
    if not len(ranked):
        raise DataError(
            f"--annotated {share:g}: no training image of {collection.source} has a region to keep; use another "
            "--split or --split-seed, or leave --annotated out"
        )
    if not wanted:
        raise DataError(
            f"--annotated {share:g} of {images} training images leaves no annotated image; give at least "
            f"{_smallest(images):g}"
        )


def _smallest(images: int) -> float:
    """The smallest share of two digits that is an image."""
    scale = 10.0 ** (math.ceil(math.log10(2 * images)) + 1)
    return math.ceil(scale / (2 * images)) / scale


def _refuse_lost_class(collection: Collection, train: NDArray[np.int64], unannotated: float) -> None:
    if not len(train):
        raise DataError(f"--unannotated {unannotated:g} leaves no training image; give a larger share")
    if collection.view == "multi":
        return
    lost = np.flatnonzero(~(collection.labels[train] == PRESENT).any(axis=0))
    if lost.size:
        raise DataError(
            f"--unannotated {unannotated:g} leaves no training image of class '{collection.classes[lost[0]]}' of "
            f"{collection.source}; give a larger share"
        )


def _notes(
    collection: Collection, rows: NDArray[np.int64], chosen: NDArray[np.int64], share: float | None, wanted: int
) -> list[str]:
    if share is None:
        return []
    notes = []
    if len(chosen) < wanted:
        notes.append(
            f"--annotated {share:g} of {len(rows)} training images is {wanted}, and {len(chosen)} have a region: all "
            "of them are used"
        )
    exists = (collection.truth[rows] == PRESENT).any(axis=0)
    given = (collection.truth[chosen] == PRESENT).any(axis=0)
    if names := [collection.classes[label] for label in np.flatnonzero(exists & ~given)]:
        notes.append(f"--annotated {share:g} leaves no annotated image of {', '.join(names)}")
    return notes
