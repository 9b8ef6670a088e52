"""Localization maps from saliency and proposals (section 3.2, figure 2)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from methods.layers.maps import min_max
from methods.layers.rounding import SLACK, constant

Confidence = Literal["sigmoid", "softmax", "linear"]
Reading = Literal["avg", "norm", "sum"]

_STEPS = 2.0**32
"""Weights are added as whole numbers of 1 / _STEPS: any order gives the same sum, and what cancels leaves nothing."""


def proposal_map(confidences: Tensor, boxes: Tensor, cells: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """(N, K, *cells): at each cell the sum of the confidences (N, K, A) of the boxes (N, K, A, 4) that hold its centre.

    Boxes are half-open (x1, y1, x2, y2) in pixels of an image of (H, W) `size`. Each box adds its confidence at two
    corners of a table and takes it away at two others; sums along both axes then fill all boxes at once.
    """
    rows, columns = cells
    scale = boxes.new_tensor([columns / size[1], rows / size[0]] * 2)
    # cell j is from the first on whose centre j + 1/2 is not left of x1, and below x2
    # a side on a centre, which rounding may have put right of it, is not right of it
    ends = (boxes * scale - 0.5 - SLACK * max(cells)).ceil().long().clamp(min=0)
    left, right = ends[..., 0].clamp(max=columns), ends[..., 2].clamp(max=columns)
    top, bottom = ends[..., 1].clamp(max=rows), ends[..., 3].clamp(max=rows)
    right, bottom = torch.maximum(left, right), torch.maximum(top, bottom)
    weight = (confidences.double() * _STEPS).round().long()
    table = weight.new_zeros(*weight.shape[:2], (rows + 1) * (columns + 1))
    for y, x, sign in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
        table.scatter_add_(2, y * (columns + 1) + x, sign * weight)
    filled = table.view(*weight.shape[:2], rows + 1, columns + 1).cumsum(2).cumsum(3)[..., :rows, :columns]
    return (filled.double() / _STEPS).float()


def detection_map(
    confidences: Tensor,
    boxes: Tensor,
    cells: tuple[int, int],
    size: tuple[int, int],
    *,
    reading: Reading,
    confidence: Confidence,
) -> Tensor:
    """x_RPN of confidences (N, K, A) as they come from the head and boxes (N, K, A, 4), in one of three readings:

    ``avg``: ``(1 / A) sum_n c_n 1[cell in r_n]``, on the saliency's `cells`, (N, K, *cells); ``norm``: the sum over
    that of all c_n; ``sum``: the sum itself, at the resolution of the image, (N, K, *size), as the released code.
    `confidence` says what c_n is: its sigmoid, its softmax over the proposals, or itself (the released code; c_n may be
    negative then, and ``norm`` has no meaning).
    """
    weights = confidences
    if confidence != "linear":
        weights = confidences.sigmoid() if confidence == "sigmoid" else confidences.softmax(2)
    total = proposal_map(weights, boxes, size if reading == "sum" else cells, size)
    if reading == "sum":
        return total
    if reading == "avg":
        return total / confidences.shape[2]
    return total / weights.sum(2)[..., None, None].clamp(min=torch.finfo(weights.dtype).tiny)


def percentiles(maps: Tensor, inside: Tensor | None = None) -> Tensor:
    """Each pixel of (N, K, H, W) replaced by the share of its map's pixels that are not above it; 0 where it is the
    map's lowest. A threshold q on this is the percentile q of the map: pixels from the q H W-th lowest on. A map of one
    value, but for rounding, has lowest pixels alone. Of a picture `inside` (N, H, W) a canvas all this is of its own
    pixels, H W their number; what the others become is in [0, 1] and means nothing.

    Shares below 1 are 254 / 255 at most: what is closer to 1 would become 1 when quantised to 256 values, and the map's
    maximum could not be told from it.
    """
    flat = maps.flatten(2)
    ordered, pixels = _ordered(flat, inside)
    lowest, highest = ordered[..., :1], ordered.gather(2, (pixels - 1).clamp(min=0))
    ranks = torch.searchsorted(ordered, flat.contiguous(), right=True) / pixels.clamp(min=1)
    ranks = torch.where(flat == highest, 1.0, ranks.clamp(max=254 / 255))
    return torch.where((flat == lowest) | constant(lowest, highest), 0.0, ranks).float().view_as(maps)


def scaled(maps: Tensor, inside: Tensor | None = None) -> Tensor:
    """Each map of (N, K, H, W) to [0, 1] by its own extrema, those `inside` (N, H, W) if given; a map of one value
    becomes 0."""
    each = None if inside is None else inside.repeat_interleave(maps.shape[1], 0)
    return min_max(maps.flatten(0, 1)[:, None], fill=0.0, inside=each).view_as(maps)


def _ordered(flat: Tensor, inside: Tensor | None) -> tuple[Tensor, Tensor]:
    """Values (N, K, H W) in ascending order, those of the picture first, and how many these are, (N, K, 1)."""
    if inside is None:
        return flat.sort(2).values, torch.full_like(flat[..., :1], flat.shape[2], dtype=torch.int64)
    own = inside.flatten(1)[:, None]
    ordered = flat.masked_fill(~own, torch.inf).sort(2).values
    return ordered, own.sum(2, keepdim=True).expand(-1, flat.shape[1], -1)
