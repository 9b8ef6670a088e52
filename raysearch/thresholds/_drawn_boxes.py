"""A few boxes that were drawn into one mask, told apart again."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

MOST = 4
"""Boxes in one component."""

SHORTEST = 3
"""Least side of a box in pixels: thin lines and the stairs of a small blob are made of rectangles too."""

SHARED = 0.25
"""Two boxes share at most this part of the smaller one: a small disc is the union of two that share more."""

LEAST = (2 - SHARED) * SHORTEST**2
"""Pixels of the least shape that is made of more than one box."""

Boxes = NDArray[np.int64]
Cells = tuple[int, int, int, int]


def drawn_boxes(component: NDArray[np.bool_]) -> Boxes:
    """The boxes, x1, y1, x2, y2, that a connected mask (H, W) without margins was drawn as.

    If at most `MOST` rectangles, each at least `SHORTEST` long and wide, that touch or overlap by at most `SHARED` make
    up the mask exactly, it is these: such a shape is hardly an outline. Any other mask is the one box around it.
    """
    height, width = component.shape
    around = np.array([[0, 0, width, height]])
    if min(height, width) < SHORTEST or component.all() or np.count_nonzero(component) < LEAST:
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
    every = _rectangles(small, rows.tolist(), columns.tolist())
    largest = {one: bits for one, bits in every.items() if not any(wider in every for wider in _wider(one))}
    whole = _union(every.values())
    if whole != _bits(small):
        return None
    for count in range(2, MOST + 1):
        if max(len(rows), len(columns)) > 2 * count:  # a box has two sides each way
            continue
        ways = []
        for chosen in _choices(every if count == 2 else largest, whole, count):
            boxes = np.array([[columns[x1], rows[y1], columns[x2], rows[y2]] for x1, y1, x2, y2 in sorted(chosen)])
            if (shared := _shared(boxes)) is not None:
                ways.append((shared, boxes))
        if ways:
            least = min(shared for shared, _ in ways)
            best = [boxes for shared, boxes in ways if shared == least]
            return best[0] if len(best) == 1 else None
    return None


def _bits(small: NDArray[np.bool_]) -> int:
    """A mask of cells as the bits of a number, which are compared faster."""
    return int.from_bytes(np.packbits(small, bitorder="little").tobytes(), "little")


def _union(parts: Iterable[int]) -> int:
    return functools.reduce(operator.or_, parts, 0)


def _rectangles(small: NDArray[np.bool_], rows: list[int], columns: list[int]) -> dict[Cells, int]:
    """All rectangles of a mask of cells that are long and wide enough, with their `_bits`."""
    height, width = small.shape
    filled = [_bits(row) for row in small]
    spans = [
        (x1, x2, (1 << x2) - (1 << x1))
        for x1, x2 in combinations(range(width + 1), 2)
        if columns[x2] - columns[x1] >= SHORTEST
    ]
    found = {}
    for y1 in range(height):
        common, across = -1, 0
        for y2 in range(y1 + 1, height + 1):
            common &= filled[y2 - 1]
            across |= 1 << (width * (y2 - 1))
            if rows[y2] - rows[y1] >= SHORTEST:
                found.update({(x1, y1, x2, y2): span * across for x1, x2, span in spans if common & span == span})
    return found


def _wider(one: Cells) -> Iterator[Cells]:
    """A rectangle with one more row or column of cells."""
    x1, y1, x2, y2 = one
    yield from ((x1 - 1, y1, x2, y2), (x1, y1 - 1, x2, y2), (x1, y1, x2 + 1, y2), (x1, y1, x2, y2 + 1))


def _choices(candidates: Mapping[Cells, int], whole: int, count: int) -> set[frozenset[Cells]]:
    """Sets of `count` rectangles none of which can be left out for them to cover the whole."""
    found: set[frozenset[Cells]] = set()

    def go_on(chosen: tuple[Cells, ...], left: int) -> None:
        if not left:
            found.add(frozenset(chosen))
        elif len(chosen) < count:
            first = left & -left  # some rectangle has the first cell that is left
            for one, bits in candidates.items():
                if bits & first:
                    go_on((*chosen, one), left & ~bits)

    go_on((), whole)
    return {chosen for chosen in found if len(chosen) == count}


def _shared(boxes: Boxes) -> int | None:
    """Pixels that boxes share; None if one is too thin, or two share too much."""
    sides = boxes[:, 2:] - boxes[:, :2]
    if sides.min() < SHORTEST:
        return None
    areas = sides.prod(axis=1)
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.triu((high - low).clip(0).prod(axis=2), 1)
    return int(shared.sum()) if (shared <= SHARED * np.minimum(areas[:, None], areas)).all() else None
