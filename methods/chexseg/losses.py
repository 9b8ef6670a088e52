"""The loss of the segmentation network."""

from __future__ import annotations

import torch
from torch import Tensor

from methods.layers.workers import total


def class_average_dice(logits: Tensor, targets: Tensor, known: Tensor, inside: Tensor | None = None) -> Tensor:
    """Class-average Dice loss (section 3.3.2): ``1 - mean_c (2 sum p g + 1) / (sum p + sum g + 1)``, p the sigmoid; the
    sums run over the pixels of all images of the batch, on all workers.

    Args:
        logits, targets: (N, K, H, W), targets in {0, 1}; N may be 0.
        known: (N, K) bool; the other pairs enter no sum.
        inside: (N, H, W) bool, the pixels that do; None for all.

    Returns:
        A scalar in [0, 1), the same on every worker; its gradient is that of this worker's images. A class without a
        known pair adds 0.
    """
    there = (known[:, :, None, None] if inside is None else known[:, :, None, None] & inside[:, None]).to(logits.dtype)
    p, g = logits.sigmoid() * there, targets * there
    overlap, size = total(torch.stack(((p * g).sum((0, 2, 3)), (p + g).sum((0, 2, 3))))).unbind()
    dice = (2 * overlap + 1) / (size + 1)
    return 1.0 - dice.mean()
