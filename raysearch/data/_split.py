"""Train, tuning and test: patients never fall in two parts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import UNKNOWN, Collection
from raysearch.data._folds import FOLD, fold_name, fold_parts
from raysearch.data._parts import PARTS, TRAIN, TUNING, is_published, official_parts, random_parts
from raysearch.data._published import Published, of_source, published_parts, read_published
from raysearch.data._spec import LABELS, SOURCES
from raysearch.data._split_checks import refuse_unusable, unpublished_warnings, warnings_of
from raysearch.data._twins import twin_warnings
from raysearch.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows of a collection, sorted, each in at most one part.

    Attributes:
        train: what weights learn from.
        tuning: what chooses thresholds and ranks trials.
        test: what is looked at once, at the end.
        how: ``random``, ``official``, ``fold:I/K``, what files it was read from, or one of these for each source.
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
    unlabelled: bool = False,
) -> Split:
    """Divides a collection by patient, stratified by label and by where region truth is PRESENT; deterministic.

    ``random`` divides all labelled images by `fractions` (train, tuning, test). ``official`` keeps the published parts
    (see `official_parts`): published test images stay in test, and the tuning share of the published train patients
    goes to tuning; where published train holds no region at all (NIH), the patients of the published test part with a
    region are divided in thirds over train, tuning and test. ``fold:I/K`` divides the patients with a region, or with a
    label if no region is needed, into K folds, the I-th of which is test (see `fold_parts`). Otherwise `how` names
    files (see `read_published`).

    Images of which no label and no region is known are in no part in the single view, unless `unlabelled`; in the multi
    view they go to train. Those of patients in tuning or test are in no part.

    Joined sources are divided each by itself, as if it was searched alone; ``cls=HOW,seg=HOW`` gives each its own way.
    Patients that an earlier source has placed go where they are there.

    Args:
        needs_regions: whether tuning has to hold a region (for any method that localizes).
        unlabelled: whether unlabelled images go to train in the single view too.

    Raises:
        DataError: no published split, a file that does not fit the collection, a patient in two parts, an empty part,
            no region in tuning, or a class without training image in the single view.
    """
    sources = collection.parts or (collection,)
    names = collection.sources or ("",)
    wanted = {name: needs_regions and name != LABELS for name in names}
    divided, notes, warnings = [], [], []
    for name, source, wish in zip(names, sources, _by_source(how, collection), strict=True):
        part, said = _divide(source, wish, seed, fractions, wanted[name], unlabelled)
        divided.append(part)
        notes += [f"{name}: {line}" if name else line for line in said]
    if collection.parts:
        notes += _follow(collection, divided)
    for name, source, part in zip(names, sources, divided, strict=True):
        refuse_unusable(source, part, wanted[name])
        lines = warnings_of(source, np.flatnonzero(part == TUNING), wanted[name])
        warnings += [f"{name}: {line}" if name else line for line in lines]
    part = np.concatenate(divided)
    warnings += unpublished_warnings(collection, [is_published(source, _known(source)) for source in sources], how)
    warnings += twin_warnings(collection.twins, collection.image_ids, part, PARTS)
    train, tuning, test = (np.flatnonzero(part == index) for index in range(len(PARTS)))
    return Split(
        train=train,
        tuning=tuning,
        test=test,
        how=how,
        seed=seed,
        digest=_digest(collection, test),
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def make_folds(collection: Collection, folds: int, seed: int = 0) -> list[Split]:
    """The splits ``fold:1/K`` to ``fold:K/K`` of `make_split`: each patient with a region is in test once.

    Raises:
        DataError: as `make_split`; fewer than two folds, or more than patients with a region.
    """
    return [make_split(collection, fold_name(fold, folds), seed) for fold in range(1, max(1, folds) + 1)]


def _by_source(how: str, collection: Collection) -> list[str | Published]:
    """How each source is divided; files are read."""
    sources = collection.sources
    begins = [match for match in re.finditer(r"(?:^|,)([a-z]+)=", how) if match[1] in SOURCES]
    if not begins or begins[0].start() > 0:
        hows: list[str | Published] = [how] * max(1, len(sources))
        if _is_file(how):
            published = read_published(how)
            hows = [of_source(published, name, sources) for name in sources] or [published]
        return hows
    if not sources:
        raise DataError(f"--split {how}: {collection.source} is one source, with no name; expected HOW alone")
    ends = [*(match.start() for match in begins[1:]), len(how)]
    told = [(match[1], how[match.end() : end]) for match, end in zip(begins, ends, strict=True)]
    if sorted(name for name, _ in told) != sorted(sources):
        expected = ",".join(f"{name}=HOW" for name in sources)
        raise DataError(f"--split {how}: expected HOW for all, or for each source once: {expected}")
    return [read_published(dict(told)[name]) if _is_file(dict(told)[name]) else dict(told)[name] for name in sources]


def _is_file(how: str) -> bool:
    return how not in ("random", "official") and not how.startswith(FOLD)


def _divide(
    collection: Collection,
    how: str | Published,
    seed: int,
    fractions: Sequence[float],
    needs_regions: bool,
    unlabelled: bool,
) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) index into `PARTS` of one source's images, -1 for no part; and notes."""
    known = _known(collection)
    notes: list[str] = []
    if isinstance(how, Published):
        part, notes = published_parts(collection, known, how, fractions[TUNING], seed)
    elif how == "random":
        part = random_parts(collection, known, fractions, seed)
    elif how == "official":
        part = official_parts(collection, known, fractions, seed)
    else:
        part = fold_parts(collection, known, how, fractions[TUNING], seed, needs_regions)
    notes += _place_unlabelled(collection, known, part, unlabelled or collection.view == "multi")
    if left := int((part[known] < 0).sum()):
        notes.append(f"{left} labelled images are in no published part and left out")
    return part, notes


