"""The compiled sweep over all thresholds of a map: components grow, join and are measured as the threshold falls.

All compiled functions live in this one file, because the compiler's cache on disk goes by the date of the file. The
first call on a machine compiles for some seconds, later processes read the cache. Import it only where a sweep is run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


def compiled(function: Function) -> Function:
    """Compiles on the first call; keeps the result on disk, or only in memory where no cache folder can be written."""
    try:
        return cast(Function, njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(Function, njit(nogil=True)(function))


# columns of a component: pixels, first pixel in raster order, whether it holds the map's highest value, its box
SIZE, FIRST, TOP, X1, Y1, X2, Y2 = range(7)
# what of the box has been painted
PX1, PY1, PX2, PY2 = range(7, 11)
COLUMNS = 11
# of a component's box the overlap and union, in pixels, with the truth box that it fits best
OVERLAP, EITHER = range(2)


@compiled
def find(parent: Ints, component: int) -> int:
    """Root of a component, paths halved on the way."""
    while parent[component] != component:
        parent[component] = parent[parent[component]]
        component = parent[component]
    return component


@compiled
def join(parent: Ints, nodes: Ints, a: int, b: int) -> int:
    """Joins two roots under the one with more pixels and returns it."""
    if nodes[a, SIZE] < nodes[b, SIZE]:
        a, b = b, a
    parent[b] = a
    nodes[a, SIZE] += nodes[b, SIZE]
    nodes[a, FIRST] = min(nodes[a, FIRST], nodes[b, FIRST])
    nodes[a, TOP] |= nodes[b, TOP]
    nodes[a, X1] = min(nodes[a, X1], nodes[b, X1])
    nodes[a, Y1] = min(nodes[a, Y1], nodes[b, Y1])
    nodes[a, X2] = max(nodes[a, X2], nodes[b, X2])
    nodes[a, Y2] = max(nodes[a, Y2], nodes[b, Y2])
    return a


@compiled
def start(nodes: Ints, component: int, x: int, y: int, place: int, top: int) -> None:
    """A component of one pixel."""
    nodes[component, SIZE] = 1
    nodes[component, FIRST] = place
    nodes[component, TOP] = top
    nodes[component, X1], nodes[component, X2] = x, x + 1
    nodes[component, Y1], nodes[component, Y2] = y, y + 1
    nodes[component, PX1 : PY2 + 1] = 0


@compiled
def grow(nodes: Ints, component: int, x: int, y: int, place: int, top: int) -> None:
    """One more pixel of a root."""
    nodes[component, SIZE] += 1
    nodes[component, FIRST] = min(nodes[component, FIRST], place)
    nodes[component, TOP] |= top
    nodes[component, X1] = min(nodes[component, X1], x)
    nodes[component, Y1] = min(nodes[component, Y1], y)
    nodes[component, X2] = max(nodes[component, X2], x + 1)
    nodes[component, Y2] = max(nodes[component, Y2], y + 1)


@compiled
def larger(nodes: Ints, a: int, b: int) -> bool:
    """Whether root `a` goes before `b` by pixels, then by its first pixel."""
    if nodes[a, SIZE] == nodes[b, SIZE]:
        return nodes[a, FIRST] < nodes[b, FIRST]  # type: ignore[no-any-return]
    return nodes[a, SIZE] > nodes[b, SIZE]  # type: ignore[no-any-return]


@compiled
def paint(free: Ints, truth: Floats, y: int, x1: int, x2: int) -> tuple[int, float]:
    """Paints pixels x1..x2-1 of a row: how many of them were free, and how much of those lies in the truth.

    `free` (H, W + 1) leads from each pixel to the next free one of its row.
    """
    pixels, inside = 0, 0.0
    x = find(free[y], x1)
    while x < x2:
        pixels += 1
        inside += truth[y, x]
        free[y, x] = x + 1
        x = find(free[y], x + 1)
    return pixels, inside


@compiled
def paint_box(nodes: Ints, root: int, free: Ints, truth: Floats) -> tuple[int, float]:
    """`paint` for what a root's box gained since it was painted last."""
    pixels, inside, gained = 0, 0.0, False
    for column in range(4):
        gained |= nodes[root, X1 + column] != nodes[root, PX1 + column]
    if not gained:
        return pixels, inside
    x1, x2 = nodes[root, X1], nodes[root, X2]
    for y in range(nodes[root, Y1], nodes[root, Y2]):
        if nodes[root, PY1] <= y < nodes[root, PY2]:
            left, hit_left = paint(free, truth, y, x1, nodes[root, PX1])
            right, hit_right = paint(free, truth, y, nodes[root, PX2], x2)
            pixels += left + right
            inside += hit_left + hit_right
        else:
            row, hit = paint(free, truth, y, x1, x2)
            pixels += row
            inside += hit
    for column in range(4):
        nodes[root, PX1 + column] = nodes[root, X1 + column]
    return pixels, inside


