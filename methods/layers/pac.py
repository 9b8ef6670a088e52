"""Mean field on a grid of patches with pixel-adaptive pairwise terms (Su et al., CVPR 2019).

The message that patch i has for label k is ``m_i(k) = sum_k' sum_d G_{i,i+d} W[k, k', d] Q_{i+d}(k')``, over the
offsets d of a window centred on i; what lies outside the grid counts as zero. G = exp(-|f_i - f_j|^2 / 2) compares
learned features and W, the compatibility, is learned for each offset.

G W does not change from step to step. It is made as one matrix between all patches, for a few images at a time, and
made again in the backward pass: an unfolded implementation keeps each step's values of all images at all offsets.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

ROOM = 2**22
"""Numbers in the matrices of the images that are computed at a time, unless one image has more."""


def gaussian_kernel(features: Tensor, sends: Tensor | None = None) -> Tensor:
    """``G = exp(-|f_i - f_j|^2 / 2)`` between all J patches: (N, J, F) to (N, J, J) in (0, 1]; 0 for a j that does not
    send, of (N, J) bool."""
    square = features.square().sum(2)
    products = features @ features.transpose(1, 2)
    # rounding may leave a square below 0
    kernel = torch.exp(-0.5 * (square[:, :, None] + square[:, None, :] - 2 * products).clamp(min=0))
    return kernel if sends is None else kernel * sends[:, None]


def between_patches(weights: Tensor, grid: tuple[int, int]) -> Tensor:
    """Weights by offset (..., window, window) as weights between patches (..., J, J), 0 outside the window.

    The offset is that of the second patch, which sends, from the first, which hears; rows of patches come first.
    """
    height, width = grid
    radius = weights.shape[-1] // 2
    down, across = height - 1 - radius, width - 1 - radius
    # all offsets between two patches, (2 P - 1, 2 Q - 1); a window that is larger loses its border
    table = F.pad(weights, (across, across, down, down))
    views = table.unfold(-2, height, 1).unfold(-2, width, 1).flip(-4, -3)
    return views.flatten(-4, -3).flatten(-2, -1)


def binary_mean_field(
    logits: Tensor,
    features: Tensor,
    weights: Tensor,
    unary_weight: Tensor,
    steps: int,
    sends: Tensor | None = None,
) -> Tensor:
    """A CRF with the labels absent and present for each class, unaries log(1 - p) and log p.

    As Q(absent) = 1 - Q(present), the logit of Q(present) hears ``(G V) Q(present) + (G v) 1``, with
    ``v = W[1, 0] - W[0, 0]`` and ``V = W[1, 1] - W[0, 1] - v``: a quarter of the matrix of two labels.

    Args:
        logits: (N, K, P, Q) of p, the unary probability of present.
        features: (N, F, P, Q).
        weights: W (K, 2, 2, window, window), label 1 is present; the window is odd.
        unary_weight: scalar.
        steps: of mean field, from Q = p.
        sends: (N, P, Q) bool, patches that others hear from; None for all.

    Returns:
        (N, K, P, Q) logits of Q(present).
    """
    alone = weights[:, 1, 0] - weights[:, 0, 0]
    pair = weights[:, 1, 1] - weights[:, 0, 1] - alone
    pair, alone = (between_patches(part, (logits.shape[2], logits.shape[3])) for part in (pair, alone))

    def infer(unary: Tensor, features: Tensor, sends: Tensor | None) -> Tensor:
        kernel = gaussian_kernel(features, sends)
        absent = torch.einsum("nij,kij->nki", kernel, alone)
        matrix = kernel[:, None] * pair
        found = unary
        for _ in range(steps):
            # a product of a matrix and one vector: its gradient, an outer product, is slow as a matrix product
            heard = (matrix * found.sigmoid().unsqueeze(2)).sum(3)
            found = unary_weight * unary - heard - absent
        return found

    return _few_at_a_time(infer, logits, features, sends, pair[:, 0].numel() * pair.shape[1])


def softmax_mean_field(
    unary: Tensor,
    features: Tensor,
    weights: Tensor,
    unary_weight: Tensor,
    steps: int,
    sends: Tensor | None = None,
) -> Tensor:
    """A CRF with L labels a patch.

    Args:
        unary: (N, L, P, Q).
        features: (N, F, P, Q).
        weights: W (L, L, window, window); the window is odd.
        unary_weight: scalar.
        steps: of mean field, from log Q = `unary`.
        sends: (N, P, Q) bool, patches that others hear from; None for all.

    Returns:
        (N, L, P, Q) log Q, not normalised.
    """
    labels = unary.shape[1]
    pair = between_patches(weights, (unary.shape[2], unary.shape[3])).transpose(1, 2)

    def infer(unary: Tensor, features: Tensor, sends: Tensor | None) -> Tensor:
        matrix = (gaussian_kernel(features, sends)[:, None, :, None] * pair).flatten(3, 4).flatten(1, 2)
        found = unary
        for _ in range(steps):
            heard = matrix @ found.softmax(1).flatten(1).unsqueeze(2)
            found = unary_weight * unary - heard.view_as(unary)
        return found

    return _few_at_a_time(infer, unary, features, sends, labels * labels * pair.shape[1] * pair.shape[3])


def _few_at_a_time(
    infer: Callable[[Tensor, Tensor, Tensor | None], Tensor],
    unary: Tensor,
    features: Tensor,
    sends: Tensor | None,
    numbers: int,
) -> Tensor:
    """`infer` on images whose matrices, of so many `numbers` each, fit in `ROOM`; patches in one axis."""
    count = max(1, ROOM // numbers)
    unaries = torch.split(unary.flatten(2), count)
    parts = zip(
        unaries,
        torch.split(features.flatten(2).transpose(1, 2), count),
        [None] * len(unaries) if sends is None else torch.split(sends.flatten(1), count),
        strict=True,
    )
    found = [checkpoint(infer, *part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    return torch.cat(found).view_as(unary)
