"""Boxes of masks and of regions, half-open (x1, y1, x2, y2) in pixels: columns x1..x2-1, rows y1..y2-1."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._quantise import binarise

BoxRule = Literal["largest", "most_active", "union"]
"""Which boxes a mask makes: of the connected component with the most pixels; of the one that holds the map's highest
value; of every component. Of equals the component whose first pixel comes first in raster order."""

BOX_RULES: tuple[BoxRule, ...] = get_args(BoxRule)

Connectivity = Literal[8, 4]
CONNECTIVITIES: tuple[Connectivity, ...] = get_args(Connectivity)

Boxes = NDArray[np.int64]
"""(B, 4)."""


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
    """The truth boxes of a region (H, W): the covering rectangle of each of its 8-connected components.

    A region that was drawn as one box gives that box back. Of boxes that were merged into one mask those that touch or
    overlap give the rectangle around them, since a mask does not hold their outlines.
    """
    return _components(region, 8)[1]


def cover(boxes: Boxes, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W), the pixels that lie in any of the boxes."""
    out = np.zeros(size, np.bool_)
    for x1, y1, x2, y2 in boxes:
        out[y1:y2, x1:x2] = True
    return out


def _components(mask: NDArray[np.bool_], connectivity: Connectivity) -> tuple[NDArray[np.int32], Boxes]:
    """Labels (H, W), 1.. in raster order of the components' first pixels, and their boxes in that order."""
    # a tenth of a second of import that no command needs before it has maps
    from scipy import ndimage

    structure = np.ones((3, 3)) if connectivity == 8 else None
    labels, _ = ndimage.label(mask, structure=structure)
    spans = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(labels)]
    return labels, np.array(spans, np.int64).reshape(-1, 4)
