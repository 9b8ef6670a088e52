"""The task of `synthetic_batch` as a collection: what upstream work and whole trainings are tried on."""

from __future__ import annotations

import numpy as np

from raysearch.data import Collection
from raysearch.data._collection import UNKNOWN
from raysearch.method import Method, Task
from raysearch.testing._synthetic import synthetic_task
from raysearch.training import Assignment, Rule


def synthetic_collection(task: Task, *, count: int = 24, seed: int = 0) -> Collection:
    """One bright square an image, whose place tells its class: classes of its source in turn; regions and labels are
    known of the image's own source alone."""
    height, width = task.size
    classes = len(task.classes)
    of_class = np.array(task.source_classes or (0,) * classes)
    sources = max(len(task.sources), 1)
    source = np.arange(count) * sources // count
    label = np.array([np.flatnonzero(of_class == s)[i % (of_class == s).sum()] for i, s in enumerate(source)])
    side = max(2, min(height, width) // 3)
    masks = np.zeros((count, height, width), np.uint8)
    for i, k in enumerate(label):
        top, left = (height - side) * int(k) // max(1, classes - 1), (width - side) * (i % 2)
        masks[i, top : top + side, left : left + side] = 1
    noise = np.random.default_rng(seed).integers(25, 50, (count, task.channels, height, width))
    known = of_class == source[:, None]
    one_hot = np.eye(classes, dtype=np.int8)[label]
    truth = np.where(known & (source[:, None] == sources - 1), one_hot, np.int8(UNKNOWN))
    return Collection(
        source="synthetic",
        view=task.view,
        classes=task.classes,
        image_ids=tuple(f"image{i}" for i in range(count)),
        patients=np.array([f"patient{i}" for i in range(count)]),
        images=(noise + 180 * masks[:, None]).astype(np.uint8),
        labels=np.where(known & (source[:, None] == 0), one_hot, np.int8(UNKNOWN)),
        truth=truth,
        mask_row=np.where(truth > 0, np.arange(count)[:, None], -1).astype(np.int32),
        masks=masks,
        official=np.array([""] * count),
        fingerprint="synthetic",
        folder="",
        sources=task.sources,
        source_classes=task.source_classes,
        source_images=tuple(np.bincount(source).tolist()) if task.sources else (),
    )


def synthetic_assignment(method: type[Method], *, epochs: int = 1) -> Assignment:
    """All images of a synthetic collection to train on; every other one is annotated."""
    collection = synthetic_collection(synthetic_task(method))
    rows = np.arange(len(collection))
    return Assignment(
        collection=collection,
        train=rows,
        tuning=rows,
        seed=0,
        epochs=epochs,
        rule=Rule(metric="f1_plus"),
        annotated=rows[::2],
    )
