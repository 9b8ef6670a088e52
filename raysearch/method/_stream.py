"""Which training images a step gets, where that is not simply all of them in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from raysearch.method._augmentation import Augmentation


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The n training images as a method may see them: hidden labels and regions are UNKNOWN (-1).

    Attributes:
        rows: (n,) int64, sorted rows of the collection.
        labels: (n, K) int8 in {1, 0, -1}.
        truth: (n, K) int8 in {1, 0, -1}, region truth.
        source: (n,) int8, index of each image's source in `Task.sources`; 0 where there is one alone.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int8]
    truth: NDArray[np.int8]
    source: NDArray[np.int8]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """(n,) whether some label is known."""
        return np.asarray((self.labels >= 0).any(axis=1))

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """(n,) whether some region truth is known."""
        return np.asarray((self.truth >= 0).any(axis=1))


Draw = Callable[[Pool, np.random.Generator], NDArray[np.int64]]
"""Rows of the collection that make up one pass, in their order; a row may come more than once."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Images of which every step gets some.

    An epoch has as many steps as the longest of a stage's streams needs for one pass; a shorter one is drawn again and
    again. Batches of a stream differ by at most one image; a stream that draws nothing gives batches of no image.

    Attributes:
        name: under which a step finds it.
        draw: from the pool and a generator that is keyed by (seed, epoch, stream, pass).
        batch: images a step, over all workers, at most.
        augmentation: keyed by (seed, epoch, image, how many times the image came before in this epoch).
        strong: another view of the same images, drawn apart from the first, or None; see `Batch.strong`.
    """

    name: str
    draw: Draw
    batch: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    strong: Augmentation | None = None


@dataclass(frozen=True, kw_only=True)
class PseudoRegions:
    """Regions that a method has made for n training images of which it knows none.

    Attributes:
        rows: (n,) int64, sorted rows of the collection.
        truth: (n, K) int8 in {1, 0, -1}.
        packed: (M, ceil(H W / 8)) uint8, `numpy.packbits` of the masks of the pairs whose truth is 1, in the order of
            ``(truth == 1).nonzero()``.
    """

    rows: NDArray[np.int64]
    truth: NDArray[np.int8]
    packed: NDArray[np.uint8]


def shuffled(pool: Pool, generator: np.random.Generator) -> NDArray[np.int64]:
    """A `Draw`: every training image once."""
    return generator.permutation(pool.rows)
