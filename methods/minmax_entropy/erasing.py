"""Recursive erasing with trust coefficients (section A.1, eq. 10-12, Algorithm 1) in its three readings.

========================== ======================= ======================= ============================
..                         default                 literal (Algorithm 1)   released (the authors' code)
========================== ======================= ======================= ============================
passes                     t = 0..u                t = 0..u                t = 0..u-1; u = 0 is plain
eq. 7 counts               t = 0 always, then      trusted samples         all samples, every pass
                           trusted samples
no trust at t = 0          R* = R+ of t = 0        R* = 0                  R* = 0
zero trust is for good     always                  always                  if the label was wrong
first erasing epoch        `erasing_start`         0                       `erasing_start`
========================== ======================= ======================= ============================

*Plain* is one pass with the mask as it is and no trust, also in the epochs before erasing starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.layers.workers import all_reduce
from methods.minmax_entropy._config import Erasing
from methods.minmax_entropy.losses import label_loss

Localize = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Images (N, C, H, W) to logits (N, c), with their graph, and the detached mask R+ (N, 1, H, W)."""


@dataclass(frozen=True, kw_only=True)
class Mined:
    """R* (N, 1, H, W) in [0, 1], the sum over passes of eq. 7 as it was given to `backward`, and their number."""

    mask: Tensor
    loss: Tensor
    passes: int


def trust(probability: Tensor, correct: Tensor, loss: Tensor, first_loss: Tensor, *, t: int, sigma: float) -> Tensor:
    """Psi (eq. 11, 12) of pass t: (N,) in [0, 1].

    Args:
        probability: (N,) p_s(y_i | X*), of the true class.
        correct: (N,) bool, whether the predicted class is the true one.
        loss: (N,) eq. 7 of this pass.
        first_loss: (N,) eq. 7 of the pass t = 0.
        t: depth of the recursion, from 0.
        sigma: decay, in passes.
    """
    return math.exp(-t / sigma) * torch.where(correct & (loss <= first_loss), probability, 0.0)


def accumulate(mined: Tensor, psi: Tensor, mask: Tensor) -> Tensor:
    """Eq. 10: ``R* = max(R*, Psi R+)``, with Psi (N,) and masks (N, 1, H, W)."""
    return torch.maximum(mined, psi[:, None, None, None] * mask)


def erase(images: Tensor, psi: Tensor, mined: Tensor) -> Tensor:
    """``X* = X* (1 - R*)`` for the trusted samples; the others stay as they are."""
    return torch.where((psi > 0)[:, None, None, None], images * (1 - mined), images)


def mine(
    localize: Localize,
    images: Tensor,
    labels: Tensor,
    *,
    reading: Erasing,
    u: int,
    sigma: float,
    start: int,
    epoch: int,
    backward: Callable[[Tensor], None],
) -> Mined:
    """Applies the localizer again and again to what it has not yet found.

    Each pass gives its share of eq. 7 to `backward` and keeps no graph, so that memory does not grow with u.

    Args:
        localize: the localizer.
        images: (N, C, H, W) network inputs.
        labels: (N,) int64.
        reading: column of the table above.
        u, sigma, start: settings `u`, `sigma` and `erasing_start`.
        epoch: epochs done before, from 0.
        backward: takes a scalar.
    """
    late = reading == "literal" or epoch >= start
    passes = (u if reading == "released" else u + 1) if late else 1
    if not late or passes == 0:
        logits, mask = localize(images)
        loss = label_loss(logits, labels).mean()
        backward(loss)
        return Mined(mask=mask, loss=loss.detach(), passes=1)
    return _recurse(localize, images, labels, reading=reading, passes=passes, sigma=sigma, backward=backward)


def _recurse(
    localize: Localize,
    images: Tensor,
    labels: Tensor,
    *,
    reading: Erasing,
    passes: int,
    sigma: float,
    backward: Callable[[Tensor], None],
) -> Mined:
    alive = torch.ones_like(labels, dtype=torch.bool)
    total = images.new_zeros(())
    first_loss, first_mask, untrusted = images.new_zeros(0), images.new_zeros(0), alive
    mined = images.new_zeros(0)
    t = 0
    while t < passes and bool(all_reduce(alive.any().float(), "max")):
        logits, mask = localize(images)
        losses = label_loss(logits, labels)
        detached = losses.detach()
        if t == 0:
            first_loss, first_mask, mined = detached, mask, torch.zeros_like(mask)
        correct = logits.argmax(1) == labels
        psi = trust((-detached).exp(), correct, detached, first_loss, t=t, sigma=sigma) * alive
        if t == 0:
            untrusted = psi == 0
        counted = torch.ones_like(alive) if reading == "released" or (reading == "default" and t == 0) else psi > 0
        share = torch.where(counted, losses, 0.0).mean()
        backward(share)
        total = total + share.detach()
        mined = accumulate(mined, psi, mask)
        images = erase(images, psi, mined)
        alive = alive & (correct if reading == "released" else psi > 0)
        t += 1
    if reading == "default":
        mined = torch.where(untrusted[:, None, None, None], first_mask, mined)
    return Mined(mask=mined, loss=total, passes=t)
