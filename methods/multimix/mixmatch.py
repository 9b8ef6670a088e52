"""What MixMatch (Berthelot et al., NeurIPS 2019) is made of: sharpened guesses, MixUp, and its two losses."""

from __future__ import annotations

import torch
from torch import Tensor


def sharpen(p: Tensor, temperature: float) -> Tensor:
    """``p^(1/T) / sum p^(1/T)`` of probabilities (N, K) (eq. 7)."""
    # the largest is divided out first, so that no power underflows to 0 / 0
    powers = (p / p.amax(1, keepdim=True)) ** (1 / temperature)
    return powers / powers.sum(1, keepdim=True)


def mix_up(values: Tensor, partners: Tensor, weight: Tensor) -> Tensor:
    """``l v + (1 - l) v'`` with ``l = max(weight, 1 - weight)`` (eq. 8 to 11): more of itself than of its partner.

    Args:
        values, partners: (N, ...) images or label distributions.
        weight: (N,) in [0, 1].
    """
    own = torch.maximum(weight, 1 - weight).view(-1, *[1] * (values.ndim - 1))
    return own * values + (1 - own) * partners


def mixed_label_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with label distributions (eq. 3): two (N, K) to (N,)."""
    return -(target * logits.log_softmax(1)).sum(1)


def consistency_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Squared distance of probabilities, mean over classes (eq. 4): two (N, K) to (N,)."""
    return (logits.softmax(1) - target).square().mean(1)


def ramp_up(epoch: int, ramp: int) -> float:
    """Share of the full weight after `epoch` epochs, in [0, 1]; 1 from `ramp` epochs on.

    >>> ramp_up(0, 4), ramp_up(1, 4), ramp_up(9, 4), ramp_up(0, 0)
    (0.0, 0.25, 1.0, 1.0)
    """
    return min(1.0, epoch / ramp) if ramp else 1.0
