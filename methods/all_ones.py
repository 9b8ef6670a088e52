"""A map of ones: how much of a localization score is had for nothing (All-ones in arXiv:1907.12934, table 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from raysearch.method import Batch, Method, Prediction, Stage, Step


@dataclass(frozen=True, kw_only=True)
class AllOnesConfig:
    """Nothing to set."""


class AllOnes(Method):
    """Every pixel is foreground and every class is equally likely."""

    name: ClassVar[str] = "all_ones"
    title: ClassVar[str] = "A map of ones, the trivial baseline"
    Config = AllOnesConfig
    view: ClassVar[Literal["single", "multi"]] = "single"
    supervision: ClassVar[Literal["image", "pixel", "none"]] = "none"

    @property
    def batch_size(self) -> int:
        return 64

    def build(self) -> nn.Module:
        return nn.Identity()

    def stages(self, epochs: int) -> Sequence[Stage]:
        del epochs
        return ()

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        raise RuntimeError("all_ones has no training stages: there is no step to take")

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        count, _, height, width = images.shape
        classes = len(self.task.classes)
        return Prediction(
            scores=images.new_full((count, classes), 1 / classes), maps=images.new_ones(count, 1, height, width)
        )
