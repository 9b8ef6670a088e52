"""The built-in set: procedural chest radiographs with exact region truth. See docs/phantom.md."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN
from raysearch.data._manifest import ArrayManifest
from raysearch.data.phantom import (
    DOMAINS,
    FINDINGS,
    IMAGE,
    LABEL_NOISE,
    PIXELS,
    Key,
    Radiograph,
    annotated_rows,
    findings,
    patients,
    radiograph,
    reported,
    stream,
)
from raysearch.errors import DataError, nearest

PHANTOM_VERSION = 1
"""Raised with any change of a pixel, a label or a mask; a CHANGELOG entry, and every table is run again."""

PHANTOM_OPTIONS: Mapping[str, str | int | float] = MappingProxyType(
    {"task": "findings", "images": 400, "size": 64, "domain": "a", "annotated": 1.0, "seed": 0}
)

TASKS: dict[str, tuple[str, ...]] = {
    "findings": tuple(FINDINGS),
    "normal-vs-abnormal": ("normal", "abnormal"),
    "lungs": ("lungs",),
}
"""Classes of each task."""

_VIEWS = ("single", "multi")


def phantom_arrays(
    view: Literal["single", "multi"],
    *,
    task: str = "findings",
    images: int = 400,
    size: int = 64,
    domain: str = "a",
    annotated: float = 1.0,
    seed: int = 0,
) -> ArrayManifest:
    """Procedural chest radiographs, (N, 1, size, size) uint8, of one source.

    The source is (task, view, domain): different sources show different patients. Image i depends on the source, the
    seed, the size and i, never on how many images there are; patient, findings and shapes do not depend on the size.

    Tasks: ``findings`` (nodule, consolidation, effusion, pneumothorax; any number of them in the ``multi`` view,
    exactly one class in the ``single`` view, one or more objects each), ``normal-vs-abnormal`` (half of the images
    each; the region of *abnormal* is the union of the findings, *normal* has none) and ``lungs`` (the anatomical lung
    mask; images without it are an unlabelled pool).

    Args:
        images: at least 16.
        size: side in pixels, at least 32.
        domain: acquisition domain, ``a`` or ``b``.
        annotated: share of images in [0, 1] whose region truth is known; it is UNKNOWN for all classes of the others.
        seed: not negative.

    Raises:
        DataError: an option is out of range, or a task or domain is unknown.
    """
    _check(task=task, images=images, size=size, domain=domain, annotated=annotated, seed=seed)
    classes = TASKS[task]
    source: Key = (list(TASKS).index(task), _VIEWS.index(view), list(DOMAINS).index(domain))
    owners = patients(seed, source, images)
    known = annotated_rows(seed, source, images, annotated)
    pixels = np.empty((images, 1, size, size), np.uint8)
    regions: list[NDArray[np.uint8]] = []
    labels = np.zeros((images, len(classes)), np.int8)
    truth = np.full((images, len(classes)), UNKNOWN, np.int8)
    mask_row = np.full((images, len(classes)), -1, np.int32)
    for row, owner in enumerate(owners):
        rng = stream(seed, (*source, IMAGE, row))
        shot = radiograph(
            rng,
            stream(seed, (*source, PIXELS, row)),
            anatomy=owner.anatomy,
            domain=DOMAINS[domain],
            findings=findings(rng, owner, task=task, view=view),
            size=size,
        )
        pixels[row, 0] = shot.pixels
        objects = _objects(task, shot)
        for column, name in enumerate(classes):
            labels[row, column] = _label(task, name, shot)
            if known[row]:
                truth[row, column] = PRESENT if name in objects else ABSENT
                if name in objects:
                    mask_row[row, column] = len(regions)
                    regions.append(objects[name].astype(np.uint8))
    notes: tuple[str, ...] = ()
    if task == "lungs":
        labels[~known] = UNKNOWN
    else:
        labels, changed = reported(seed, source, labels, exclusive=view == "single" or task == "normal-vs-abnormal")
        notes = (f"phantom: {LABEL_NOISE:.0%} label noise, {len(changed)} images are labelled wrongly on purpose",)
    prefix = f"{task}-{view}-{domain}{seed}"
    return ArrayManifest(
        classes=classes,
        ids=tuple(f"{prefix}-i{row:05d}" for row in range(images)),
        patients=np.array([f"{prefix}-p{owner.number:05d}" for owner in owners]),
        images=pixels,
        labels=labels,
        truth=truth,
        mask_row=mask_row,
        masks=np.stack(regions) if regions else np.empty((0, size, size), np.uint8),
        official=np.full(images, ""),
        notes=notes,
    )


def _objects(task: str, shot: Radiograph) -> dict[str, NDArray[np.bool_]]:
    """The region (H, W) of each class that has one in this image."""
    if task == "lungs":
        return {"lungs": shot.lungs}
    if task == "normal-vs-abnormal":
        return {"abnormal": np.logical_or.reduce(list(shot.regions.values()))} if shot.regions else {}
    return shot.regions


def _label(task: str, name: str, shot: Radiograph) -> int:
    present = not shot.regions if name == "normal" else name in _objects(task, shot)
    return PRESENT if present else ABSENT


def _check(*, task: str, images: int, size: int, domain: str, annotated: float, seed: int) -> None:
    if task not in TASKS:
        raise DataError(f"data phantom: unknown task '{task}', {nearest(task, TASKS)}")
    if domain not in DOMAINS:
        raise DataError(f"data phantom: unknown domain '{domain}', {nearest(domain, DOMAINS)}")
    if images < 16:
        raise DataError(f"data phantom: images={images} is too few for a split, give at least 16, e.g. images=400")
    if size < 32:
        raise DataError(f"data phantom: size={size} is too small for the findings, give at least 32, e.g. size=64")
    if not 0 <= annotated <= 1:
        raise DataError(f"data phantom: annotated={annotated} is a share of the images, give a number from 0 to 1")
    if seed < 0:
        raise DataError(f"data phantom: seed={seed} is negative, give 0 or more")
