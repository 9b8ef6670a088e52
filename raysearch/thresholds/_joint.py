"""Several decision parameters at once: coordinate sweeps over exact one-dimensional solves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._solve import TIE, optimum
from raysearch.thresholds._sweep import Counted, Direction, Floats

Point = tuple[int, ...]
"""A position of each parameter."""

Line = Callable[[Point, int], Floats]
"""Values at all positions of one parameter (its index), the others held at their place in the point."""

EXHAUST = 512
"""Lines that are looked at before a proof is given up."""


@dataclass(frozen=True)
class JointSolution:
    """The best positions that were found.

    Attributes:
        positions: by parameter.
        value: at them.
        proven: whether every combination was looked at, so that this is the global optimum. Otherwise it is a
            coordinate optimum, the best of all `starts`: no change of a single parameter improves it, but a change of
            several might.
        lines: how many one-dimensional solves it took.
    """

    positions: dict[str, int]
    value: float
    proven: bool
    lines: int


def coordinate_sweeps(
    line: Line,
    sizes: Mapping[str, int],
    *,
    starts: Sequence[Sequence[int]] = (),
    restarts: int = 8,
    seed: int = 0,
    direction: Direction = "maximize",
) -> JointSolution:
    """The best combination of several parameters, where the best value of one with the others fixed is exact.

    Where all combinations but those of the longest parameter make at most 512 lines, all are looked at, and the result
    is proven. Otherwise parameters take turns to move to the best position on their line, from each start, until a full
    sweep improves nothing; of several such ends the best counts, the first one on ties. It ends, since the value grows
    with every round. Positions of equal value: the centre of the widest optimal run on the line.

    Args:
        line: of a point and the index of a parameter, (size,) values; they must not contain NaN.
        sizes: number of positions by parameter; neighbours are alike (a threshold), or a run has no meaning (a rule).
        starts: points to start from beside the random ones, e.g. the optimum shared by all classes.
        restarts: number of random starts.

    Raises:
        ValueError: no parameter, one without positions, or a start outside them.
    """
    lengths = tuple(sizes.values())
    if not lengths or min(lengths) < 1:
        raise ValueError(f"expected parameters of at least one position each, got {dict(sizes)}")
    for start in starts:
        if len(start) != len(lengths) or not all(0 <= at < size for at, size in zip(start, lengths, strict=True)):
            raise ValueError(f"a start must have a position of each of {dict(sizes)}, got {tuple(start)}")
    search = _Search(line, direction)
    proven = prod(lengths) // max(lengths) <= EXHAUST
    if proven:
        longest = lengths.index(max(lengths))
        rest = [range(size) if n != longest else range(1) for n, size in enumerate(lengths)]
        ends = [search.move(point, longest) for point in product(*rest)]
    else:
        generator = np.random.default_rng(seed)
        drawn = [tuple(int(generator.integers(size)) for size in lengths) for _ in range(restarts)]
        ends = [search.climb(tuple(start)) for start in [*starts, *drawn] or [(0,) * len(lengths)]]
    best, gain = ends[0]
    for point, other in ends[1:]:
        if other > gain + TIE:
            best, gain = point, other
    value = gain if direction == "maximize" else -gain
    return JointSolution(dict(zip(sizes, best, strict=True)), value, proven, search.lines)


def summed_lines(function: Callable[..., Floats], *statistics: Counted) -> Line:
    """A `Line` for one position a class under a metric that couples classes through sums, e.g. F1+ of all pixels of all
    classes together: ``function`` of each statistic (K, L) summed over classes at their positions."""

    def line(point: Point, k: int) -> Floats:
        sums = [own[k] + sum(own[j, at] for j, at in enumerate(point) if j != k) for own in statistics]
        return function(*sums)

    return line


def table_line(table: NDArray[np.floating]) -> Line:
    """A `Line` through a table with one axis a parameter."""

    def line(point: Point, axis: int) -> Floats:
        values: Floats = np.moveaxis(table, axis, -1)[point[:axis] + point[axis + 1 :]].astype(np.float64)
        return values

    return line


class _Search:
    """Moves along lines; gains are values with the sign that makes more better."""

    def __init__(self, line: Line, direction: Direction) -> None:
        self.line, self.sign, self.lines = line, 1.0 if direction == "maximize" else -1.0, 0

    def move(self, point: Point, axis: int) -> tuple[Point, float]:
        """To the best position on a line."""
        self.lines += 1
        gains = self.sign * self.line(point, axis)
        at = optimum(gains, "maximize")
        return (*point[:axis], at, *point[axis + 1 :]), float(gains[at])

    def climb(self, point: Point) -> tuple[Point, float]:
        """To a coordinate optimum: sweeps that also centre each parameter on its run, each followed by one that moves
        for a better value only, until that one moves nothing."""
        # a centred parameter may lose a tie's width
        least = (len(point) + 1) * TIE
        while True:
            for axis in range(len(point)):
                point, gain = self.move(point, axis)
            better, most = point, gain
            for axis in range(len(point)):
                moved, other = self.move(better, axis)
                if other > most + least:
                    better, most = moved, other
            if better == point:
                return point, gain
            point = better
