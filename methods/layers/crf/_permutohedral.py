"""High-dimensional Gaussian filtering on the permutohedral lattice (Adams, Baek & Davis, Eurographics 2010)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from raysearch.errors import MethodError


class Lattice:
    """The lattice that n points occupy; built once, it filters any number of value vectors.

    Args:
        features: (n, d) float positions in units of the kernel's deviation.

    Raises:
        MethodError: widths far too small for the image: the points spread over more cells than 64-bit keys can name, or
            lie where their type no longer tells whole numbers apart.
    """

    def __init__(self, features: Tensor) -> None:
        vertices, self.weights = _simplices(features)
        n, corners, _ = vertices.shape
        # a margin of d + 1 on either side, so that blur neighbours have keys too
        low = vertices.amin((0, 1)) - corners
        spans = (vertices.amax((0, 1)) + corners - low + 1).tolist()
        if math.prod(spans) >= 2**62:
            raise _too_small()
        radix = torch.tensor([math.prod(spans[i + 1 :]) for i in range(len(spans))], device=features.device)
        keys, inverse = torch.unique(((vertices - low) * radix).sum(2), return_inverse=True)
        self.cells = inverse.view(n, corners)
        self.count = len(keys)
        # along axis j a neighbour differs by -1 everywhere and +d at j; the last axis is not stored
        steps = [-radix.sum() + corners * radix[j] for j in range(corners - 1)] + [-radix.sum()]
        self.neighbours = [(_find(keys, keys + step), _find(keys, keys - step)) for step in steps]

    def filter(self, values: Tensor) -> Tensor:
        """For (n,) values the sums weighted by ``exp(-|f_i - f_j|^2 / 2)``, approximately and up to one factor."""
        # the last cell stays 0: the neighbour of those that have none
        cells = values.new_zeros(self.count + 1)
        cells.index_add_(0, self.cells.flatten(), (self.weights * values[:, None]).flatten())
        for before, after in self.neighbours:
            blurred = cells[:-1] + 0.5 * (cells[before] + cells[after])
            cells = torch.cat((blurred, cells[-1:]))
        return (self.weights * cells[self.cells]).sum(1)


def _simplices(features: Tensor) -> tuple[Tensor, Tensor]:
    """For (n, d) points their simplex: (n, d + 1, d) int64 vertex coordinates (the last of d + 1 follows from the sum
    being 0) and (n, d + 1) barycentric weights, which sum to 1.

    Raises:
        MethodError: see `Lattice`.
    """
    n, d = features.shape
    device = features.device
    index = torch.arange(1, d + 1, device=device, dtype=features.dtype)
    # the blur below has variance 2 (d + 1)^2 / 3 a coordinate: this scale makes it a unit Gaussian
    scaled = features * ((d + 1) * math.sqrt(2 / 3)) / (index * (index + 1)).sqrt()
    total = scaled.flip(1).cumsum(1).flip(1)
    elevated = torch.cat((total, total.new_zeros(n, 1)), 1)
    elevated[:, 1:] -= index * scaled
    # beyond, ranks and remainders below are rounding alone; what is no number is refused too
    if not bool(elevated.abs().amax() < 2 / torch.finfo(elevated.dtype).eps):
        raise _too_small()
    nearest = (elevated / (d + 1)).round()
    excess = nearest.sum(1, keepdim=True).long()
    rest = nearest.long() * (d + 1)
    order = (elevated - rest).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(d + 1, device=device).expand(n, -1)) + excess
    # points whose rounded coordinates do not sum to 0 move to the neighbouring remainder-0 vertex
    wrap = (rank < 0).long() - (rank > d).long()
    rank = rank + wrap * (d + 1)
    rest = rest + wrap * (d + 1)
    offset = (elevated - rest) / (d + 1)
    by_rank = torch.empty_like(offset).scatter_(1, rank, offset)
    # by_rank falls from rank 0 to d; corner r weighs the drop between ranks d - r and d - r + 1
    weights = torch.empty_like(by_rank)
    weights[:, 1:] = (by_rank[:, :-1] - by_rank[:, 1:]).flip(1)
    weights[:, 0] = 1 + by_rank[:, d] - by_rank[:, 0]
    corner = torch.arange(d + 1, device=device)
    canonical = corner[:, None] - (d + 1) * (corner[None, :] > d - corner[:, None]).long()
    vertices = rest[:, None, :] + canonical[:, rank].transpose(0, 1)
    return vertices[:, :, :d], weights


def _too_small() -> MethodError:
    return MethodError("the CRF's widths are too small for this image: raise crf_theta_alpha or crf_theta_beta")


def _find(keys: Tensor, wanted: Tensor) -> Tensor:
    """Positions of `wanted` in the sorted `keys`, or ``len(keys)`` for those that are not there."""
    at = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return torch.where(keys[at] == wanted, at, len(keys))
