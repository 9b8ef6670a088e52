"""Batch statistics over all workers of a trial: torch.distributed where it is initialised, else this process."""

from __future__ import annotations

from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor


def all_reduce(values: Tensor, op: Literal["sum", "max"]) -> Tensor:
    """`values` (any shape) summed or maximised over workers; carries no gradient."""
    reduced = values.detach().clone()
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(reduced, op=dist.ReduceOp.SUM if op == "sum" else dist.ReduceOp.MAX)
    return reduced


def mean_over_known(values: Tensor, known: Tensor, share: float) -> Tensor:
    """Mean of per-image `values` (N,) over the images that are `known` (N,) bool on any worker; 0 if none is.

    `share` is this worker's part of the step's images, by which the engine weights its gradient; divided out here, so
    that every known image counts the same whichever worker has it.
    """
    count = all_reduce(known.sum(), "sum").clamp(min=1)
    return torch.where(known, values, 0.0).sum() / count / share
