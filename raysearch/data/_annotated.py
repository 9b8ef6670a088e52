"""Which training images keep their regions, and which of the others are trained on at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, Collection
from raysearch.data._ranked import budget, ranked, shuffled, smallest_share
from raysearch.data._spec import REGIONS
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
    """Limits the annotated and the unannotated images of the training split; deterministic, nested, and balanced over
    the classes (see `ranked`). Of joined sources the images of ``seg`` count; those of ``cls`` are all used.

    Args:
        train_rows: (n,) rows of the training split.
        annotated: share, of the n training images, that keeps its regions, to the nearest image, or a number of images
            above 1; None hides nothing.
        unannotated: share of the other training images (with None: of those without a region) that is used at all.
        seed: of the split.

    Raises:
        DataError: neither a share nor a whole number, no annotated image left, or no training image of a class in the
            single view.
    """
    everything = np.sort(np.asarray(train_rows, np.int64))
    if not 0 <= unannotated <= 1:
        raise DataError(f"--unannotated {unannotated:g}: expected a share of the training images from 0 to 1")
    if annotated is None and unannotated == 1:
        return Annotation(train=everything, annotated=everything)
    counts = collection.of_source(everything, REGIONS)
    rows, others = everything[counts], everything[~counts]
    order = ranked(rows, collection.truth == PRESENT, collection.patients, seed)
    wanted = len(order) if annotated is None else budget("--annotated", annotated, len(rows))
    if annotated is not None:
        _refuse(collection, order, annotated, wanted, len(rows))
    chosen = np.sort(order[:wanted])
    rest = shuffled(rows, seed)
    rest = rest[~np.isin(rest, chosen)]
    train = np.sort(np.concatenate([others, chosen, rest[: budget("--unannotated", unannotated, len(rest))]]))
    _refuse_lost_class(collection, train, unannotated)
    return Annotation(
        train=train,
        annotated=train if annotated is None else chosen,
        notes=tuple(_notes(collection, rows, chosen, annotated, wanted)),
    )


def _refuse(collection: Collection, order: NDArray[np.int64], share: float, wanted: int, images: int) -> None:
    if not len(order):
        raise DataError(
            f"--annotated {share:g}: no training image of {collection.source} has a region to keep; use another "
            "--split or --split-seed, or leave --annotated out"
        )
    if not wanted:
        raise DataError(
            f"--annotated {share:g} of {images} training images leaves no annotated image; give at least "
            f"{smallest_share(images):g}"
        )


def _refuse_lost_class(collection: Collection, train: NDArray[np.int64], unannotated: float) -> None:
    if not len(train):
        raise DataError(f"--unannotated {unannotated:g} leaves no training image; give a larger share")
    if collection.view == "multi" or collection.sources:
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
