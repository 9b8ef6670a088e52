"""The losses of Li et al. as the limited-annotation paper gives them (section 3.1), from logits, in log space."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def log_probabilities(logits: Tensor, rescale_min: float | None) -> tuple[Tensor, Tensor]:
    """log p and log(1 - p) of each patch, p the sigmoid of `logits`, of any shape.

    With `rescale_min` m both p and 1 - p are first mapped from [0, 1] to [m, 1], as Li et al. do against underflow;
    they then do not add up to 1.
    """
    if rescale_min is None:
        return F.logsigmoid(logits), F.logsigmoid(-logits)
    span = 1 - rescale_min
    return torch.log1p(-span * torch.sigmoid(-logits)), torch.log1p(-span * torch.sigmoid(logits))


def log_presence(log_absent: Tensor) -> tuple[Tensor, Tensor]:
    """log q and log(1 - q) of eq. 2, ``q = 1 - prod_j (1 - p_j)``, of log(1 - p) (..., P, Q), each (...)."""
    log_none = log_absent.sum((-2, -1))
    # 1 - exp(x) from the side on which it loses no digits; a sum that rounds to 0 stands for the least that does not,
    # with some room: libraries may switch off numbers near the smallest one
    x = log_none.clamp(max=-1024 * torch.finfo(log_none.dtype).tiny)
    near = x > -math.log(2)
    log_some = torch.where(
        near,
        torch.log(-torch.expm1(torch.where(near, x, -1.0))),
        torch.log1p(-torch.exp(torch.where(near, -1.0, x))),
    )
    return log_some, log_none


def annotated_loss(log_present: Tensor, log_absent: Tensor, cells: Tensor) -> Tensor:
    """``-log p(y = 1 | x, b)`` (eq. 1) of M annotated pairs: patches inside the region are present, the others absent.

    Args:
        log_present, log_absent: (M, P, Q) log p and log(1 - p) of the pair's class.
        cells: (M, P, Q) bool, the patches of its region, b.

    Returns:
        (M,), not negative.
    """
    return -torch.where(cells, log_present, log_absent).sum((1, 2))


def unannotated_loss(log_absent: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of q (eq. 2) with image labels: (N, K, P, Q) log(1 - p) and (N, K) labels to (N, K).

    Labels are 1 present, 0 absent, anything else unknown, where the loss is 0.
    """
    log_some, log_none = log_presence(log_absent)
    return torch.where(labels == 1, -log_some, torch.where(labels == 0, -log_none, 0.0))
