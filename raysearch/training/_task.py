"""What a method is told of the data that it trains on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raysearch.data import Collection
from raysearch.method import Task


def training_task(collection: Collection, labelled: NDArray[np.int64]) -> Task:
    """The task of a collection, with the balance of the labels that may be seen of its training split.

    Args:
        labelled: rows of the training split whose labels may be seen.
    """
    labels = collection.labels[labelled]
    positive, negative = (labels > 0).sum(axis=0), (labels == 0).sum(axis=0)
    # no 0 / 0: infinite without absent labels, 1 without any
    odds = np.divide(positive, negative, out=np.where(positive > 0, np.inf, 1.0), where=negative > 0)
    return Task(
        classes=collection.classes,
        view=collection.view,
        channels=collection.channels,
        size=collection.size,
        sources=collection.sources,
        source_classes=collection.source_classes,
        positives=tuple(odds.tolist()),
    )
