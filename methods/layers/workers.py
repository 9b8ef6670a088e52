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


def total(values: Tensor) -> Tensor:
    """`values` (any shape) summed over workers; the gradient is that of this worker's own part."""
    return values + (all_reduce(values, "sum") - values.detach())


def of_all_workers(loss: Tensor, share: float) -> Tensor:
    """The same scalar, for a loss that every worker has made of `total` values: the engine weights its gradient by
    `share`, which is divided out here, so that the workers' parts add up to the gradient of the loss."""
    return loss.detach() + (loss - loss.detach()) / share


def rows_of_all(values: Tensor) -> tuple[Tensor, int]:
    """`values` (n, ...) of all workers one after the other, and the row at which this worker's begin; n may differ from
    worker to worker. Carries no gradient."""
    if not (dist.is_available() and dist.is_initialized()):
        return values.detach(), 0
    counts = torch.zeros(dist.get_world_size(), dtype=torch.int64, device=values.device)
    counts[dist.get_rank()] = len(values)
    sizes = all_reduce(counts, "sum").tolist()
    start = sum(sizes[: dist.get_rank()])
    gathered = values.new_zeros(sum(sizes), *values.shape[1:])
    gathered[start : start + len(values)] = values.detach()
    return all_reduce(gathered, "sum"), start
