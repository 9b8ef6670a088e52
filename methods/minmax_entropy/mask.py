"""From class maps to the mask of the discriminative region."""

from __future__ import annotations

import torch
from torch import Tensor

from methods.layers.maps import min_max, min_max_batch, resized_aligned
from methods.minmax_entropy._config import MapNormalization


def localization_map(logits: Tensor, maps: Tensor) -> Tensor:
    """``T = sum_k p_s(k) A(k)``: scores (N, c) and class maps (N, c, h, w) to (N, 1, h, w)."""
    return (logits.softmax(1)[:, :, None, None] * maps).sum(1, keepdim=True)


def full_resolution(
    coarse: Tensor,
    size: tuple[int, int],
    *,
    normalization: MapNormalization,
    sigma_prime: float,
    inside: Tensor | None = None,
) -> Tensor:
    """T at image resolution, (N, 1, h, w) to (N, 1, H, W), detached (App. A.2) and scaled to [0, 1].

    The paper names no scaling, but sigma' = 0.5 means something only with one; its code scales over the batch. A
    constant map becomes sigma', so that its mask is 0.5. With ``none`` the values are unbounded. Pixels that are not
    `inside` a picture, (N, H, W), have no part in the scaling.
    """
    fine = resized_aligned(coarse.detach(), size)
    if normalization == "sample":
        return min_max(fine, fill=sigma_prime, inside=inside)
    if normalization == "batch":
        return min_max_batch(fine, fill=sigma_prime, inside=inside)
    return fine


def mask(fine: Tensor, *, omega: float, sigma_prime: float) -> Tensor:
    """Eq. 9: ``R+ = 1 / (1 + exp(-omega (T - sigma')))``, elementwise, in (0, 1)."""
    return torch.sigmoid(omega * (fine - sigma_prime))
