"""Which images each of the four streams of section 2.4 draws, and how they are augmented."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from methods.multimix._config import EncConfig, EncSslConfig, Unlabelled
from raysearch.errors import DataError
from raysearch.method import Augmentation, Pool, Stream

Rows = NDArray[np.int64]
Kind = Callable[[Pool], NDArray[np.bool_]]
"""Which images of a pool, all of one source, a stream takes, (n,)."""


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
        own = of_source(pool, source)
        return whole_batches(own.rows[kind(own)], len(own.rows), batch, generator)

    return Stream(name=name, draw=draw, batch=batch, augmentation=augmentation or Augmentation(), strong=strong)


def of_source(pool: Pool, source: int) -> Pool:
    own = pool.source == source
    return Pool(rows=pool.rows[own], labels=pool.labels[own], truth=pool.truth[own], source=pool.source[own])


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


def is_masked(pool: Pool) -> NDArray[np.bool_]:
    return pool.annotated


def unlabelled(which: Unlabelled) -> Kind:
    """D_u^c: images without a label, or all.

    Drawing raises a DataError where every image has one and the ``rest`` is none: what is left would train as a method
    without this stream.
    """

    def kind(pool: Pool) -> NDArray[np.bool_]:
        return _taken(pool.labelled, which, "to classify have a label", "--labelled")

    return kind


def unmasked(which: Unlabelled) -> Kind:
    """D_u^s: as `unlabelled`, of images without a known region."""

    def kind(pool: Pool) -> NDArray[np.bool_]:
        return _taken(pool.annotated, which, "to segment have a known region", "--annotated")

    return kind


def _taken(known: NDArray[np.bool_], which: Unlabelled, found: str, option: str) -> NDArray[np.bool_]:
    if which == "all":
        return np.ones(len(known), np.bool_)
    if len(known) and known.all():
        raise DataError(
            f"unlabelled=rest: all {len(known)} training images {found}, so that there are none to learn from without:"
            f" keep some back with {option} N, or take them all with --fix unlabelled=all"
        )
    return ~known


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
