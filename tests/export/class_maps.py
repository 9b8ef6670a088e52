"""A stranger's method with a map a class, found by its path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from raysearch.method import Batch, Method, Prediction, Stage, Step
from raysearch.thresholds import BoxRule


@dataclass(frozen=True, kw_only=True)
class ClassMapsConfig:
    """Settings of `ClassMaps`."""

    lr: float = 0.1
    """Learning rate."""
    batch: int = 12
    """Images a step."""


class ClassMaps(Method):
    """A convolution a class; the class score is the mean of its map."""

    name = "class_maps"
    title = "For tests"
    Config = ClassMapsConfig
    view = "single"
    spaces = "export"

    def build(self) -> nn.Module:
        return nn.Conv2d(self.task.channels, len(self.task.classes), 5, padding=2)

    def stages(self, epochs: int) -> Sequence[Stage]:
        return (Stage(name="all", epochs=epochs, optimizer=lambda m: torch.optim.SGD(m.parameters(), self.config.lr)),)

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        loss = nn.functional.cross_entropy(model(batch.images).mean((2, 3)), batch.labels)
        step.backward(loss)
        return {"loss": loss.detach()}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        maps = model(images)
        return Prediction(scores=maps.mean((2, 3)).softmax(1), maps=maps.sigmoid())


class ManyClassMaps(ClassMaps):
    """The same where an image may hold several classes."""

    title = "For tests of the multi view"
    view = "multi"

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        scores = model(batch.images).mean((2, 3))
        loss = nn.functional.binary_cross_entropy_with_logits(scores, batch.labels.clamp(min=0))
        step.backward(loss)
        return {"loss": loss.detach()}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        maps = model(images)
        return Prediction(scores=maps.mean((2, 3)).sigmoid(), maps=maps.sigmoid())


@dataclass(frozen=True, kw_only=True)
class BoxedConfig(ClassMapsConfig):
    """Settings of `Boxed`."""

    rule: Any = "union"
    """Which boxes its masks make."""


class Boxed(ManyClassMaps):
    """The same with boxes by a rule of its own, and metrics of a paper that need evidence of all kinds."""

    name = "boxed"
    title = "For tests of boxes"
    Config = BoxedConfig
    metric = "box_iou"
    reports = ("ssim", "hausdorff", "box_accuracy@0.3", "f1_score")

    @property
    def box_rule(self) -> BoxRule | None:
        rule: BoxRule | None = self.config.rule
        return rule


class TwoSources(ClassMaps):
    """Learns classes from one source and the region of another one's class from the other."""

    name = "two_sources"
    title = "For tests of two sources"
    Config = ClassMapsConfig
    sources = ("cls", "seg")
    supervision = "region"
    data = "cls=phantom:task=normal-vs-abnormal,images=60,size=32,seg=phantom:task=lungs,images=60,size=32"
    reports = ("accuracy", "f1_score", "hausdorff")

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        known = batch.labels >= 0
        loss = model(batch.images).mean()
        if known.any():
            logits = model(batch.images[known]).mean((2, 3))
            loss = loss + nn.functional.cross_entropy(logits, batch.labels[known])
        step.backward(loss)
        return {"loss": loss.detach()}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        maps = model(images)
        scores = maps[:, :2].mean((2, 3)).softmax(1)
        return Prediction(scores=nn.functional.pad(scores, (0, 1)), maps=images.mean(1, keepdim=True))
