"""A collection of which only some rows can be read: what a search has in its hands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import UNKNOWN, Collection
from raysearch.errors import RaysearchError


class GuardedArray:
    """An array whose first axis is read row by row, and only where that is allowed; nothing is copied.

    Args:
        array: (R, ...), memory-mapped or not.
        allowed: (R,) bool.
        refuse: called with the first row that is not; raises.
    """

    def __init__(self, array: NDArray[Any], allowed: NDArray[np.bool_], refuse: Callable[[int], NoReturn]) -> None:
        self.shape = array.shape
        self.dtype = array.dtype
        self.ndim = array.ndim
        self._array = array
        self._allowed = allowed
        self._refuse = refuse
        self._numbers = np.arange(len(array))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        # numpy's own reading of slices, masks and negative numbers, applied to the rows' numbers
        rows = np.ravel(self._numbers[key[0] if isinstance(key, tuple) and key else key])
        wrong = rows[~self._allowed[rows]]
        if wrong.size:
            self._refuse(int(wrong[0]))
        return self._array[key]

    def __array__(self, *args: Any, **kwargs: Any) -> NDArray[Any]:
        return np.asarray(self[:], *args, **kwargs)


def guard(collection: Collection, rows: NDArray[np.int64]) -> Collection:
    """A view of a collection in which nothing but `rows` can be learned of: the test split is out of reach.

    Labels and region truth of other rows are UNKNOWN (copies), their boxes are gone, images and masks are refused
    with a `RaysearchError` as soon as they are asked for, and there is no cache folder to open the whole collection by.
    """
    allowed = np.zeros(len(collection), bool)
    allowed[rows] = True
    outside = ~allowed[:, None]
    image, label = np.nonzero(collection.mask_row >= 0)
    owner = np.full(len(collection.masks), -1, np.int64)
    owner[collection.mask_row[image, label]] = image

    names, source = collection.image_ids, collection.source  # not the collection: what is returned must not hold it

    def refuse(row: int) -> NoReturn:
        raise RaysearchError(
            f"image '{names[row]}' of {source} is outside the training and tuning splits: a "
            "search may read no other; ask for rows of those two"
        )

    readable = (owner >= 0) & allowed[owner]
    masks = GuardedArray(collection.masks, readable, lambda mask: refuse(int(owner[mask])))
    known = readable[collection.box_mask]
    return replace(
        collection,
        images=cast(NDArray[np.uint8], GuardedArray(collection.images, allowed, refuse)),
        labels=np.where(outside, np.int8(UNKNOWN), collection.labels),
        truth=np.where(outside, np.int8(UNKNOWN), collection.truth),
        mask_row=np.where(outside, np.int32(-1), collection.mask_row),
        masks=cast(NDArray[np.uint8], masks),
        boxes=collection.boxes[known],
        box_mask=collection.box_mask[known],
        folder="",
        parts=(),
    )
