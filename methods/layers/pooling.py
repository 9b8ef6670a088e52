"""Class maps to class scores: the only difference between the members of the CAM family."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEAST_SHARPNESS = 1e-6
"""Of the log-sum-exp, which is 0 / 0 at 0."""


def average_pool(maps: Tensor) -> Tensor:
    """(N, K, h, w) to (N, K), the mean (CAM, Zhou et al., CVPR 2016)."""
    return maps.mean((2, 3))


def max_pool(maps: Tensor) -> Tensor:
    """(N, K, h, w) to (N, K), the maximum (Oquab et al., CVPR 2015)."""
    return maps.amax((2, 3))


def log_sum_exp_pool(maps: Tensor, r: float | Tensor) -> Tensor:
    """(N, K, h, w) to (N, K), ``log(mean(exp(r x))) / r`` (Pinheiro & Collobert, CVPR 2015); r, not below 0, is a
    number, or (K,). What is below 1e-6 counts as that: all such r give the mean."""
    cells = maps.flatten(2)
    sharpness = torch.as_tensor(r, dtype=maps.dtype, device=maps.device).clamp(min=_LEAST_SHARPNESS)
    # any number may be taken away first and added again; the maximum keeps all powers in (0, 1]
    top = cells.detach().amax(2)
    powers = sharpness[..., None] * (cells - top[..., None])
    # near 0 a logarithm is precise as log1p(mean expm1), far below as log(mean exp)
    below = torch.expm1(powers).mean(2)
    small = torch.log1p(below.clamp(min=-0.5))
    large = powers.exp().mean(2).log()
    return top + torch.where(below > -0.5, small, large) / sharpness


def cell_count(k: float, cells: int) -> int:
    """How many of `cells` the setting `k` means: an integer is a count, a fraction below 1 is rounded half to even,
    ``1.0`` is all, and more than there are is all.

    >>> cell_count(0.09, 64), cell_count(1, 64), cell_count(1.0, 64), cell_count(0, 64)
    (6, 1, 64, 0)
    """
    if k <= 0:
        return 0
    if k < 1 or (isinstance(k, float) and k == 1):
        return round(k * cells)
    return min(int(k), cells)


def wildcat_pool(
    maps: Tensor, *, kmax: float, kmin: float = 0.0, alpha: float = 0.0, dropout: float = 0.0, training: bool = False
) -> Tensor:
    """(N, K, h, w) to (N, K): mean of the highest cells, or with the lowest ``(top + alpha bottom) / 2``.

    WILDCAT (Durand et al., CVPR 2017, eq. 2); alpha = 0 is the mean of the highest cells, not its half (the released
    code halves it). At least one cell is taken at the top. `dropout` acts on the chosen cells while `training`.
    """
    cells = maps.flatten(2)
    top = _mean_of_extremes(cells, max(1, cell_count(kmax, cells.shape[2])), True, dropout, training)
    lowest = cell_count(kmin, cells.shape[2])
    if alpha == 0 or lowest == 0:
        return top
    return (top + alpha * _mean_of_extremes(cells, lowest, False, dropout, training)) / 2


def _mean_of_extremes(cells: Tensor, k: int, largest: bool, dropout: float, training: bool) -> Tensor:
    values = cells.topk(k, dim=2, largest=largest, sorted=False).values
    return F.dropout(values, dropout, training).mean(2)


class WildcatHead(nn.Module):
    """Features (N, F, h, w) to class scores (N, K) and class maps (N, K, h, w), means over modalities."""

    def __init__(
        self, features: int, classes: int, *, modalities: int, kmax: float, kmin: float, alpha: float, dropout: float
    ) -> None:
        super().__init__()
        self.modalities = modalities
        self.kmax = kmax
        self.kmin = kmin
        self.alpha = alpha
        self.dropout = dropout
        self.maps = nn.Conv2d(features, classes * modalities, kernel_size=1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.maps(features).unflatten(1, (-1, self.modalities)).mean(2)
        scores = wildcat_pool(
            maps, kmax=self.kmax, kmin=self.kmin, alpha=self.alpha, dropout=self.dropout, training=self.training
        )
        return scores, maps
