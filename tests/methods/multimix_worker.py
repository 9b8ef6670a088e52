"""A training step of one of two workers, or of one alone (``python multimix_worker.py FOLDER RANK``)."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from methods.multimix import EncMm, MultiMix, MultiMixUNet
from methods.multimix._base import MultiMixFamily
from raysearch.method import Batch, Step
from raysearch.testing import synthetic_batch, synthetic_task
from raysearch.training import ProcessGroup

METHODS: tuple[tuple[type[MultiMixFamily], dict[str, Any]], ...] = (
    (MultiMixUNet, {}),
    (EncMm, {"ramp": 0, "lambda_u": 5.0}),
    (MultiMix, {"t": 0.5}),
)


def gradients(rank: int = 0, workers: int = 1) -> dict[str, dict[str, Tensor]]:
    """By method the gradient of one step on the same images, dropout off, and its losses."""
    found: dict[str, dict[str, Tensor]] = {}
    for kind, settings in METHODS:
        method = kind(kind.Config(width=2, dropout=0.0, **settings), synthetic_task(kind))
        torch.manual_seed(0)
        model = method.build().double().train()
        (stage,) = method.stages(1)
        whole = synthetic_batch(kind, method.task, count=7, stage=stage)
        batch = dataclasses.replace(
            part_of(whole, rank, workers),
            beside={name: part_of(other, rank, workers) for name, other in whole.beside.items()},
        )
        step = Step(
            epoch=0, stage="train", generator=torch.Generator().manual_seed(1), backward=lambda loss: loss.backward()
        )
        losses = {name: value * batch.share for name, value in method.training_step(model, batch, step).items()}
        if workers > 1:
            ProcessGroup().average_gradients(model.parameters(), batch.share)
            for value in losses.values():
                dist.all_reduce(value)
        named = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        found[kind.name] = {**named, **losses}
    return found


def part_of(batch: Batch, rank: int, workers: int) -> Batch:
    """A worker's images of a batch, in double precision."""
    rows = torch.arange(len(batch.images)).tensor_split(workers)[rank]
    masks = None
    if batch.masks is not None and batch.truth is not None:
        owner = (batch.truth == 1).nonzero()[:, 0]
        masks = batch.masks[torch.isin(owner, rows)].double()
    return dataclasses.replace(
        batch,
        images=batch.images[rows].double(),
        labels=batch.labels[rows],
        index=batch.index[rows],
        masks=masks,
        truth=None if batch.truth is None else batch.truth[rows],
        strong=None if batch.strong is None else batch.strong[rows].double(),
        share=len(rows) / len(batch.images),
    )


def main(folder: str, rank: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save(gradients(rank, 2), Path(folder, f"{rank}.pt"))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
