"""Train, tuning and test: patients never fall in two parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, UNKNOWN, Collection
from raysearch.data._folds import FOLD, fold_name, fold_parts
from raysearch.data._parts import PARTS, official_parts, parts_from_file, random_parts
from raysearch.errors import DataError

_FEW_IMAGES, _FEW_PATIENTS = 50, 5


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows of a collection, sorted, each in at most one part.

    Attributes:
        train: what weights learn from.
        tuning: what chooses thresholds and ranks trials.
        test: what is looked at once, at the end.
        how: ``random``, ``official``, ``fold:I/K`` or the file's path.
        seed: of the division.
        digest: sha256 over the collection's fingerprint and the test images' names; looks at test are counted under it.
        notes: what is in no part, one line each.
        warnings: what makes the results weak, with the remedy, one line each.
    """

    train: NDArray[np.int64]
    tuning: NDArray[np.int64]
    test: NDArray[np.int64]
    how: str
    seed: int
    digest: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def make_split(
    collection: Collection,
    how: str = "random",
    seed: int = 0,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    needs_regions: bool = True,
) -> Split:
    """Divides a collection by patient, stratified by label and by where region truth is PRESENT; deterministic.

    ``random`` divides all labelled images by `fractions` (train, tuning, test). ``official`` keeps the published parts:
    published test images stay in test, and the tuning share of the published train patients goes to tuning; where
    published train holds no region at all (NIH), the patients of the published test part with a region are divided in
    thirds over train, tuning and test. ``fold:I/K`` divides the patients with a region into K folds, the I-th of which
    is test (see `fold_parts`). Otherwise `how` is a CSV file with columns image and split, the latter one of train,
    tuning, test.

    Images of which no label and no region is known are in no part in the single view; in the multi view they go to
    train, but for those of patients in tuning or test.

    Args:
        needs_regions: whether tuning has to hold a region (for any method that localizes).

    Raises:
        DataError: no published split, a file that does not fit the collection, a patient in two parts, an empty part,
            no region in tuning, or a class without training image in the single view.
    """
    known = (collection.labels != UNKNOWN).any(axis=1)
    if collection.view == "multi":
        known |= (collection.truth != UNKNOWN).any(axis=1)
    if how == "random":
        part = random_parts(collection, known, fractions, seed)
    elif how == "official":
        part = official_parts(collection, known, fractions, seed)
    elif how.startswith(FOLD):
        part = fold_parts(collection, known, how, fractions[1], seed)
    else:
        part = parts_from_file(collection, known, Path(how))
    notes = _place_unlabelled(collection, known, part)
    if left := int((part[known] < 0).sum()):
        notes.append(f"{left} labelled images are in no published part and left out")
    train, tuning, test = (np.flatnonzero(part == index) for index in range(len(PARTS)))
    _refuse(collection, part, needs_regions)
    return Split(
        train=train,
        tuning=tuning,
        test=test,
        how=how,
        seed=seed,
        digest=_digest(collection, test),
        notes=tuple(notes),
        warnings=tuple(_warnings(collection, tuning, needs_regions)),
    )


def make_folds(collection: Collection, folds: int, seed: int = 0) -> list[Split]:
    """The splits ``fold:1/K`` to ``fold:K/K`` of `make_split`: each patient with a region is in test once.

    Raises:
        DataError: as `make_split`; fewer than two folds, or more than patients with a region.
    """
    return [make_split(collection, fold_name(fold, folds), seed) for fold in range(1, max(1, folds) + 1)]


def _place_unlabelled(collection: Collection, known: NDArray[np.bool_], part: NDArray[np.int64]) -> list[str]:
    """Settles the unlabelled rows of `part` in place, and says so."""
    if known.all():
        return []
    part[~known] = -1
    count = int((~known).sum())
    if collection.view == "single":
        return [f"{count} unlabelled images are in no part"]
    held_out = np.unique(collection.patients[part > 0])
    free = ~known & ~np.isin(collection.patients, held_out)
    part[free] = 0
    notes = [f"{int(free.sum())} unlabelled images are in train"]
    if rest := count - int(free.sum()):
        notes.append(f"{rest} unlabelled images of patients in tuning or test are in no part")
    return notes


def _refuse(collection: Collection, part: NDArray[np.int64], needs_regions: bool) -> None:
    for index, name in enumerate(PARTS):
        if not (part == index).any():
            raise DataError(
                f"the split of {collection.source} leaves {name} empty "
                f"({len(np.unique(collection.patients))} patients); use another --split, or more data"
            )
    if needs_regions and not (collection.truth[part == 1] == PRESENT).any():
        total = int((collection.truth == PRESENT).sum())
        raise DataError(
            f"no class of {collection.source} has an annotated region in tuning ({total} in all parts), so nothing can "
            "be ranked; use another --split or --split-seed, or annotate more"
        )
    if collection.view == "single":
        trained = (collection.labels[part == 0] == PRESENT).any(axis=0)
        exists = (collection.labels == PRESENT).any(axis=0)
        for name, in_train, anywhere in zip(collection.classes, trained, exists, strict=True):
            if not in_train:
                where = "train holds" if anywhere else f"{collection.source} holds"
                remedy = "use another --split or --split-seed" if anywhere else "choose another task"
                raise DataError(f"{where} no image of class '{name}' to learn from; {remedy}, or get more data")


def _warnings(collection: Collection, tuning: NDArray[np.int64], needs_regions: bool) -> list[str]:
    labels, truth, patients = collection.labels[tuning], collection.truth[tuning], collection.patients[tuning]
    images = (labels == PRESENT).sum(axis=0)
    warnings = []
    if few := [
        f"{name} {count}" for name, count in zip(collection.classes, images, strict=True) if count < _FEW_IMAGES
    ]:
        warnings.append(
            f"tuning has fewer than {_FEW_IMAGES} images of {', '.join(few)}: scores and ranks are uncertain; "
            "use more data, or --split fold:I/K"
        )
    if not needs_regions:
        return warnings
    few = []
    for label, name in enumerate(collection.classes):
        count = len(np.unique(patients[truth[:, label] == PRESENT]))
        if 0 < count < _FEW_PATIENTS:
            few.append(f"{name} {count}")
    if few:
        warnings.append(
            f"tuning has fewer than {_FEW_PATIENTS} patients with a region of {', '.join(few)}: their thresholds are "
            "uncertain; annotate more, or use --split fold:I/K"
        )
    annotated, anywhere = (truth == PRESENT).any(axis=0), (collection.truth == PRESENT).any(axis=0)
    shared = "shared thresholds are used, and these classes are left out of localization means"
    if names := [collection.classes[label] for label in np.flatnonzero(~annotated & anywhere)]:
        warnings.append(f"tuning has no annotated region of {', '.join(names)}: {shared}; use another --split-seed")
    if names := [collection.classes[label] for label in np.flatnonzero(~anywhere)]:
        warnings.append(
            f"the data has no annotated region of {', '.join(names)}: {shared}; annotate some if they matter"
        )
    return warnings


def _digest(collection: Collection, test: NDArray[np.int64]) -> str:
    names = sorted(collection.image_ids[row] for row in test)
    return hashlib.sha256(json.dumps([collection.fingerprint, names]).encode()).hexdigest()
