"""What the workers of one trial do together. One worker needs none of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import nn


class Collective(Protocol):
    rank: int
    size: int

    def average_gradients(self, parameters: Iterable[nn.Parameter], weight: float) -> None:
        """Replaces each gradient by the mean over workers, weighted by `weight` (a worker's share of the batch)."""

    def average_buffers(self, model: nn.Module) -> None:
        """Replaces floating-point buffers (running statistics) by their mean over workers."""

    def gather(self, value: Any) -> list[Any]:
        """One picklable value a worker, in rank order, on every worker."""


class Alone:
    """A trial of one worker."""

    rank = 0
    size = 1

    def average_gradients(self, parameters: Iterable[nn.Parameter], weight: float) -> None:
        del parameters, weight

    def average_buffers(self, model: nn.Module) -> None:
        del model

    def gather(self, value: Any) -> list[Any]:
        return [value]


class ProcessGroup:
    """A trial of several workers, over the process group that Ray Train set up (gloo on CPUs, NCCL on GPUs).

    Gradients are summed once a step, flattened, after the method has called ``backward`` as often as it likes: methods
    that accumulate over several passes, or freeze parts of the network, need no special care, which
    DistributedDataParallel's hooks would ask of them.
    """

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def average_gradients(self, parameters: Iterable[nn.Parameter], weight: float) -> None:
        trained = [p for p in parameters if p.requires_grad]
        parts = [(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in trained]
        reached = torch.tensor([float(p.grad is not None) for p in trained], device=parts[0].device)
        flat = torch.cat([*parts, reached / weight]) * weight
        dist.all_reduce(flat)
        start = 0
        for p, workers in zip(trained, flat[-len(trained) :].tolist(), strict=True):
            # what no worker's loss has reached keeps no gradient: a zero would have its weight decayed
            p.grad = flat[start : start + p.numel()].view_as(p) if workers else None
            start += p.numel()

    def average_buffers(self, model: nn.Module) -> None:
        for buffer in model.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= self.size

    def gather(self, value: Any) -> list[Any]:
        out: list[Any] = [None] * self.size
        dist.all_gather_object(out, value)
        return out


def broadcast(value: Any, collective: Collective) -> Any:
    """Rank 0's picklable value on every worker."""
    if collective.size == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]
