"""Boxes of masks and of regions, half-open (x1, y1, x2, y2) in pixels: columns x1..x2-1, rows y1..y2-1."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._drawn_boxes import drawn_boxes
from raysearch.thresholds._quantise import binarise
from raysearch.thresholds._values import check_regions

BoxRule = Literal["largest", "most_active", "union"]
"""Which boxes a mask makes: of the connected component with the most pixels; of the one that holds the map's highest
value; of every component. Of equals the component whose first pixel comes first in raster order."""

BOX_RULES: tuple[BoxRule, ...] = get_args(BoxRule)

Connectivity = Literal[8, 4]
CONNECTIVITIES: tuple[Connectivity, ...] = get_args(Connectivity)

Boxes = NDArray[np.int64]
"""(B, 4)."""

TruthBoxes = NDArray[np.floating[Any]] | Boxes
"""(B, 4); where the truth is boxes, their corners lie between pixels too."""


def boxes_at(quantised: NDArray[np.uint8], level: int, rule: BoxRule, connectivity: Connectivity = 8) -> Boxes:
    """The boxes that a rule makes of a map's mask ``quantised >= level``, as `predict` draws them.

    A box is the smallest rectangle that covers its component. Paper 001, section 1.6 of the method specification: its
    text says `largest`; its released code has `union`, and one close to `most_active` (the component whose *box* holds
    the highest value).

    Args:
        quantised: (H, W) uint8.
        level: 0..256.

    Returns:
        One box, or as many as there are components for ``union``; none of an empty mask.
    """
    labels, boxes = _components(binarise(quantised, level), connectivity)
    if rule == "union" or not len(boxes):
        return boxes
    if rule == "largest":
        winner = int(np.bincount(labels.ravel())[1:].argmax())
    else:
        winner = int(labels[quantised == quantised.max()].min()) - 1
    return boxes[winner : winner + 1]


def region_boxes(region: NDArray[np.bool_]) -> Boxes:
    """The truth boxes of a region (H, W) that is known by its pixels alone: of each of its 8-connected components the
    covering rectangle, or the boxes that it was drawn as where that can be told (`drawn_boxes`). Where the truth is
    boxes, these are kept beside the pixels and count instead (`known_pairs`).

    Raises:
        ValueError: a region of other values than 0 and 1.
    """
    check_regions(region)
    labels, boxes = _components(region.astype(np.bool_), 8)
    found = [
        drawn_boxes(labels[y1:y2, x1:x2] == number) + np.array([x1, y1, x1, y1])
        for number, (x1, y1, x2, y2) in enumerate(boxes, start=1)
    ]
    return np.concatenate(found) if found else boxes


def cover(boxes: Boxes, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W), the pixels that lie in any of the boxes."""
    out = np.zeros(size, np.bool_)
    for x1, y1, x2, y2 in boxes:
        out[y1:y2, x1:x2] = True
    return out


def coverage(boxes: TruthBoxes, size: tuple[int, int]) -> NDArray[np.float64]:
    """(H, W) shares in [0, 1] of each pixel that any of the boxes covers."""
    if np.issubdtype(boxes.dtype, np.integer):
        return cover(boxes.astype(np.int64), size).astype(np.float64)
    # cells between all whole numbers and all sides of boxes: each is in a box or not
    rows, columns = (np.unique([*range(n + 1), *boxes[:, axis::2].ravel()]) for axis, n in ((1, size[0]), (0, size[1])))
    cells = np.zeros((len(rows) - 1, len(columns) - 1))
    for x1, y1, x2, y2 in boxes:
        cells[slice(*np.searchsorted(rows, (y1, y2))), slice(*np.searchsorted(columns, (x1, x2)))] = 1
    cells *= np.diff(rows)[:, None] * np.diff(columns)
    down, across = np.searchsorted(rows, np.arange(size[0])), np.searchsorted(columns, np.arange(size[1]))
    return np.add.reduceat(np.add.reduceat(cells, down, axis=0), across, axis=1)


def _components(mask: NDArray[np.bool_], connectivity: Connectivity) -> tuple[NDArray[np.int32], Boxes]:
    """Labels (H, W), 1.. in raster order of the components' first pixels, and their boxes in that order."""
    # a tenth of a second of import that no command needs before it has maps
    from scipy import ndimage

    structure = np.ones((3, 3)) if connectivity == 8 else None
    labels, _ = ndimage.label(mask, structure=structure)
    spans = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels)]
    return labels, np.array(spans, np.int64).reshape(-1, 4)
