"""A method with nothing to train: what a trial of it costs is what the engine costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from raysearch.method import Batch, Method, Prediction, Stage, Step


@dataclass(frozen=True, kw_only=True)
class NoopConfig:
    """Settings of `Noop`."""

    x: float = 0.5
    """The value of every map."""


class Noop(Method):
    """Maps of one constant; trains nothing."""

    name = "noop"
    title = "Nothing to train (benchmarks)"
    Config = NoopConfig
    view = "single"
    supervision = "none"
    spaces = "benchmarks"

    def build(self) -> nn.Module:
        return nn.Identity()

    def stages(self, epochs: int) -> Sequence[Stage]:
        del epochs
        return ()

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        del model, batch, step
        raise RuntimeError("there is nothing to train")

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        del model, inside
        n, _, h, w = images.shape
        classes = len(self.task.classes)
        maps = torch.full((n, 1, h, w), float(self.config.x), device=images.device).clamp(0, 1)
        return Prediction(scores=torch.full((n, classes), 1 / classes, device=images.device), maps=maps)
