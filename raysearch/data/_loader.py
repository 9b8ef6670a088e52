"""Batches of a collection: augmented and shuffled for training, plain and in order for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raysearch.data._augment import augment
from raysearch.data._collection import ABSENT, PRESENT, Collection
from raysearch.errors import DataError
from raysearch.method import Augmentation, Batch

_Item = TypeVar("_Item")
_Loaded = TypeVar("_Loaded")

NO_CLASS = -1
"""Class index of an unlabelled image in the single-label view."""


class Loader:
    """Training batches of one worker; order and augmentation depend on (seed, epoch) and rows alone.

    An epoch's rows are dealt to ``steps = ceil(rows / batch)`` batches whose sizes differ by at most one, so no image
    is dropped and no batch is tiny; each batch is dealt to the workers in the same way. Together the workers see
    exactly the batches that one worker would.

    Args:
        collection: N images.
        rows: (n,) rows of the collection to train on.
        batch: largest number of images a step, over all workers.
        seed: not negative.
        pixel: batches carry masks and region truth too.
        rank: this worker, from 0.

    Raises:
        DataError: `batch` is larger than the split, or leaves a worker without an image.
    """

    def __init__(
        self,
        collection: Collection,
        rows: NDArray[np.int64],
        batch: int,
        seed: int,
        augmentation: Augmentation,
        pixel: bool = False,
        rank: int = 0,
        workers: int = 1,
    ) -> None:
        if not 1 <= batch <= len(rows):
            raise DataError(
                f"{collection.source}: a batch of {batch} images cannot be drawn from the {len(rows)} training images:"
                f" set batch to a number from 1 to {len(rows)}, or use more images"
            )
        self.steps = -(-len(rows) // batch)
        """Batches an epoch."""
        if len(rows) // self.steps < workers:
            raise DataError(
                f"{collection.source}: batches of {len(rows) // self.steps} images leave some of the {workers} workers"
                f" without an image: set batch to at least {workers}, or use fewer workers"
            )
        self._collection = collection
        self._rows = np.asarray(rows, np.int64)
        self._seed = seed
        self._augmentation = augmentation
        self._pixel = pixel
        self._rank = rank
        self._workers = workers

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch (from 0) on the CPU, prepared one ahead."""
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(epoch,)))
        batches = np.array_split(rng.permutation(self._rows), self.steps)
        return _ahead(lambda batch: self._load(batch, epoch), batches)

    def _load(self, batch: NDArray[np.int64], epoch: int) -> Batch:
        rows = np.array_split(batch, self._workers)[self._rank]
        images, masks, truth = _images(self._collection, rows), None, None
        if self._pixel:
            masks, truth = _masks(self._collection, rows)
        images, masks = augment(images, masks, self._augmentation, seed=self._seed, epoch=epoch, rows=rows)
        if masks is not None and truth is not None:
            # what a crop or a rotation moved out of the image is no longer there
            truth = torch.where((truth == PRESENT) & ~masks.flatten(2).any(2), ABSENT, truth).to(torch.int8)
        return Batch(
            images=images,
            labels=_labels(self._collection, rows),
            index=torch.from_numpy(rows.copy()),
            masks=masks,
            truth=truth,
            share=len(rows) / len(batch),
        )


def evaluation_batches(
    collection: Collection, rows: NDArray[np.int64], batch: int, rank: int = 0, workers: int = 1
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """This worker's share of `rows`, in their order and unchanged, in batches of at most `batch` images.

    Yields (rows (n,), images (n, C, H, W) float32 in [0, 1]) on the CPU, prepared one ahead. The shares are
    consecutive and differ by at most one image; with fewer rows than workers some shares are empty.
    """
    share = np.array_split(np.asarray(rows, np.int64), workers)[rank]
    parts = [share[start : start + batch] for start in range(0, len(share), batch)]
    return _ahead(lambda part: (part, _images(collection, part)), parts)


def _ahead(load: Callable[[_Item], _Loaded], items: Iterable[_Item]) -> Iterator[_Loaded]:
    """``map(load, items)``, where a thread loads the next item while the caller works on the current one."""
    with ThreadPoolExecutor(1, "loader") as pool:
        waiting: Future[_Loaded] | None = None
        for item in items:
            following = pool.submit(load, item)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def _images(collection: Collection, rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.array(collection.images[rows])).to(torch.float32).div_(255)


def _labels(collection: Collection, rows: NDArray[np.int64]) -> Tensor:
    labels = torch.from_numpy(np.array(collection.labels[rows]))
    if collection.view == "multi":
        return labels.to(torch.float32)
    present = labels == PRESENT
    return torch.where(present.any(1), present.long().argmax(1), NO_CLASS)


def _masks(collection: Collection, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Masks (n, K, H, W) float32, zero where truth is not PRESENT, and truth (n, K) int8."""
    where = np.array(collection.mask_row[rows])
    masks = np.zeros((*where.shape, *collection.size), np.float32)
    masks[where >= 0] = collection.masks[where[where >= 0]]
    return torch.from_numpy(masks), torch.from_numpy(np.array(collection.truth[rows]))
