"""Batches of a collection: augmented and shuffled for training, plain and in order for evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raysearch.data._augment import augment, augment_inside
from raysearch.data._augment_boxes import augment_boxes
from raysearch.data._collection import ABSENT, PRESENT, Collection, View
from raysearch.data._pool_regions import PoolRegions
from raysearch.data._streams import Hand, deal
from raysearch.errors import DataError
from raysearch.method import Batch, Pool, PseudoRegions, RegionBoxes, Stream

_Item = TypeVar("_Item")
_Loaded = TypeVar("_Loaded")

NO_CLASS = -1
"""Class index of an unlabelled image in the single-label view."""


class Loader:
    """Training batches of one worker; order and augmentation depend on (seed, epoch) and rows alone.

    An epoch's images are dealt to its steps as `deal` says, and each batch of each stream is dealt to the workers:
    their parts differ by at most one image. Together the workers see exactly the batches that one worker would.

    Args:
        collection: N images.
        pool: those to train on, and what may be known of them.
        streams: of the stage; the first one's batch is a step's, the others lie in `Batch.beside`.
        seed: not negative.
        pixel: batches carry masks and region truth too.
        pseudo: regions that batches carry of images of which the pool knows none.
        rank: this worker, from 0.

    Raises:
        DataError: the first stream gives no image, or leaves a worker without one; a batch smaller than 1.
        RaysearchError: a stream draws what is not in the pool.
    """

    def __init__(
        self,
        collection: Collection,
        pool: Pool,
        streams: Sequence[Stream],
        seed: int,
        *,
        pixel: bool = False,
        pseudo: PseudoRegions | None = None,
        rank: int = 0,
        workers: int = 1,
    ) -> None:
        self._collection = collection
        self._pool = pool
        self._streams = tuple(streams)
        self._seed = seed
        self._regions = PoolRegions(collection, pool, pseudo) if pixel else None
        self._rank = rank
        self._workers = workers
        self._dealt(0)  # what is wrong is said before anything is trained

    def steps(self, epoch: int) -> int:
        """Batches of an epoch (from 0)."""
        return len(self._dealt(epoch)[0])

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch (from 0) on the CPU, prepared one ahead."""
        return _ahead(lambda hands: self._load(hands, epoch), zip(*self._dealt(epoch), strict=True))

    def _dealt(self, epoch: int) -> list[list[Hand]]:
        for stream in self._streams:
            if stream.batch < 1:
                raise DataError(f"stream '{stream.name}': a batch of {stream.batch} images: expected 1 or more")
        dealt = deal(self._pool, self._streams, self._seed, epoch)
        fewest = min((len(rows) for rows, _ in dealt[0]), default=0)
        if not fewest:
            raise DataError(
                f"{self._collection.source}: stream '{self._streams[0].name}', of which every step needs images, finds"
                f" none among the {len(self._pool.rows)} training images: label or annotate more of them"
            )
        if fewest < self._workers:
            raise DataError(
                f"{self._collection.source}: batches of {fewest} images leave some of the {self._workers} workers"
                f" without an image: set batch to at least {self._workers}, or use fewer workers"
            )
        return dealt

    def _load(self, hands: Sequence[Hand], epoch: int) -> Batch:
        first, *others = (self._part(stream, *hand, epoch) for stream, hand in zip(self._streams, hands, strict=True))
        names = [stream.name for stream in self._streams[1:]]
        return replace(first, beside=dict(zip(names, others, strict=True)))

    def _part(self, stream: Stream, rows: NDArray[np.int64], earlier: NDArray[np.int64], epoch: int) -> Batch:
        """This worker's part of a stream's batch."""
        whole = len(rows)
        rows, earlier = (np.array_split(every, self._workers)[self._rank] for every in (rows, earlier))
        places = np.searchsorted(self._pool.rows, rows)
        plain, masks, truth, owner, boxes = _images(self._collection, rows), None, None, None, None
        if self._regions is not None:
            masks, truth, boxes = self._regions.of(places)
            owner = (truth == PRESENT).nonzero()[:, 0]
        # an image's views differ, and its first ones in an epoch are those of an image that comes once
        key: dict[str, Any] = {"seed": self._seed, "epoch": epoch, "rows": rows}
        first: dict[str, Any] = {**key, "copies": 2 * earlier}
        images, masks = augment(plain, masks, stream.augmentation, owner=owner, **first)
        inside = augment_inside(inside_of(self._collection, rows), stream.augmentation, **first)
        strong = augment(plain, None, stream.strong, copies=2 * earlier + 1, **key)[0] if stream.strong else None
        if masks is not None and truth is not None:
            if boxes is not None and owner is not None:
                boxes = augment_boxes(boxes, owner, stream.augmentation, self._collection.size, **first)
            masks, truth, boxes = _in_sight(masks, truth, boxes)
        return Batch(
            images=images,
            labels=_labels(self._pool.labels[places], self._collection.view),
            index=torch.from_numpy(rows.copy()),
            masks=masks,
            truth=truth,
            inside=inside,
            boxes=boxes,
            share=len(rows) / whole if whole else 0.0,
            strong=strong,
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


def _labels(known: NDArray[np.int8], view: View) -> Tensor:
    labels = torch.from_numpy(known)
    if view == "multi":
        return labels.to(torch.float32)
    present = labels == PRESENT
    return torch.where(present.any(1), present.long().argmax(1), NO_CLASS)


def inside_of(collection: Collection, rows: NDArray[np.int64]) -> Tensor | None:
    """`Batch.inside` of some rows as they are."""
    inside = collection.inside(rows)
    return None if inside is None else torch.from_numpy(inside)


def _in_sight(masks: Tensor, truth: Tensor, boxes: RegionBoxes | None) -> tuple[Tensor, Tensor, RegionBoxes | None]:
    """Regions after augmentation: what a crop or a rotation moved out of the image is no longer there."""
    there = masks.flatten(1).any(1)
    image, label = (truth == PRESENT).nonzero()[~there].T
    truth[image, label] = ABSENT
    if boxes is not None:
        kept = there[boxes.region]
        boxes = RegionBoxes(boxes.boxes[kept], (there.cumsum(0) - 1)[boxes.region[kept]])
    return masks[there], truth, boxes
