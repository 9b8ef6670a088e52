"""The losses of section 3, from logits; equation numbers are the paper's."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def conditional_entropy(logits: Tensor) -> Tensor:
    """Entropy of the posterior (eq. 2, 4), ``-sum_y p log p``, of (N, c) logits as (N,), in nats: 0 to log c."""
    log_p = F.log_softmax(logits, 1)
    return -(log_p.exp() * log_p).sum(1)


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the image label (eq. 3 on X+, eq. 7 on X), ``-log p(y)``, of (N, c) and (N,) int64 as (N,)."""
    return F.cross_entropy(logits, labels, reduction="none")


def uniform_loss(logits: Tensor) -> Tensor:
    """Cross-entropy with the uniform distribution (eq. 5), ``-(1/c) sum_y log p(y)``, of (N, c) as (N,).

    Its minimum, log c, is at the uniform posterior, where the entropy of eq. 4 is highest.
    """
    return -F.log_softmax(logits, 1).mean(1)


def classifier_loss(positive: Tensor, negative: Tensor, labels: Tensor) -> Tensor:
    """Eq. 6: certain of the label on X+, undecided on X-; (N, c) logits of both and (N,) labels to (N,)."""
    return label_loss(positive, labels) + uniform_loss(negative)


def total_loss(positive: Tensor, negative: Tensor, localizer: Tensor, labels: Tensor) -> Tensor:
    """Eq. 8: eq. 6 and the localizer's own classification (eq. 7); (N, c) logits and (N,) labels to (N,)."""
    return classifier_loss(positive, negative, labels) + label_loss(localizer, labels)