@compiled
def match(nodes: Ints, fits: Floats, root: int, boxes: Floats) -> None:
    """Overlap and union of a root's box with the one of the truth boxes (B, 4) that it fits best."""
    x1, y1, x2, y2 = nodes[root, X1], nodes[root, Y1], nodes[root, X2], nodes[root, Y2]
    fits[root, OVERLAP], fits[root, EITHER] = 0, 1
    for b in range(len(boxes)):
        width = min(x2, boxes[b, 2]) - max(x1, boxes[b, 0])
        height = min(y2, boxes[b, 3]) - max(y1, boxes[b, 1])
        if width > 0 and height > 0:
            both = width * height
            either = (x2 - x1) * (y2 - y1) + (boxes[b, 2] - boxes[b, 0]) * (boxes[b, 3] - boxes[b, 1]) - both
            if both / either > fits[root, OVERLAP] / fits[root, EITHER]:
                fits[root, OVERLAP], fits[root, EITHER] = both, either


@compiled
def best_root(parent: Ints, fits: Floats, matched: Ints, count: int) -> tuple[int, int]:
    """The root that matches best among `matched[:count]`, and how many of those are still roots, moved to the front."""
    kept, best = 0, -1
    for n in range(count):
        root = matched[n]
        if parent[root] == root:
            matched[kept] = root
            kept += 1
            if best < 0 or iou(fits, root) > iou(fits, best):
                best = root
    return best, kept


@compiled
def iou(fits: Floats, root: int) -> float:
    return fits[root, OVERLAP] / fits[root, EITHER]  # type: ignore[no-any-return]


@compiled
def by_value(ranks: Ints, levels: int) -> tuple[Ints, Ints]:
    """Places (y * W + x) of all pixels in ascending order of value, in raster order within one, and where each of the
    `levels` values begins, (levels + 1,)."""
    height, width = ranks.shape
    begin = np.zeros(levels + 1, np.int32)
    for y in range(height):
        for x in range(width):
            begin[ranks[y, x] + 1] += 1
    for level in range(levels):
        begin[level + 1] += begin[level]
    free, order = begin.copy(), np.empty(height * width, np.int32)
    for y in range(height):
        for x in range(width):
            order[free[ranks[y, x]]] = y * width + x
            free[ranks[y, x]] += 1
    return order, begin


@compiled
def add_pixel(label: Ints, parent: Ints, nodes: Ints, steps: Ints, components: int, at: int) -> int:
    """Joins the components beside a pixel, and returns their root; the next unused number if there is none.

    `label` holds the component of each place of the map with a border of one pixel, -1 where there is none yet; `at` is
    the pixel's place there, `steps` lead to its neighbours.
    """
    root = -1
    for step in steps:
        beside = label[at + step]
        if beside >= 0 and beside != root:
            other = find(parent, beside)
            if root < 0:
                root = other
            elif other != root:
                root = join(parent, nodes, root, other)
    return root if root >= 0 else components


