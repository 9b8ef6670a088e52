"""The losses of section 3, from logits; equation numbers are the paper's."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the image label (eq. 3 on X+, eq. 7 on X), ``-log p(y)``, of (N, c) and (N,) int64 as (N,)."""
    return F.cross_entropy(logits, labels, reduction="none")


def uniform_loss(logits: Tensor) -> Tensor:
    """Cross-entropy with the uniform distribution (eq. 5), ``-(1/c) sum_y log p(y)``, of (N, c) as (N,).

    Its minimum, log c, is at the uniform posterior, where the entropy of eq. 4 is highest.
    """
    return -F.log_softmax(logits, 1).mean(1)
