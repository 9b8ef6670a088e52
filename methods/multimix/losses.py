"""The losses of sections 2.1 and 2.2; none is a mean over images. Equation numbers are the paper's."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.layers.inside import own_mean


def pseudo_label_loss(weak: Tensor, strong: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """L_u of eq. 1: cross-entropy of the strongly augmented image where the weakly augmented one is sure of its class.

    Args:
        weak, strong: (N, K) logits of the two views of N images; `weak` gets no gradient.
        t: (K,) confidence that a prediction of each class needs, that one included.

    Returns:
        (N,) losses, 0 where the prediction is not sure enough, and (N,) bool where it is. The mean of the losses is
        over all N, as in the released code: unsure images weaken the gradient, they do not make the others heavier.
    """
    confidence, label = weak.detach().softmax(1).max(1)
    sure = confidence >= t[label]
    return torch.where(sure, F.cross_entropy(strong, label, reduction="none"), 0.0), sure


def dice_loss(logits: Tensor, target: Tensor, inside: Tensor | None = None) -> Tensor:
    """``1 - (2 sum(s g) + 1) / (sum(s) + sum(g) + 1)`` of s = sigmoid(logits), as in the released code.

    Args:
        logits, target: (N, S, H, W), target in {0, 1}.
        inside: (N, H, W) bool, the pixels that the sums are over; None for all.

    Returns:
        (N, S) in [0, 1); 0 for an empty target that is predicted empty.
    """
    s = logits.sigmoid()
    if inside is not None:
        s, target = s * inside[:, None], target * inside[:, None]
    overlap, total = (s * target).sum((2, 3)), s.sum((2, 3)) + target.sum((2, 3))
    return 1 - (2 * overlap + 1) / (total + 1)


def bernoulli_divergence(one: Tensor, other: Tensor, inside: Tensor | None = None) -> Tensor:
    """KL divergence of foreground probabilities, the consistency of eq. 2, with a gradient to both sides.

    Args:
        one, other: (N, S, H, W) logits of N pairs of images.
        inside: (N, H, W) bool, the pixels that both pictures have; None for all.

    Returns:
        (N,) in nats, not negative, the mean over classes and these pixels.
    """
    p = one.sigmoid()
    foreground = p * (F.logsigmoid(one) - F.logsigmoid(other))
    background = (1 - p) * (F.logsigmoid(-one) - F.logsigmoid(-other))
    return own_mean(foreground + background, inside)


def channel_divergence(one: Tensor, other: Tensor, inside: Tensor | None = None) -> Tensor:
    """As `bernoulli_divergence`, of a softmax over the channel axis, as in the released code: with one channel every
    probability is 1, and divergence and gradient are 0."""
    p, q = one.log_softmax(1), other.log_softmax(1)
    return own_mean((p.exp() * (p - q)).sum(1, keepdim=True), inside)
