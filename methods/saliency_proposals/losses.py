"""The losses of section 3.2, from logits; equation numbers are the paper's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Counted = Literal["images", "occurrences"]


def positive_shares(odds: Sequence[float], counted: Counted) -> tuple[float, ...]:
    """P_k / |D|, the weight of absent labels, of each class; in [0, 1].

    Args:
        odds: images where the class is present over images where it is absent, as `Task.positives`; their share of the
            labelled images is odds / (1 + odds), which is 1 at infinity.
        counted: what |D| counts. ``images``: as the paper says. ``occurrences``: labels, "no finding" among them, as
            the released code does; how many images have none is not known here and taken to be what independent
            classes would leave, so that |D| is ``sum_k p_k + prod_k (1 - p_k)`` images.
    """
    shares = [1 - 1 / (1 + each) for each in odds]
    if counted == "images":
        return tuple(shares)
    total = sum(shares) + math.prod(1 - share for share in shares)
    return tuple(share / total for share in shares)


def balanced_loss(logits: Tensor, labels: Tensor, shares: Tensor) -> Tensor:
    """Eq. 1 and 2, ``-(1 - p) y log s - p (1 - y) log(1 - s)`` with s = sigmoid(logit), the mean over all pairs.

    Args:
        logits: (N, K).
        labels: (N, K) 1 present, 0 absent, anything else unknown.
        shares: (K,) p = P_k / |D|.

    Returns:
        A scalar; pairs of unknown label add nothing, but count in the mean.
    """
    present, absent = (shares - 1) * F.logsigmoid(logits), -shares * F.logsigmoid(-logits)
    return torch.where(labels == 1, present, torch.where(labels == 0, absent, 0.0)).mean()
