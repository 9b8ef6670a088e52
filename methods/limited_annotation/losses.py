"""The losses of section 3.2 on patch values z; equation numbers are the paper's.

All take per-class thresholds in the paper's units: tau and rho are shares of the patches inside and outside the region,
tau_hat and rho_hat counts of patches. Pairs are (image, class). Nothing here is a mean or a sum over pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor


def region_sums(z: Tensor, cells: Tensor, patches: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """S_in, S_out, |b| and |b_bar| of z (M, P, Q) and regions (M, P, Q) bool, each (M,) in the type of z.

    Args:
        patches: (M,) how many patches a picture has, P Q without; z is 0 and the region is not in the others.
    """
    inside = cells.to(z.dtype)
    size = inside.sum((1, 2))
    whole = cells[0].numel() if patches is None else patches
    return (z * inside).sum((1, 2)), (z * (1 - inside)).sum((1, 2)), size, whole - size


def annotated_loss(z: Tensor, cells: Tensor, tau: Tensor, rho: Tensor, patches: Tensor | None = None) -> Tensor:
    """Eq. 9 of M annotated pairs: ``relu(tau |b| - S_in) / |b| + relu(S_out - rho |b_bar|) / |b_bar|``.

    Args:
        z: (M, P, Q) patch values of the pair's class.
        cells: (M, P, Q) bool, the patches of its region, b.
        tau, rho: (M,) shares in [0, 1].
        patches: as in `region_sums`.

    Returns:
        (M,), not negative. The term of an empty b, or of an empty complement, is 0 (the paper's 0 / 0).
    """
    if not len(z):
        return z.new_zeros(0)
    inside, outside, size, rest = region_sums(z, cells, patches)
    few = torch.relu(tau * size - inside) / size.clamp(min=1)
    many = torch.relu(outside - rho * rest) / rest.clamp(min=1)
    # without patches the sums are 0, and so is the excess of either
    return few + many


def unannotated_loss(z: Tensor, labels: Tensor, tau_hat: Tensor, rho_hat: Tensor, gamma: Tensor) -> Tensor:
    """Eq. 11: ``y relu(tau_hat - S) + gamma (1 - y) relu(S - rho_hat)``; eq. 10 if gamma is 1.

    Args:
        z: (N, K, P, Q) patch values.
        labels: (N, K) 1 present, 0 absent, anything else unknown.
        tau_hat, rho_hat: (K,) counts of patches, or (N, K) where pictures have patches of the grid in different number.
        gamma: (K,) weights of absent classes.

    Returns:
        (N, K), not negative; 0 where the label is unknown.
    """
    total = z.sum((2, 3))
    few, many = torch.relu(tau_hat - total), gamma * torch.relu(total - rho_hat)
    return torch.where(labels == 1, few, torch.where(labels == 0, many, 0.0))


def annotated_loss_sigmoid(z: Tensor, cells: Tensor, tau: Tensor, rho: Tensor, patches: Tensor | None = None) -> Tensor:
    """Eq. 5, arguments as `annotated_loss`: ``-sigma(S_in - tau |b|) sigma(rho |b_bar| - S_out)``, (M,) in (-1, 0)."""
    if not len(z):
        return z.new_zeros(0)
    inside, outside, size, rest = region_sums(z, cells, patches)
    return -torch.sigmoid(inside - tau * size) * torch.sigmoid(rho * rest - outside)


def unannotated_loss_sigmoid(z: Tensor, labels: Tensor, tau_hat: Tensor, rho_hat: Tensor) -> Tensor:
    """Eq. 8, arguments as `unannotated_loss`: ``-y sigma(S - tau_hat) - (1 - y) sigma(rho_hat - S)``, (N, K) in
    [-1, 0]; 0 where the label is unknown. The paper gives this form no gamma."""
    total = z.sum((2, 3))
    few, many = -torch.sigmoid(total - tau_hat), -torch.sigmoid(rho_hat - total)
    return torch.where(labels == 1, few, torch.where(labels == 0, many, 0.0))
