"""Which images each step of an epoch gets from each of a stage's streams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raysearch.data._pool import places_in
from raysearch.errors import DataError
from raysearch.method import Augmentation, Pool, Stream, shuffled

Hand = tuple[NDArray[np.int64], NDArray[np.int64]]
"""What a step gets of a stream: (n,) rows, and how many times each of them came before in this epoch."""


def whole_pool(pool: Pool, batch: int, augmentation: Augmentation, source: str) -> Stream:
    """The stream of a stage that names none: every training image once, `batch` a step.

    Raises:
        DataError: `batch` is larger than the pool; `source` says of what.
    """
    if not 1 <= batch <= len(pool.rows):
        raise DataError(
            f"{source}: a batch of {batch} images cannot be drawn from the {len(pool.rows)} training images:"
            f" set batch to a number from 1 to {len(pool.rows)}, or use more images"
        )
    return Stream(name="images", draw=shuffled, batch=batch, augmentation=augmentation)


def deal(pool: Pool, streams: Sequence[Stream], seed: int, epoch: int) -> list[list[Hand]]:
    """By stream and step, the images of an epoch; as many steps as the longest stream needs for one pass.

    A stream that needs them all is drawn once, and dealt to them in batches that differ by at most one image. A shorter
    one is drawn for pass after pass, and every step gets a whole batch of it, or all that one pass holds if that is
    less; a batch may then hold the end of a pass and the beginning of the next.
    """
    passes = [[_drawn(pool, stream, seed, epoch, number, 0)] for number, stream in enumerate(streams)]
    needed = [-(-len(first) // stream.batch) for (first,), stream in zip(passes, streams, strict=True)]
    steps = max(needed)
    for number, stream in enumerate(streams):
        drawn = passes[number]
        if needed[number] == steps:
            continue
        left = steps * min(stream.batch, len(drawn[0])) - len(drawn[0])
        while left > 0 and len(drawn[-1]):
            drawn.append(_drawn(pool, stream, seed, epoch, number, len(drawn))[:left])
            left -= len(drawn[-1])
    return [_dealt(np.concatenate(drawn), steps) for drawn in passes]


def _drawn(pool: Pool, stream: Stream, seed: int, epoch: int, number: int, turn: int) -> NDArray[np.int64]:
    """One pass of a stream; its key is shorter for the first pass of the first."""
    key = (epoch, number, turn) if number or turn else (epoch,)
    rows = stream.draw(pool, np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)))
    rows = np.asarray(rows, np.int64)
    places_in(pool, rows, f"stream '{stream.name}'")
    return rows


def _dealt(rows: NDArray[np.int64], steps: int) -> list[Hand]:
    if not steps:
        return []
    return list(zip(np.array_split(rows, steps), np.array_split(earlier(rows), steps), strict=True))


def earlier(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) how many times each of `rows` (n,) came before in them.

    >>> earlier(np.array([4, 7, 4, 4, 7])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = np.argsort(rows, kind="stable")
    place = np.arange(len(rows))
    begins = np.diff(rows[order], prepend=-1) != 0
    counts = np.empty(len(rows), np.int64)
    counts[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return counts