@compiled
def sweep(
    ranks: Ints, levels: int, connectivity: int, truth: Floats, truth_boxes: Floats
) -> tuple[Ints, Floats, Floats]:
    """The masks ``ranks >= level`` at all levels 0..`levels`, from the last one, which is empty, down.

    Args:
        ranks: (H, W) in 0..levels - 1.
        connectivity: 4 or 8.
        truth: (H, W) in [0, 1], the share of each pixel that the truth boxes cover.
        truth_boxes: (B, 4).

    Returns:
        boxes (2, levels + 1, 4) of the largest and of the most active component, zeros where there is none; of the
        union of all boxes the pixels and how much of them is in the truth, (2, levels + 1); overlap and union of the
        best match, (2, levels + 1).
    """
    height, width = ranks.shape
    stride = width + 2
    order, begin = by_value(ranks, levels)
    highest = ranks[order[-1] // width, order[-1] % width]
    # a component begins at a pixel without a neighbour before it: at most every second one
    most = (height * width + 1) // 2
    parent, nodes, components = np.empty(most, np.int32), np.empty((most, COLUMNS), np.int32), 0
    fits = np.zeros((most, 2))
    changed_at, changed, matched, listed = np.full(most, -1, np.int32), np.empty(most, np.int32), parent.copy(), 0
    label = np.full((height + 2) * stride, -1, np.int32)
    steps = np.array([-1, 1, -stride, stride, -stride - 1, 1 - stride, stride - 1, stride + 1], np.int32)[:connectivity]
    free = np.empty((height, width + 1), np.int32)
    free[:] = np.arange(width + 1)
    boxes = np.zeros((2, levels + 1, 4), np.int32)
    unions, matches = np.zeros((2, levels + 1)), np.zeros((2, levels + 1))
    largest, active, pixels, inside = -1, -1, 0, 0.0
    best, fit = -1, 0.0
    for level in range(highest, -1, -1):
        top, changes = int(level == highest), 0
        for place in order[begin[level] : begin[level + 1]]:
            y, x = place // width, place % width
            at = (y + 1) * stride + x + 1
            root = add_pixel(label, parent, nodes, steps, components, at)
            label[at] = root
            if root < components:
                grow(nodes, root, x, y, place, top)
            else:
                components += 1
                parent[root] = root
                start(nodes, root, x, y, place, top)
                fits[root, EITHER] = 1
            # no component ever gets smaller or begins later, so the first of them changes only in favour of this one
            if largest < 0 or larger(nodes, root, largest):
                largest = root
            if nodes[root, TOP] and (active < 0 or nodes[root, FIRST] < nodes[active, FIRST]):
                active = root
            if changed_at[root] != level:
                changed_at[root] = level
                changed[changes] = root
                changes += 1
        for root in changed[:changes]:
            if parent[root] == root:
                gained, hit = paint_box(nodes, root, free, truth)
                pixels, inside = pixels + gained, inside + hit
                unlisted = fits[root, OVERLAP] == 0
                match(nodes, fits, root, truth_boxes)
                if unlisted and fits[root, OVERLAP] > 0:
                    matched[listed] = root
                    listed += 1
                if iou(fits, root) > fit:
                    best, fit = root, iou(fits, root)
        largest, active = find(parent, largest), find(parent, active)
        boxes[0, level], boxes[1, level] = nodes[largest, X1 : Y2 + 1], nodes[active, X1 : Y2 + 1]
        unions[0, level], unions[1, level] = pixels, inside
        if best >= 0:
            if parent[best] != best or iou(fits, best) < fit:
                best, listed = best_root(parent, fits, matched, listed)
                fit = iou(fits, best)
            matches[0, level], matches[1, level] = fits[best, OVERLAP], fits[best, EITHER]
    return boxes, unions, matches
