"""The training images as a method may see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import UNKNOWN, Collection
from raysearch.errors import RaysearchError
from raysearch.method import Pool


def pool_of(
    collection: Collection,
    rows: NDArray[np.int64],
    annotated: NDArray[np.int64] | None = None,
    labelled: NDArray[np.int64] | None = None,
) -> Pool:
    """A pool of some rows of a collection, in their order.

    Args:
        annotated: rows whose region truth is seen; None for all.
        labelled: rows whose labels are seen; None for all.
    """
    rows = np.sort(np.asarray(rows, np.int64))
    return Pool(
        rows=rows,
        labels=_seen(np.asarray(collection.labels[rows]), rows, labelled),
        truth=_seen(np.asarray(collection.truth[rows]), rows, annotated),
        source=np.asarray(collection.source_of[rows], np.int8),
    )


def _seen(values: NDArray[np.int8], rows: NDArray[np.int64], shown: NDArray[np.int64] | None) -> NDArray[np.int8]:
    """`values` (n, K), UNKNOWN in the rows that are not `shown`."""
    if shown is None:
        return values
    return np.where(np.isin(rows, shown)[:, None], values, np.int8(UNKNOWN))


def places_in(pool: Pool, rows: NDArray[np.int64], asker: str) -> NDArray[np.int64]:
    """Where in `pool` each of `rows` is; RaysearchError, which names the `asker`, for a row that is not there."""
    places = np.minimum(np.searchsorted(pool.rows, rows), len(pool.rows) - 1)
    strange = rows[pool.rows[places] != rows]
    if strange.size:
        raise RaysearchError(
            f"{asker} asked for row {strange[0]}, which is none of the {len(pool.rows)} training images: it may use no"
            " other"
        )
    return np.asarray(places, np.int64)
