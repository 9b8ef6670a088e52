"""IRNet's random walk: saliency spreads to cells that no boundary divides from it (Ahn et al., CVPR 2019, eq. 12)."""

from __future__ import annotations

import torch
from torch import Tensor

from methods.chexseg.irnet.pairs import pairs_within


def walk(maps: Tensor, boundary: Tensor, image: Tensor, *, radius: int, beta: float, steps: int) -> Tensor:
    """``(M (1 - B)) T ** steps``, T the elementwise power `beta` of the affinities, 1 with itself, each column over its
    sum.

    Args:
        maps: (M, h, w), at least 0, one of a class of an image.
        boundary: B (n, h, w) in [0, 1], one an image.
        image: (M,) which boundary is whose.
        radius: cells of a step are less than this apart; at least 2.

    Returns:
        (M, h, w). T has few entries a column, so that the steps are taken one by one: its powers would be full.
    """
    height, width = boundary.shape[1:]
    source, weight = transitions(boundary, radius, beta)
    weight = weight[image]  # (M, S, h w)
    state = (maps * (1 - boundary[image])).flatten(1)
    for _ in range(steps):
        state = (state[:, source] * weight).sum(1)
    return state.view(-1, height, width)


def transitions(boundary: Tensor, radius: int, beta: float) -> tuple[Tensor, Tensor]:
    """The S cells from which a step may reach each cell, itself among them: their indices (S, h w), and the columns of
    T (n, S, h w). A cell outside the grid has weight 0, and any index."""
    pairs = pairs_within(radius, boundary.device)
    height, width = boundary.shape[1:]
    y, x = torch.arange(height, device=boundary.device), torch.arange(width, device=boundary.device)
    down, right = (part[:, None, None] for part in pairs.offsets.unbind(1))
    row, column = y[None, :, None] + down, x[None, None, :] + right
    inside = ((row < height) & (column >= 0) & (column < width)).flatten(1)
    ahead = (row.clamp(max=height - 1) * width + column.clamp(0, width - 1)).flatten(1)
    row, column = y[None, :, None] - down, x[None, None, :] - right
    reached = ((row >= 0) & (column >= 0) & (column < width)).flatten(1)
    behind = (row.clamp(min=0) * width + column.clamp(0, width - 1)).flatten(1)

    affinity = pairs.affinity(boundary).clamp(min=0) ** beta  # of a cell and the one ahead
    forward = torch.where(inside, affinity, 0.0)
    backward = torch.where(reached, affinity.gather(2, behind.expand(len(affinity), -1, -1)), 0.0)
    itself = torch.arange(height * width, device=boundary.device)[None]
    weight = torch.cat((forward, backward, torch.ones_like(forward[:, :1])), 1)
    return torch.cat((ahead, behind, itself)), weight / weight.sum(1, keepdim=True)
