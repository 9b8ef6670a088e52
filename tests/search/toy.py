"""A method whose results are a formula: a search over it takes milliseconds, and what it should find is known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from raysearch.method import Batch, LossThreshold, Method, PerClass, Prediction, Stage, Step
from raysearch.space import load_space
from raysearch.study._config import Budget, Resources, StudyConfig
from raysearch.study._study import Study, create_study


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    lr: float = 0.1
    depth: int = 2
    mode: Literal["plain", "gated"] = "plain"
    gate: float = 0.5
    tau: PerClass = 0.9


class Toy(Method):
    """Is never built: `value_of` says what it would have reached."""

    name = "toy"
    title = "For tests"
    Config = ToyConfig
    view = "single"
    spaces = "search"
    loss_thresholds = (LossThreshold(name="tau"),)

    def build(self) -> nn.Module:
        raise NotImplementedError

    def stages(self, epochs: int) -> Sequence[Stage]:
        raise NotImplementedError

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        raise NotImplementedError

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        raise NotImplementedError


def value_of(config: dict[str, Any], epoch: int) -> float:
    """Of an epoch from 1; NaN from the second one on for deep plain ones with a large rate."""
    if config["mode"] == "plain" and config["depth"] > 2 and config["lr"] > 0.1 and epoch > 1:
        return math.nan
    gate = config["gate"] if config["mode"] == "gated" else 0.4
    # coarse, so that there are ties
    return round(0.9 - 0.04 * (math.log10(config["lr"]) + 2) ** 2 - 0.1 * gate + 0.02 * min(epoch, 3), 2)


def toy_study(root: Path, name: str = "toy", **changes: Any) -> Study:
    """A new study of `Toy`; `changes` are fields of `StudyConfig`, `Budget` and `Resources`."""
    changes = {"classes": ["a", "b"], **changes}
    space = load_space(Toy, "small").for_classes(changes["classes"])
    space = space.with_modes(
        loss_thresholds=changes.get("loss_thresholds", "fixed"),
        decision_thresholds=changes.get("decision_thresholds", "solve"),
    )
    budget = Budget(
        samples=changes.pop("samples", 6), epochs=changes.pop("epochs", 3), seconds=changes.pop("seconds", None)
    )
    config = StudyConfig(
        method="search.toy:Toy", preset="small", space=space.to_dict(), space_digest=space.digest(),
        data="phantom", fingerprint="0", classes=["a", "b"], view="single",
        split={"how": "random", "seed": 0, "digest": "d"}, metric="f1_plus", direction="maximize", select="best",
        decision_thresholds="solve", loss_thresholds="fixed", alternate=None,
        round_epochs=3, slack_weight=0.5, labelled=None, annotated=None, unannotated=1.0, evidence=["counts", "logits"],
        per_class=False, scheduler="fifo", mutable=["lr", "gate"], sampler="tpe",
        seed=7, keep_checkpoints=2, budget=budget, resources=Resources(), versions={}, created="",
    )  # fmt: skip
    return create_study(dataclasses.replace(config, **changes), root, name)
