"""Pairs of neighbouring cells of a grid, and the cells on the line between them.

A pair (i, j) is a cell i and an offset (y, x) to the cell j; each unordered pair comes once, as offsets (0, x > 0) and
(y > 0, any x). Values of pairs are (N, O, h w): image, offset, cell i in row-major order.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

Cell = tuple[int, int]


def offsets_within(radius: int) -> list[Cell]:
    """Half of the offsets (y, x) that are shorter than `radius`, without (0, 0)."""
    reach = range(1 - radius, radius)
    half = [(y, x) for y in reach for x in reach if y > 0 or (y == 0 and x > 0)]
    return [(y, x) for y, x in half if y * y + x * x < radius * radius]


def line_to(offset: Cell) -> list[Cell]:
    """Cells on the line from (0, 0) to `offset` (y >= 0), both ends included: those of the rectangle that both span
    whose squared distance to the line is below 1."""
    y1, x1 = offset
    span = range(y1 + 1), range(min(0, x1), max(0, x1) + 1)
    length = y1 * y1 + x1 * x1
    return [(y, x) for y in span[0] for x in span[1] if (y1 * x - x1 * y) ** 2 < length]


class Pairs:
    """All pairs of cells of a grid that are less than `radius` cells apart (2 or more), for values on `device`; on the
    CPU without.

    Attributes:
        offsets: (O, 2) int64, (y, x) of j relative to i.
    """

    def __init__(self, radius: int, device: torch.device | None = None) -> None:
        offsets = offsets_within(radius)
        self.offsets = torch.tensor(offsets, device=device)
        self._reach = radius - 1
        self._ends = torch.tensor([self._place(offset) for offset in offsets], device=device)
        lines: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        for i, offset in enumerate(offsets):
            line = [self._place(cell) for cell in line_to(offset)]
            lines[len(line)].append((i, line))
        order = [i for group in lines.values() for i, _ in group]
        # lines of one length make a table without padding
        self._lines = [torch.tensor([line for _, line in group], device=device) for group in lines.values()]
        self._back = torch.tensor(order).argsort().to(device)

    def far(self, values: Tensor, fill: float) -> Tensor:
        """(N, O, h w) of (N, h, w): the value at j; `fill` where j is outside the grid."""
        return self._window(values, fill)[:, self._ends]

    def highest_between(self, values: Tensor) -> Tensor:
        """(N, O, h w) of (N, h, w): the highest value on the line from i to j, both included; of pairs whose j is
        outside the grid, on what is inside."""
        window = self._window(values, -torch.inf)
        found = [window[:, line].amax(2) for line in self._lines]
        return torch.cat(found, 1)[:, self._back]

    def affinity(self, boundary: Tensor) -> Tensor:
        """Eq. 5: ``1 - max B`` over the line from i to j, of (N, h, w) in [0, 1]."""
        return 1 - self.highest_between(boundary)

    def _place(self, cell: Cell) -> int:
        return cell[0] * (2 * self._reach + 1) + cell[1] + self._reach

    def _window(self, values: Tensor, fill: float) -> Tensor:
        """(N, positions, h w): around each cell the rows from its own on, `reach` to all sides."""
        reach = self._reach
        padded = F.pad(values[:, None], (reach, reach, 0, reach), value=fill)
        return F.unfold(padded, (reach + 1, 2 * reach + 1))


@cache
def pairs_within(radius: int, device: torch.device) -> Pairs:
    """`Pairs`, made once for all steps and walks."""
    with torch.inference_mode(False):  # else a step with a gradient could not use what a walk has made
        return Pairs(radius, device)
