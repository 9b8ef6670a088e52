"""A network of a few weights that learns from four streams at once: labels, two views, masks, and nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raysearch.method import Augmentation, Batch, Pool, PseudoRegions, Stage, Step, Stream
from training.tiny import SIZE, Tiny, TinyConfig, tiny_method

FLIP = Augmentation(horizontal_flip=True, shift=0.2)
MADE = 12
"""The row whose region is made up; its own is hidden."""


def _labelled(pool: Pool, generator: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    return generator.permutation(pool.rows[pool.labelled])


def _others(pool: Pool, generator: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    return generator.permutation(pool.rows[~pool.labelled])


def _annotated(pool: Pool, generator: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    return generator.permutation(np.append(pool.rows[pool.annotated], MADE))


def _none(pool: Pool, generator: np.random.Generator) -> np.ndarray[Any, np.dtype[np.int64]]:
    del generator
    return pool.rows[:0]


class Streamed(Tiny):
    """The first stage learns from the labelled images alone, the second from all streams."""

    supervision: ClassVar[Literal["image", "region", "pixel", "none"]] = "pixel"

    def build(self) -> nn.Module:
        body = nn.Sequential(nn.Conv2d(self.task.channels, 4, 3, padding=1), nn.GroupNorm(2, 4))
        return nn.ModuleDict({"body": body, "head": nn.Linear(4, len(self.task.classes))})

    def stages(self, epochs: int) -> Sequence[Stage]:
        def optimizer(model: nn.Module) -> torch.optim.Optimizer:
            return torch.optim.SGD(model.parameters(), lr=self.config.lr)

        labelled = Stream(name="labelled", draw=_labelled, batch=4, augmentation=FLIP)
        streams = (
            labelled,
            Stream(name="others", draw=_others, batch=3, augmentation=FLIP, strong=Augmentation(operations=2)),
            Stream(name="masked", draw=_annotated, batch=1, augmentation=FLIP),
            Stream(name="none", draw=_none, batch=4, strong=FLIP),
        )
        return [
            Stage(name="labelled", epochs=epochs - 1, optimizer=optimizer, streams=(labelled,)),
            Stage(name="all", epochs=1, optimizer=optimizer, streams=streams),
        ]

    def pseudo_regions(self) -> PseudoRegions:
        mask = np.zeros((1, SIZE * SIZE), np.uint8)
        mask[:, :20] = 1
        return PseudoRegions(
            rows=np.array([MADE]), truth=np.array([[1, 0, -1]], np.int8), packed=np.packbits(mask, axis=1)
        )

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        losses = {"labels": F.cross_entropy(self._logits(model, batch.images), batch.labels)}
        for name, part in batch.beside.items():
            mean = self._each(model, part).sum() / max(1, len(part.images))
            losses[name] = mean * part.share / batch.share
        total = torch.stack(list(losses.values())).sum()
        step.backward(total)
        return {"loss": total, **losses}

    def _each(self, model: nn.Module, part: Batch) -> Tensor:
        """(N,) how far the two views of each image are apart, or its map from its mask."""
        if part.strong is not None:
            difference = self._logits(model, part.images) - self._logits(model, part.strong)
            return difference.square().mean(1)
        assert part.masks is not None
        assert part.truth is not None
        target = torch.zeros(len(part.images), *part.images.shape[2:])
        target[(part.truth == 1).nonzero()[:, 0]] = part.masks
        maps = model["body"](part.images).mean(1)  # type: ignore[index]
        return F.binary_cross_entropy_with_logits(maps, target, reduction="none").mean((1, 2))


def streamed_method(**config: object) -> Streamed:
    return Streamed(TinyConfig(**config), tiny_method().task)  # type: ignore[arg-type]
