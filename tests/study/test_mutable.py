"""Which numbers a training may change on its way: those that leave network, stages and optimisers as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from raysearch.method import Batch, Method, Prediction, Stage, Step, Task
from raysearch.space import load_space
from raysearch.study._mutable import mutable_numbers

SPACE = """
method: shapes
preset: small
budget: {epochs: 4, samples: 4}
train:
  lr: {type: float, low: 1.0e-4, high: 1.0, log: true, default: 0.1}
  width: {type: int, low: 2, high: 4, default: 2}
  warm: {type: int, low: 1, high: 2, default: 1}
  decay: {type: float, low: 0.0, high: 0.1, default: 0.0}
  kind: {type: choice, choices: [plain, wide], default: plain}
  extra: {type: int, low: 1, high: 3, default: 1, when: {kind: wide}}
  smooth: {type: float, low: 0.0, high: 1.0, default: 0.5, when: {kind: wide}}
  picky: {type: float, low: 0.0, high: 1.0, default: 0.5}
  rate: {type: choice, choices: [1, 2], default: 1}
stage:
  beta: {type: float, low: 0.0, high: 1.0, default: 0.5}
"""


@dataclass(frozen=True, kw_only=True)
class Config:
    lr: float = 0.1
    width: int = 2
    warm: int = 1
    decay: float = 0.0
    kind: Literal["plain", "wide"] = "plain"
    extra: int = 1
    smooth: float = 0.5
    picky: float = 0.5
    rate: int = 1
    beta: float = 0.5


class Shapes(Method):
    name = "shapes"
    title = "For tests"
    Config = Config
    view = "single"

    def build(self) -> nn.Module:
        if self.config.picky == 1.0:
            raise ValueError("nothing is so picky")
        width = self.config.width + (self.config.extra if self.config.kind == "wide" else 0)
        return nn.Linear(width, 2)

    def stages(self, epochs: int) -> Sequence[Stage]:
        def optimizer(model: nn.Module) -> torch.optim.Optimizer:
            named = dict(model.named_parameters())
            # decayed weights are a group of their own
            apart = [{"params": [named["weight"]]}, {"params": [named["bias"]]}]
            return torch.optim.SGD(apart if self.config.decay else named.values(), lr=self.config.lr)

        return [
            Stage(name="warm", epochs=self.config.warm, optimizer=optimizer),
            Stage(name="rest", epochs=epochs - self.config.warm, optimizer=optimizer),
        ]

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        raise NotImplementedError

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        raise NotImplementedError


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    (tmp_path / "space.yaml").write_text(SPACE)
    space = load_space(Shapes, "small", str(tmp_path / "space.yaml")).for_classes(["a", "b"])
    return mutable_numbers(space, Shapes, Task(classes=("a", "b"), view="single", channels=1, size=(8, 8)), 4)


def test_what_another_value_does(names: list[str]) -> None:
    assert names == ["lr", "smooth"]
