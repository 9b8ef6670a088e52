"""A method that builds on shared work: a teacher that is trained, and what it says of images, which is not."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from raysearch.method import (
    Batch,
    LossThreshold,
    Method,
    Outcome,
    Prediction,
    PseudoRegions,
    Stage,
    Step,
    TrainingImages,
    Upstream,
)


@dataclass(frozen=True, kw_only=True)
class SharedConfig:
    """Settings of `Shared`."""

    teacher_lr: float = 0.1
    """Of the teacher."""
    teacher_epochs: int = 3
    """Of the teacher."""
    wish: Literal["work", "nan", "raise"] = "work"
    """What becomes of the teacher."""
    cut: float = 0.5
    """Brightness above which a pixel is of its image's class."""
    lr: float = 0.1
    """Of what is trained for each trial."""
    tau: float = 0.5
    """A loss threshold, for those who declare it as a field."""
    batch: int = 12
    """Images a step."""


def gray_logits(model: nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = model(images.mean((1, 2, 3))[:, None])
    return logits


def gray_step(model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
    loss = nn.functional.cross_entropy(gray_logits(model, batch.images), batch.labels)
    step.backward(loss)
    return {"loss": loss}


class Teacher(Upstream):
    """Tells classes by the mean of an image."""

    name = "teacher"
    fields = ("teacher_lr", "teacher_epochs", "wish", "batch")

    @property
    def epochs(self) -> int:
        return int(self.config.teacher_epochs)

    def build(self) -> nn.Module:
        return nn.Linear(1, len(self.task.classes))

    def stages(self, epochs: int) -> Sequence[Stage]:
        rate = self.config.teacher_lr
        return [Stage(name="all", epochs=epochs, optimizer=lambda m: torch.optim.Adam(m.parameters(), lr=rate))]

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        if log := os.environ.get("TEACHER_LOG"):
            with open(log, "a") as file:
                file.write(f"{step.epoch}\n")
        pause = os.environ.get("TEACHER_PAUSE")
        if pause and Path(pause).exists():
            time.sleep(float(Path(pause).read_text()))
        if self.config.wish == "raise":
            raise LookupError("no such teacher")
        if self.config.wish == "nan" and step.epoch == 1:
            return {"loss": torch.tensor(torch.nan)}
        return gray_step(model, batch, step)

    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        state: Outcome = model.state_dict()
        return state


class Labels(Upstream):
    """What the teacher says of images that nobody annotated."""

    name = "labels"
    fields = ("cut",)
    inputs = ("teacher",)

    def build(self) -> nn.Module:
        model = nn.Linear(1, len(self.task.classes))
        model.load_state_dict(self.outcomes["teacher"])
        return model

    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        rows = images.pool.rows[~images.pool.annotated]
        truth = torch.zeros(len(rows), len(self.task.classes), dtype=torch.int8)
        masks = [np.zeros((0, *self.task.size), np.bool_)]
        done = 0
        for part, batch in images.batches(rows, 7):
            said = gray_logits(model, batch).argmax(1)
            truth[torch.arange(done, done + len(part)), said.cpu()] = 1
            masks.append((batch.mean(1) > self.config.cut).cpu().numpy())
            done += len(part)
        packed = np.packbits(np.concatenate(masks).reshape(len(rows), self.task.size[0] * self.task.size[1]), axis=1)
        return {"rows": torch.from_numpy(rows.copy()), "truth": truth, "packed": torch.from_numpy(packed)}


class Shared(Method):
    """Goes on from the teacher's weights, with its labels."""

    name = "shared"
    title = "For tests"
    Config = SharedConfig
    view = "single"
    supervision = "region"
    spaces = "e2e"

    @classmethod
    def upstream(cls, config: SharedConfig) -> tuple[type[Upstream], ...]:
        return (Teacher, Labels)

    def build(self) -> nn.Module:
        model = nn.Linear(1, len(self.task.classes))
        if "teacher" in self.outcomes:
            model.load_state_dict(self.outcomes["teacher"])
        return model

    def stages(self, epochs: int) -> Sequence[Stage]:
        rate = self.config.lr
        return [Stage(name="all", epochs=epochs, optimizer=lambda m: torch.optim.SGD(m.parameters(), lr=rate))]

    def pseudo_regions(self) -> PseudoRegions | None:
        if "labels" not in self.outcomes:
            return None
        made = {name: value.numpy() for name, value in self.outcomes["labels"].items()}
        return PseudoRegions(**made)

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        assert batch.truth is not None
        return {**gray_step(model, batch, step), "known": (batch.truth >= 0).float().mean()}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        with torch.no_grad():
            scores = gray_logits(model, images).softmax(1)
        maps = (images.mean(1, keepdim=True) * scores[:, :1, None, None] * 3).clamp(0, 1)
        return Prediction(scores=scores, maps=maps)


class Careless(Shared):
    """Would share what changes during a training."""

    name = "careless"
    loss_thresholds = (LossThreshold(name="tau"),)

    @classmethod
    def upstream(cls, config: SharedConfig) -> tuple[type[Upstream], ...]:
        return (type("Moving", (Teacher,), {"fields": ("tau",)}),)
