"""What a worker of a trial does, alone or in a process group (``python -m training.two_workers FOLDER RANK``)."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.optim.optimizer import register_optimizer_step_pre_hook

from raysearch.training import Collective, NonFiniteLossError, ProcessGroup, Trainer, broadcast
from training.streamed import streamed_method
from training.tiny import tiny_assignment, tiny_method

THRESHOLDS = {"mask_threshold": 0.5}


def train(collective: Collective) -> dict[str, Any]:
    """Losses of each epoch, the weights and what an evaluation finds."""
    trainer = Trainer(tiny_method(), tiny_assignment(epochs=2), number=3, collective=collective)
    losses = [trainer.train_epoch() for _ in range(2)]
    found = trainer.evaluate(THRESHOLDS)
    counts = found.observations.counts
    diverging = Trainer(tiny_method(wish="diverge"), tiny_assignment(epochs=2), number=3, collective=collective)
    diverging.train_epoch()
    try:
        diverging.train_epoch()
        refusal = "none"
    except NonFiniteLossError as error:
        refusal = str(error)
    return {
        "losses": [{name: value for name, value in one.items() if name != "train_seconds"} for one in losses],
        "weights": trainer.model.state_dict(),
        "value": found.score.value,
        "metrics": found.score.metrics,
        "thresholds": found.score.thresholds,
        "rows": torch.from_numpy(found.observations.logits.image),
        "foreground": torch.from_numpy(counts.foreground.astype("int64")),
        "scores": torch.from_numpy(found.observations.logits.scores),
        "refusal": refusal,
        "word": broadcast(f"from rank {collective.rank}", collective),
    }


def train_streams(collective: Collective) -> dict[str, Any]:
    """Losses of each epoch and the gradient of each step, of a training with several streams."""
    rows = tiny_assignment().train
    assignment = replace(tiny_assignment(epochs=2), labelled=rows[:8], annotated=rows[:6])
    trainer = Trainer(streamed_method(), assignment, number=3, collective=collective)
    gradients: list[torch.Tensor] = []

    def note(*_: Any) -> None:
        gradients.append(torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None]))

    with register_optimizer_step_pre_hook(note):
        losses = [trainer.train_epoch() for _ in range(2)]
    return {
        "losses": [{name: value for name, value in one.items() if name != "train_seconds"} for one in losses],
        "gradients": gradients,
    }


def main(folder: str, rank: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    collective = ProcessGroup()
    torch.save({**train(collective), "streams": train_streams(collective)}, Path(folder, f"{rank}.pt"))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
