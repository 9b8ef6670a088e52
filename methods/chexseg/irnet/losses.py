"""The losses of IRNet (appendix B.1, eq. 3 to 7); sums over pairs run over all workers before they are divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from methods.chexseg.irnet.pairs import Pairs
from methods.layers.workers import total

EPSILON = 1e-5
"""Inside the logarithms, as in the released code."""


@dataclass(frozen=True, kw_only=True)
class PairSets:
    """How often each pair of cells is in a set, counted over the seeds of an image's classes: (N, O, h w) each.

    Attributes:
        foreground, background: both cells are seeds of it (P+).
        different: one is foreground, the other background (P-).
    """

    foreground: Tensor
    background: Tensor
    different: Tensor


@torch.no_grad()
def pair_sets(pairs: Pairs, seeds: Tensor, image: Tensor, count: int) -> PairSets:
    """Of seeds (M, h, w) in {1 foreground, 0 background, -1 neither}, each of one class of the image (M,) that it
    names; `count` is N. Each class is taken by itself: an image may have several at one place."""
    near, far = seeds.flatten(1)[:, None], pairs.far(seeds, -1.0)
    both = (near >= 0) & (far >= 0)
    shape = (count, *far.shape[1:])

    def per_image(chosen: Tensor) -> Tensor:
        return seeds.new_zeros(shape).index_add(0, image, chosen.to(seeds.dtype))

    same = both & (near == far)
    return PairSets(
        foreground=per_image(same & (near == 1)),
        background=per_image(same & (near == 0)),
        different=per_image(both & (near != far)),
    )


def displacement_losses(
    pairs: Pairs,
    displacement: Tensor,
    sets: PairSets,
    *,
    sign: Literal["released", "paper"],
    reduction: Literal["mean", "sum"],
) -> tuple[Tensor, Tensor]:
    """Eq. 3 and 4: mean over the pairs of ``|(x_j - x_i) - delta|`` in the foreground and of ``|delta|`` in the
    background, |.| summed or averaged over the two coordinates; 0 for an empty set.

    Args:
        displacement: D (N, 2, h, w), (y, x) in cells.
        sign: delta is ``D(x_i) - D(x_j)``, or as the text has it ``D(x_j) - D(x_i)``.
    """
    near = displacement.flatten(2)[:, :, None]
    delta = near - pairs.far(displacement.flatten(0, 1), 0.0).view(*near.shape[:2], -1, near.shape[3])
    if sign == "paper":
        delta = -delta
    target = pairs.offsets.to(delta).T[None, :, :, None]
    scale = 0.5 if reduction == "mean" else 1.0
    foreground = scale * (target - delta).abs().sum(1)
    background = scale * delta.abs().sum(1)
    return pair_mean(foreground, sets.foreground), pair_mean(background, sets.background)


def boundary_loss(pairs: Pairs, boundary: Tensor, sets: PairSets) -> Tensor:
    """Eq. 6 of B (N, h, w) in [0, 1]: the cross-entropy of affinities, half of each mean over pairs alike and the mean
    over pairs that differ; 0 for an empty set."""
    affinity = pairs.affinity(boundary)
    alike, apart = -(affinity + EPSILON).log(), -(1 - affinity + EPSILON).log()
    same = (pair_mean(alike, sets.foreground) + pair_mean(alike, sets.background)) / 2
    return same + pair_mean(apart, sets.different)


def pair_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of values (N, O, h w) over the pairs of all workers, counted by `weights`; 0 if there is none."""
    # a pair that does not count may be outside the grid, and its value anything
    found = total(torch.stack((torch.where(weights > 0, values * weights, 0.0).sum(), weights.sum())))
    return found[0] / found[1].clamp(min=1)