def _known(collection: Collection) -> NDArray[np.bool_]:
    """(N,) which images have a label or, in the multi view, a region that is known."""
    known = (collection.labels != UNKNOWN).any(axis=1)
    if collection.view == "multi":
        known |= (collection.truth != UNKNOWN).any(axis=1)
    return np.asarray(known)


def _place_unlabelled(
    collection: Collection, known: NDArray[np.bool_], part: NDArray[np.int64], used: bool
) -> list[str]:
    """Settles the unlabelled rows of `part` in place, and says so."""
    if known.all():
        return []
    part[~known] = -1
    count = int((~known).sum())
    if not used:
        return [f"{count} unlabelled images are in no part"]
    held_out = np.unique(collection.patients[part > TRAIN])
    free = ~known & ~np.isin(collection.patients, held_out)
    part[free] = TRAIN
    notes = [f"{int(free.sum())} unlabelled images are in train"]
    if rest := count - int(free.sum()):
        notes.append(f"{rest} unlabelled images of patients in tuning or test are in no part")
    return notes


def _follow(collection: Collection, divided: list[NDArray[np.int64]]) -> list[str]:
    """Puts images of patients that an earlier source has placed where they are there, in place, and says so. A patient
    by name comes before the others who share a picture with him."""
    placed: list[dict[str, int]] = [{}, {}]
    notes = []
    start = 0
    for name, part in zip(collection.sources, divided, strict=True):
        rows = slice(start, start + len(part))
        keys = [collection.patients[rows].tolist(), collection.named_patients[rows].tolist()]
        before = part.copy()
        for patients, known in zip(keys, placed, strict=True):
            part[:] = [
                known.get(patient, own) if own >= 0 else own for patient, own in zip(patients, part, strict=True)
            ]
        if moved := int((part != before).sum()):
            notes.append(f"{name}: {moved} images are where their patients are in an earlier source")
        for patients, known in zip(keys, placed, strict=True):
            known |= {patient: own for patient, own in zip(patients, part.tolist(), strict=True) if own >= 0}
        start += len(part)
    return notes


def _digest(collection: Collection, test: NDArray[np.int64]) -> str:
    names = sorted(collection.image_ids[row] for row in test)
    return hashlib.sha256(json.dumps([collection.fingerprint, names]).encode()).hexdigest()
