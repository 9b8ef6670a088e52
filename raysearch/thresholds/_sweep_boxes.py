"""Box rules at all distinct thresholds of a map, exactly, in one pass over its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raysearch.thresholds._boxes import BOX_RULES, Connectivity, TruthBoxes, coverage

SWEPT = (*BOX_RULES, "best_match")
"""What is swept: the rules, and what only an evaluation with truth can do, taking the component whose box fits best."""


@dataclass(frozen=True)
class BoxSweep:
    """What every rule makes of the masks ``ranks >= level`` at L + 1 levels.

    Attributes:
        boxes: (2, L + 1, 4) int64, half-open, the box of ``largest`` and of ``most_active``; zeros of an empty mask.
        overlap: (4, L + 1) float64, by `SWEPT`: area in pixels that lies in a box and in a truth box. For
            ``best_match``, of that one component's box and one truth box that fit each other best.
        either: (4, L + 1) float64, area in one or the other; of ``best_match``, all of the truth if nothing overlaps.
            IoU is ``overlap / either``, 0 if both are 0.
    """

    boxes: NDArray[np.int64]
    overlap: NDArray[np.float64]
    either: NDArray[np.float64]


def sweep_boxes(ranks: NDArray[np.integer], levels: int, truth: TruthBoxes, connectivity: Connectivity = 8) -> BoxSweep:
    """Sweeps a threshold down over a map: pixels are added in descending order of value to components kept by
    union-find with their size, first pixel and box. O(n a(n)) for all levels together, beside painting each gained part
    of a box once, and looking through the components at a truth box whenever the best one fits less well than before.

    Args:
        ranks: (H, W) in 0..levels - 1: a quantised map (levels 256), or `dense_ranks` of any other.
        truth: (B, 4), corners anywhere in the map; several boxes count as the region that they cover, except for
            ``best_match``.

    Raises:
        ValueError: a map without pixels, ranks outside 0..levels - 1, or a truth box outside the map.
    """
    # compiled code: half a second of import, and some seconds the first time on a machine
    from raysearch.thresholds._sweep_kernel import sweep

    if ranks.ndim != 2 or not ranks.size or ranks.min() < 0 or ranks.max() >= levels:
        raise ValueError(f"expected ranks (H, W) in 0..{levels - 1}, got {ranks.shape}")
    size = ranks.shape[0], ranks.shape[1]
    if len(truth) and not ((truth[:, :2] >= 0) & (truth[:, :2] < truth[:, 2:]) & (truth[:, 2:] <= size[::-1])).all():
        raise ValueError(f"truth boxes must be half-open (x1, y1, x2, y2) inside a map of {size}, got {truth.tolist()}")
    region = coverage(truth, size)
    # copies of one type each, so that one compilation serves every caller
    narrow, union, match = sweep(
        ranks.astype(np.int32), levels, connectivity, region, np.asarray(truth, np.float64).reshape(-1, 4)
    )
    boxes = narrow.astype(np.int64)
    total = np.zeros((size[0] + 1, size[1] + 1))
    total[1:, 1:] = region.cumsum(axis=0).cumsum(axis=1)
    x1, y1, x2, y2 = np.moveaxis(boxes, 2, 0)
    overlap = total[y2, x2] - total[y1, x2] - total[y2, x1] + total[y1, x1]
    either = (x2 - x1) * (y2 - y1) + total[-1, -1] - overlap
    matched = np.where(match[0] > 0, match[1], total[-1, -1])
    overlaps = np.stack([*overlap, union[1], match[0]]).clip(0)
    eithers = np.stack([*either, union[0] + total[-1, -1] - union[1], matched])
    return BoxSweep(boxes, overlaps, np.maximum(eithers, overlaps))  # a box that fits exactly may round to more


def dense_ranks(values: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Ranks (H, W) of a map of any type among its D distinct values, and these in ascending order, (D,): level n of a
    sweep over the ranks is the mask ``values >= distinct[n]``, level D the empty one.

    Raises:
        ValueError: a value is NaN.
    """
    array = np.asarray(values)
    if np.isnan(array).any():
        raise ValueError("a map with NaN has no thresholds")
    distinct, ranks = np.unique(array, return_inverse=True)
    return ranks.reshape(array.shape), distinct
