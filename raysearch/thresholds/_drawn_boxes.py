"""A few boxes that were drawn into one mask, told apart again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

MOST = 4
"""Boxes in one component."""

SHORTEST = 3
"""Least side of a box in pixels: thin lines and the stairs of a small blob are made of rectangles too."""

SHARED = 0.25
"""Two boxes share at most this part of the smaller one: a small disc is the union of two that share more."""


WAYS = 2000
"""Choices of so many rectangles inside a component beyond which they are not tried."""

Boxes = NDArray[np.int64]
Cells = tuple[int, int, int, int]


def drawn_boxes(component: NDArray[np.bool_]) -> Boxes:
    """The boxes, x1, y1, x2, y2, that a connected mask (H, W) without margins was drawn as.

    If at most `MOST` rectangles, each at least `SHORTEST` long and wide, that touch or overlap by at most `SHARED` make
    up the mask exactly, it is these: such a shape is hardly an outline. Any other mask is the one box around it.
    """
    height, width = component.shape
    around = np.array([[0, 0, width, height]])
    if component.all():
        return around
    columns, rows = _edges(component), _edges(component.T)
    if max(len(columns), len(rows)) > 2 * MOST:
        return around
    # between two neighbouring edges all pixels are alike
    found = _taken_apart(component[np.ix_(rows[:-1], columns[:-1])], rows, columns)
    return around if found is None else found


def _edges(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where columns differ from the one before, with both ends."""
    changes = np.flatnonzero((mask[:, 1:] != mask[:, :-1]).any(axis=0)) + 1
    return np.concatenate([[0], changes, [mask.shape[1]]])


def _taken_apart(small: NDArray[np.bool_], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Boxes | None:
    """The fewest rectangles that make up a mask of cells between `rows` and `columns` exactly and can be told apart, of
    as many those that share least; None if there are none, or two ways that are equally good."""
    every = _rectangles(small)
    largest = [one for one in every if not any(_within(one, other) for other in every if other != one)]
    for count in range(2, MOST + 1):
        candidates = every if count == 2 else largest
        if comb(len(candidates), count) > WAYS:
            continue
        ways = []
        for chosen in combinations(candidates, count):
            if _covers(chosen, small):
                boxes = np.array([[columns[x1], rows[y1], columns[x2], rows[y2]] for x1, y1, x2, y2 in chosen])
                if (shared := _shared(boxes)) is not None:
                    ways.append((shared, boxes))
        if ways:
            least = min(shared for shared, _ in ways)
            best = [boxes for shared, boxes in ways if shared == least]
            return best[0] if len(best) == 1 else None
    return None


def _rectangles(small: NDArray[np.bool_]) -> list[Cells]:
    height, width = small.shape
    return [
        (x1, y1, x2, y2)
        for y1, y2 in combinations(range(height + 1), 2)
        for x1, x2 in combinations(range(width + 1), 2)
        if small[y1:y2, x1:x2].all()
    ]


def _within(one: Cells, other: Cells) -> bool:
    return other[0] <= one[0] and other[1] <= one[1] and one[2] <= other[2] and one[3] <= other[3]


def _covers(chosen: Sequence[Cells], small: NDArray[np.bool_]) -> bool:
    covered = np.zeros_like(small)
    for x1, y1, x2, y2 in chosen:
        covered[y1:y2, x1:x2] = True
    return bool((covered == small).all())


def _shared(boxes: Boxes) -> int | None:
    """Pixels that boxes share; None if one is too thin, or two share too much."""
    sides = boxes[:, 2:] - boxes[:, :2]
    if sides.min() < SHORTEST:
        return None
    areas = sides.prod(axis=1)
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.triu((high - low).clip(0).prod(axis=2), 1)
    return int(shared.sum()) if (shared <= SHARED * np.minimum(areas[:, None], areas)).all() else None
