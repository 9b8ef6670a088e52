"""The regions of the training images: their own where they are known, a method's elsewhere."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raysearch.data._collection import PRESENT, Collection
from raysearch.data._pool import places_in
from raysearch.method import Pool, PseudoRegions, RegionBoxes
from raysearch.thresholds._values import check_regions, check_truth


class PoolRegions:
    """Masks and region truth of the n images of a pool.

    Args:
        pseudo: regions for images of which the pool knows none; those of other images are never replaced.

    Raises:
        RaysearchError: `pseudo` names an image that is not in the pool.
        ValueError: its arrays do not fit each other or the collection.
    """

    def __init__(self, collection: Collection, pool: Pool, pseudo: PseudoRegions | None = None) -> None:
        self._collection = collection
        self._masks = collection.masks
        self._size = collection.size
        self._row = collection.mask_row[pool.rows]
        self._truth = pool.truth
        self._packed = np.zeros((0, 0), np.uint8)
        self._packed_row = np.full(pool.truth.shape, -1, np.int64)
        if pseudo is not None:
            self._add(pool, pseudo)

    def of(self, places: NDArray[np.int64]) -> tuple[Tensor, Tensor, RegionBoxes | None]:
        """Of places (m,) in the pool: masks (M, H, W) float32 in {0, 1} of the PRESENT pairs in their order, truth
        (m, K) int8, and the outlines of the regions that are boxes, None if none is."""
        truth = self._truth[places]
        present = truth == PRESENT
        packed_row = self._packed_row[places][present]
        own = packed_row < 0
        # a dense (m, K, H, W) tensor would be 700 MB for 48 images of 512 x 512 and 14 classes
        masks = np.empty((len(own), *self._size), np.uint8)
        rows = self._row[places][present][own]
        masks[own] = known = self._masks[rows]
        check_regions(known)
        if not own.all():
            bits = np.unpackbits(self._packed[packed_row[~own]], axis=1, count=self._size[0] * self._size[1])
            masks[~own] = bits.reshape(-1, *self._size)
        boxes = outlines_of(self._collection, rows, np.flatnonzero(own))
        return torch.from_numpy(masks).to(torch.float32), torch.from_numpy(truth), boxes

    def _add(self, pool: Pool, pseudo: PseudoRegions) -> None:
        present = pseudo.truth == PRESENT
        expected = (int(present.sum()), -(-self._size[0] * self._size[1] // 8))
        if pseudo.truth.shape != (len(pseudo.rows), pool.truth.shape[1]) or pseudo.packed.shape != expected:
            raise ValueError(
                f"pseudo-regions: truth {pseudo.truth.shape} and packed masks {pseudo.packed.shape} of"
                f" {len(pseudo.rows)} images; expected ({len(pseudo.rows)}, {pool.truth.shape[1]}) and {expected}"
            )
        check_truth("truth of pseudo-regions", pseudo.truth)
        places = places_in(pool, pseudo.rows, "pseudo-regions")
        unknown = ~pool.annotated[places]
        numbers = np.full(present.shape, -1, np.int64)
        numbers[present] = np.arange(len(pseudo.packed))
        self._truth = pool.truth.copy()
        self._truth[places[unknown]] = pseudo.truth[unknown]
        self._packed_row[places[unknown]] = numbers[unknown]
        self._packed = pseudo.packed


def outlines_of(
    collection: Collection, masks: NDArray[np.integer], places: NDArray[np.int64] | None = None
) -> RegionBoxes | None:
    """The outlines of some rows of `Collection.masks`, as regions 0, 1, ... or at the `places` that are given; None if
    none of them is a box."""
    boxes, owner = collection.boxes_of(masks)
    if not len(boxes):
        return None
    return RegionBoxes(torch.from_numpy(boxes), torch.from_numpy(owner if places is None else places[owner]))
