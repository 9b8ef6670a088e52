"""A stranger's method, found by its path: it learns nothing, diverges or raises on request."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from raysearch.method import Batch, Method, Prediction, Stage, Step


@dataclass(frozen=True, kw_only=True)
class StrangeConfig:
    """Settings of `Strange`."""

    wish: Literal["work", "nan", "raise", "leave", "hang"] = "work"
    """What becomes of it."""
    shift: float = 0.5
    """Value of its maps before training."""
    batch: int = 12
    """Images a step."""


class Strange(Method):
    """A map that is one learned number."""

    name = "strange"
    title = "For tests"
    Config = StrangeConfig
    view = "single"
    spaces = "e2e"

    def build(self) -> nn.Module:
        model = nn.Linear(1, len(self.task.classes))
        nn.init.constant_(model.weight, self.config.shift)
        return model

    def stages(self, epochs: int) -> Sequence[Stage]:
        return [Stage(name="all", epochs=epochs, optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=0.01))]

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        pause = os.environ.get("STRANGE_PAUSE")
        if pause and Path(pause).exists():
            time.sleep(float(Path(pause).read_text()))
        if self.config.wish == "raise":
            raise LookupError("no such luck")
        if self.config.wish == "leave":
            sys.exit("bye")
        if self.config.wish == "hang":
            ctypes.PyDLL(None).sleep(10_000)  # type: ignore[attr-defined] # holds the interpreter's lock
        loss = nn.functional.cross_entropy(model(batch.images.mean((2, 3))), batch.labels)
        if self.config.wish == "nan":
            loss = loss * float("nan")
        step.backward(loss)
        return {"loss": loss}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        scores = model(images.mean((2, 3))).softmax(1)
        maps = (images.mean(1, keepdim=True) * scores[:, :1, None, None] * 3).clamp(0, 1)
        return Prediction(scores=scores, maps=maps)
