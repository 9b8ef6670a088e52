"""A few boxes that were drawn into one mask, told apart again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 4
"""Boxes in one component."""

SHORTEST = 3
"""Least side of a box in pixels: thin lines and the stairs of a small blob are made of rectangles too."""

SHARED = 0.25
"""Two boxes share at most this part of the smaller one: a small disc is the union of two that share more."""


def drawn_boxes(component: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The boxes, x1, y1, x2, y2, that a connected mask (H, W) without margins was drawn as.

    If at most `MOST` rectangles, each at least `SHORTEST` long and wide, that touch or overlap by at most `SHARED` make
    up the mask exactly, it is these, the larger ones first: such a shape is hardly an outline. Any other mask is the
    one box around it.
    """
    height, width = component.shape
    around = np.array([[0, 0, width, height]])
    if component.all():
        return around
    columns, rows = _edges(component), _edges(component.T)
    if max(len(columns), len(rows)) > 2 * MOST:
        return around
    # between two neighbouring edges all pixels are alike
    small = component[np.ix_(rows[:-1], columns[:-1])]
    found = _taken_apart(small, np.diff(rows), np.diff(columns))
    if found is None:
        return around
    boxes = np.array([[columns[x1], rows[y1], columns[x2], rows[y2]] for x1, y1, x2, y2 in found])
    return boxes if _told_apart(boxes) else around


def _edges(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where columns differ from the one before, with both ends."""
    changes = np.flatnonzero((mask[:, 1:] != mask[:, :-1]).any(axis=0)) + 1
    return np.concatenate([[0], changes, [mask.shape[1]]])


def _taken_apart(
    small: NDArray[np.bool_], heights: NDArray[np.int64], widths: NDArray[np.int64]
) -> list[tuple[int, int, int, int]] | None:
    """Rectangles in cells of a mask that make it up, each time the one that adds most; None if `MOST` do not."""
    areas = heights[:, None] * widths
    rows, columns = small.shape
    every = [
        (x1, y1, x2, y2)
        for y1 in range(rows)
        for y2 in range(y1 + 1, rows + 1)
        for x1 in range(columns)
        for x2 in range(x1 + 1, columns + 1)
        if small[y1:y2, x1:x2].all()
    ]
    left, found = small.copy(), []
    while left.any() and len(found) < MOST:
        gains = [int((areas * left)[y1:y2, x1:x2].sum()) for x1, y1, x2, y2 in every]
        whole = [int(areas[y1:y2, x1:x2].sum()) for x1, y1, x2, y2 in every]
        best = max(range(len(every)), key=lambda n: (gains[n], whole[n]))  # of equals the largest
        x1, y1, x2, y2 = every[best]
        left[y1:y2, x1:x2] = False
        found.append(every[best])
    return None if left.any() else found


def _told_apart(boxes: NDArray[np.int64]) -> bool:
    sides = boxes[:, 2:] - boxes[:, :2]
    if sides.min() < SHORTEST:
        return False
    areas = sides.prod(axis=1)
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    smaller = np.minimum(areas[:, None], areas)
    np.fill_diagonal(shared, 0)
    return bool((shared <= SHARED * smaller).all())
