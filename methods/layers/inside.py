"""The picture's own area: where a picture does not fill its canvas, the rest is padding, which enters no extremum, no
mean and no loss. `inside` is (N, H, W) bool as in `Batch`, or None where every pixel is the picture's own."""

from __future__ import annotations

import torch
from torch import Tensor

from raysearch.method import covered_cells


def own_cells(inside: Tensor | None, cells: tuple[int, int]) -> Tensor | None:
    """(N, P, Q) bool: the cells of a grid that hold some of the picture; the others lie wholly in the padding."""
    return None if inside is None else covered_cells(inside, cells, "any")


def without_padding(grid: Tensor, own: Tensor | None) -> Tensor:
    """Grids (N, K, P, Q), 0 in the cells that are not `own` (N, P, Q)."""
    return grid if own is None else grid.masked_fill(~own[:, None], 0.0)


def own_extrema(maps: Tensor, inside: Tensor | None) -> tuple[Tensor, Tensor]:
    """Lowest and highest value of each image of (N, M, H, W), (N, 1, 1, 1) each; of a picture without a pixel they are
    inf and -inf."""
    if inside is None:
        return maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    padding = ~inside[:, None]
    low, high = maps.masked_fill(padding, torch.inf), maps.masked_fill(padding, -torch.inf)
    return low.amin((1, 2, 3), keepdim=True), high.amax((1, 2, 3), keepdim=True)


def own_highest(maps: Tensor, inside: Tensor | None) -> Tensor:
    """(N, M): highest value of each of the maps (N, M, H, W) in [0, 1] on its picture; 0 without a pixel."""
    return (maps if inside is None else maps * inside[:, None]).amax((2, 3))


def own_mean(values: Tensor, inside: Tensor | None) -> Tensor:
    """(N,): mean of values (N, M, H, W) over the picture's pixels and the M; 0 without a pixel."""
    if inside is None:
        return values.mean((1, 2, 3))
    # not a product: what is padded may be anything
    own = torch.where(inside[:, None], values, 0.0).sum((1, 2, 3))
    return own / (inside.sum((1, 2)) * values.shape[1]).clamp(min=1)


def in_both(one: Tensor | None, other: Tensor | None, pairs: int) -> Tensor | None:
    """(pairs, H, W): the pixels that the i-th pictures of two batches both have; None if these are all."""
    given = [inside[:pairs] for inside in (one, other) if inside is not None]
    return torch.stack(given).all(0) if given else None


def rectangles(inside: Tensor) -> list[tuple[slice, slice] | None]:
    """Rows and columns of each picture; None of one without a pixel.

    Raises:
        ValueError: a picture is no rectangle.
    """
    rows, columns = inside.any(2), inside.any(1)
    ends = torch.stack((*_ends(rows), *_ends(columns), inside.sum((1, 2))), 1).tolist()  # one wait for the device
    found: list[tuple[slice, slice] | None] = []
    for top, bottom, left, right, pixels in ends:
        if pixels and pixels != (bottom - top) * (right - left):
            raise ValueError(
                f"{pixels} pixels of a picture within rows {top} to {bottom} and columns {left} to {right}: expected"
                " a rectangle"
            )
        found.append((slice(top, bottom), slice(left, right)) if pixels else None)
    return found


def continued(maps: Tensor, own: Tensor | None) -> Tensor:
    """Maps (M, h, w) whose cells outside a rectangle `own` (M, h, w) have the value of the nearest inside: what an
    interpolation of the map cut to its own cells would see."""
    if own is None:
        return maps
    for axis in (1, 2):
        low, high = _ends(own.any(3 - axis))
        at = torch.arange(maps.shape[axis], device=maps.device)[None]
        at = torch.minimum(torch.maximum(at, low[:, None]), (high - 1)[:, None]).clamp(min=0)
        maps = maps.take_along_dim(at.unsqueeze(3 - axis), axis)
    return maps


def _ends(flags: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last of each row of (N, n) bool that is set; of none 0 and n."""
    whole = flags.to(torch.int8)
    return whole.argmax(1), flags.shape[1] - whole.flip(1).argmax(1)
