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
from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, Collection
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
        annotated: rows whose truth and masks they carry, of the others it is UNKNOWN; None for all.
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
        annotated: NDArray[np.int64] | None = None,
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
        self._hidden = np.full(len(collection), annotated is not None)
        if annotated is not None:
            self._hidden[annotated] = False
        self._rank = rank
        self._workers = workers

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch (from 0) on the CPU, prepared one ahead."""
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(epoch,)))
        batches = np.array_split(rng.permutation(self._rows), self.steps)
        return _ahead(lambda batch: self._load(batch, epoch), batches)

    def _load(self, batch: NDArray[np.int64], epoch: int) -> Batch:
        rows = np.array_split(batch, self._workers)[self._rank]
        images, masks, truth, owner = _images(self._collection, rows), None, None, None
        if self._pixel:
            masks, truth = _regions(self._collection, rows, self._hidden)
            owner = (truth == PRESENT).nonzero()[:, 0]
        images, masks = augment(images, masks, self._augmentation, seed=self._seed, epoch=epoch, rows=rows, owner=owner)
        if masks is not None and truth is not None:
            masks, truth = _in_sight(masks, truth)
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


def _regions(collection: Collection, rows: NDArray[np.int64], hidden: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """Masks (M, H, W) float32 of the PRESENT pairs in their order, and truth (n, K) int8, UNKNOWN in `hidden` rows."""
    truth = np.where(hidden[rows, None], np.int8(UNKNOWN), collection.truth[rows])
    where = collection.mask_row[rows][truth == PRESENT]
    # a dense (n, K, H, W) tensor would be 700 MB for 48 images of 512 x 512 and 14 classes
    return torch.from_numpy(np.array(collection.masks[where])).to(torch.float32), torch.from_numpy(truth)


def _in_sight(masks: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """`_regions` after augmentation: what a crop or a rotation moved out of the image is no longer there."""
    there = masks.flatten(1).any(1)
    image, label = (truth == PRESENT).nonzero()[~there].T
    truth[image, label] = ABSENT
    return masks[there], truth
