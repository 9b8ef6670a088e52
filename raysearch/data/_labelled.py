"""Which training images keep their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, UNKNOWN, Collection
from raysearch.data._ranked import budget, ranked
from raysearch.data._spec import LABELS
from raysearch.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """Rows of a collection.

    Attributes:
        labelled: training images whose labels a method gets, sorted; of the others they are UNKNOWN to it.
        notes: what could not be given as it was asked for, one line each.
    """

    labelled: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def choose_labelled(collection: Collection, train: NDArray[np.int64], labelled: float | None, seed: int) -> Labelling:
    """Limits the labels that are seen of the training images; deterministic, nested and balanced over the classes (see
    `ranked`). Images that are known to have no class count as a class of their own. Region truth is not touched.

    Of joined sources the images of ``cls`` count.

    Args:
        train: (n,) rows that are trained on.
        labelled: share of these images that keeps its labels, or a number of images above 1; None hides nothing.
        seed: of the split.

    Raises:
        DataError: neither a share nor a whole number; or a class of the single view is left without a label.
    """
    if labelled is None:
        return Labelling(labelled=train)
    rows = np.sort(train[collection.of_source(train, LABELS)])
    known = (collection.labels != UNKNOWN).any(axis=1)
    present = collection.labels == PRESENT
    has = np.column_stack([present, known & ~present.any(axis=1)])
    order = ranked(rows, has, collection.patients, seed)
    wanted = budget("--labelled", labelled, len(rows))
    chosen = np.sort(order[:wanted])
    lost = np.flatnonzero(present[rows].any(axis=0) & ~present[chosen].any(axis=0))
    names = ", ".join(collection.classes[label] for label in lost)
    if lost.size and collection.view == "single":
        raise DataError(
            f"--labelled {labelled:g} of {len(rows)} training images leaves no label of {names}; give at least"
            f" {int(present[rows].any(axis=0).sum())} images"
        )
    if not chosen.size:
        raise DataError(f"--labelled {labelled:g} of {len(rows)} training images leaves no label; give a larger number")
    notes = [f"--labelled {labelled:g} leaves no label of {names}"] if lost.size else []
    if len(chosen) < wanted and labelled != 1:
        notes.append(
            f"--labelled {labelled:g} of {len(rows)} training images is {wanted}, and {len(chosen)} have a label: all "
            "of them are used"
        )
    return Labelling(labelled=chosen, notes=tuple(notes))
