"""Which images each of the four streams of section 2.4 draws, and how they are augmented."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from methods.multimix._config import EncConfig, EncSslConfig
from raysearch.method import Augmentation, Pool, Stream

Rows = NDArray[np.int64]
Kind = Callable[[Pool], NDArray[np.bool_]]
"""Which images of a pool a stream takes, (n,)."""


def stream(
    name: str,
    source: int,
    kind: Kind,
    batch: int,
    augmentation: Augmentation | None = None,
    strong: Augmentation | None = None,
) -> Stream:
    """Images of one source and kind, `batch` a step, no more and no fewer.

    An epoch shows a stream as many images as its source has, of whatever kind, so that an epoch is as long for all
    methods here and however few images are labelled.
    """

    def draw(pool: Pool, generator: np.random.Generator) -> Rows:
        own = pool.source == source
        return whole_batches(pool.rows[own & kind(pool)], int(own.sum()), batch, generator)

    return Stream(name=name, draw=draw, batch=batch, augmentation=augmentation or Augmentation(), strong=strong)


def whole_batches(rows: Rows, count: int, batch: int, generator: np.random.Generator) -> Rows:
    """At least `count` of `rows`, filled up to whole batches: all of them in random order, then all of them again.

    Steps then have as many images of each stream, which section 2.2 pairs. Empty if there are no rows.
    """
    if not len(rows):
        return rows
    total = -(-max(count, len(rows)) // batch) * batch
    return np.concatenate([generator.permutation(rows) for _ in range(-(-total // len(rows)))])[:total]


def is_labelled(pool: Pool) -> NDArray[np.bool_]:
    return pool.labelled


def is_unlabelled(pool: Pool) -> NDArray[np.bool_]:
    return ~pool.labelled


def is_masked(pool: Pool) -> NDArray[np.bool_]:
    return pool.annotated


def is_unmasked(pool: Pool) -> NDArray[np.bool_]:
    return ~pool.annotated


def weak(config: EncConfig) -> Augmentation:
    """WAug of section 2.1."""
    return Augmentation(horizontal_flip=config.horizontal_flip, pad=config.pad)


def strong(config: EncSslConfig) -> Augmentation:
    """GAug of section 2.1."""
    return Augmentation(
        horizontal_flip=config.horizontal_flip,
        pad=config.strong_pad,
        operations=config.operations,
        magnitude=config.magnitude,
    )
