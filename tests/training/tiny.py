"""A network of a few weights on images of a few pixels: everything a training can do, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from raysearch.data import Collection
from raysearch.method import Augmentation, Batch, Method, Prediction, Stage, Step, Task
from raysearch.training import Assignment, Rule

CLASSES = ("a", "b", "c")
SIZE = 8


@dataclass(frozen=True, kw_only=True)
class TinyConfig:
    lr: float = 0.1
    dropout: float = 0.0
    noise: float = 0.0
    batch: int = 5
    wish: Literal["work", "diverge", "nothing"] = "work"


class Tiny(Method):
    """Trains its body, and in the last epoch its head; `spare` weights are decayed, and no loss reaches them."""

    name = "tiny"
    title = "For tests"
    Config = TinyConfig
    view = "single"

    def build(self) -> nn.Module:
        return nn.ModuleDict(
            {
                "body": nn.Conv2d(self.task.channels, 4, 3, padding=1),
                "head": nn.Linear(4, len(self.task.classes)),
                "spare": nn.Linear(2, 2),
            }
        )

    def stages(self, epochs: int) -> Sequence[Stage]:
        if self.config.wish == "nothing":
            return ()

        def body(model: nn.Module) -> torch.optim.Optimizer:
            parameters = [*model["body"].parameters(), *model["spare"].parameters()]  # type: ignore[index]
            return torch.optim.SGD(parameters, lr=self.config.lr, momentum=0.9, weight_decay=0.01)

        def head(model: nn.Module) -> torch.optim.Optimizer:
            nn.init.zeros_(model["head"].weight)  # type: ignore[index]
            return torch.optim.Adam(model["head"].parameters(), lr=self.config.lr)  # type: ignore[index]

        def schedule(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
            return torch.optim.lr_scheduler.MultiStepLR(optimizer, [1], gamma=0.5)

        first = Stage(name="body", epochs=epochs - 1, optimizer=body, schedule=schedule)
        return [first, Stage(name="head", epochs=1, optimizer=head)]

    def augmentation(self) -> Augmentation:
        return Augmentation(horizontal_flip=True)

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        images = batch.images
        if self.config.noise:
            images = images + self.config.noise * torch.rand(images.shape, generator=step.generator)
        logits = self._logits(model, images)
        loss = nn.functional.cross_entropy(logits, batch.labels)
        if self.config.wish == "diverge" and step.epoch == 1 and 0 in batch.index:
            loss = loss * torch.nan
        step.backward(loss)
        return {"loss": loss, "stage": torch.tensor(float(step.stage == "head"))}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        maps = model["body"](images).sigmoid().mean(1, keepdim=True)  # type: ignore[index,operator]
        return Prediction(scores=self._logits(model, images).softmax(1), maps=maps)

    def _logits(self, model: nn.Module, images: Tensor) -> Tensor:
        features = torch.relu(model["body"](images)).mean((2, 3))  # type: ignore[index,operator]
        features = nn.functional.dropout(features, self.config.dropout, model.training)
        logits: Tensor = model["head"](features)  # type: ignore[index,operator]
        return logits


def tiny_collection(count: int = 24) -> Collection:
    """Every class in turn, its mark in a quadrant of its own; two images a patient."""
    rng = np.random.default_rng(0)
    label = np.arange(count) % len(CLASSES)
    masks = np.zeros((count, SIZE, SIZE), np.uint8)
    for row, k in enumerate(label):
        top, left = 4 * (k // 2), 4 * (k % 2)
        masks[row, top + row % 2 : top + 3, left : left + 3] = 1
    images = (rng.integers(0, 120, (count, 1, SIZE, SIZE)) + 100 * masks[:, None]).astype(np.uint8)
    one_hot = np.eye(len(CLASSES), dtype=np.int8)[label]
    return Collection(
        source="tiny",
        view="single",
        classes=CLASSES,
        image_ids=tuple(f"i{n}" for n in range(count)),
        patients=np.array([f"p{n // 2}" for n in range(count)]),
        images=images,
        labels=one_hot,
        truth=one_hot,
        mask_row=np.where(one_hot > 0, np.arange(count)[:, None], -1).astype(np.int32),
        masks=masks,
        official=np.array([""] * count),
        fingerprint="tiny",
        folder="",
    )


def tiny_method(**config: object) -> Tiny:
    task = Task(classes=CLASSES, view="single", channels=1, size=(SIZE, SIZE))
    return Tiny(TinyConfig(**config), task)  # type: ignore[arg-type]


def tiny_assignment(epochs: int = 4) -> Assignment:
    rows = np.arange(24)
    return Assignment(
        collection=tiny_collection(),
        train=rows[:13],
        tuning=rows[13:],
        seed=5,
        epochs=epochs,
        rule=Rule(metric="f1_plus"),
    )
