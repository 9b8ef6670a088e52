"""The contract has to fail for methods that break it, each by the test that is meant for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raysearch.errors import UserError
from raysearch.method import (
    Augmentation,
    Batch,
    Method,
    Outcome,
    Prediction,
    Stage,
    Step,
    Stream,
    TrainingImages,
    Upstream,
    shuffled,
)
from raysearch.testing import MethodContract


@dataclass(frozen=True, kw_only=True)
class SoundConfig:
    lr: float = 0.05
    batch: int = 4


class Sound(Method):
    name = "sound"
    title = "A linear classifier"
    Config: ClassVar[type[Any]] = SoundConfig
    view: ClassVar[Literal["single", "multi"]] = "single"

    def build(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(self.task.channels, 4, 5, stride=4, padding=2),
            nn.BatchNorm2d(4),
            nn.Conv2d(4, len(self.task.classes), 1),
        )

    def stages(self, epochs: int) -> Sequence[Stage]:
        return (
            Stage(
                name="head",
                epochs=epochs,
                optimizer=lambda m: torch.optim.Adam(m.get_submodule("2").parameters(), lr=0.05),
            ),
        )

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        loss = F.cross_entropy(model(batch.images).amax((2, 3)), batch.labels)
        step.backward(loss)
        return {"loss": loss.detach()}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        with torch.no_grad():
            maps = model(images)
        full = F.interpolate(maps, size=images.shape[-2:]).sigmoid()
        return Prediction(scores=maps.amax((2, 3)).softmax(1), maps=full)


@dataclass(kw_only=True)
class Mutable:
    lr: float = 0.05
    batch: int = 4


class ThawedConfig(Sound):
    Config = Mutable


class NoBackward(Sound):
    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(model(batch.images).amax((2, 3)), batch.labels)}


class Thaws(Sound):
    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        model.requires_grad_(True)
        return super().training_step(model, batch, step)


class OwnRandomness(Sound):
    calls = 0

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        OwnRandomness.calls += 1
        noise = torch.Generator().manual_seed(OwnRandomness.calls)
        images = batch.images + torch.randn(batch.images.shape, generator=noise)
        return super().training_step(model, Batch(images=images, labels=batch.labels, index=batch.index), step)


class Climbs(Sound):
    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        loss = F.cross_entropy(model(batch.images).amax((2, 3)), batch.labels)
        step.backward(-loss)
        return {"loss": loss.detach()}


class MeanOfNoRegion(Sound):
    supervision: ClassVar[Literal["image", "region", "pixel", "none"]] = "region"

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        assert batch.masks is not None
        return {**super().training_step(model, batch, step), "loss_region": batch.masks.mean()}


class Unbounded(Sound):
    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        found = super().predict(model, images, inside)
        return Prediction(scores=found.scores, maps=2 * found.maps)


class NothingInPadding(Sound):
    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        found = super().predict(model, images, inside)
        return found if inside is None else replace(found, maps=found.maps / inside[:, None])


class AnotherScaleWhereTold(Sound):
    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        found = super().predict(model, images, inside)
        return found if inside is None else replace(found, maps=found.maps / 2)


class MeanOfRows(Sound):
    """0 / 0 of a row without a pixel of the picture, and a sum where there is no padding to be told of."""

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        losses = super().training_step(model, batch, step)
        own = torch.ones(1, 1, 1) if batch.inside is None else batch.inside.float()
        return {**losses, "loss_rows": (own.sum(2) / own.sum(2)).sum()}


class Coarse(Sound):
    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        found = super().predict(model, images, inside)
        return Prediction(scores=found.scores, maps=found.maps[:, :, ::2, ::2])


class NeighbourDependent(Sound):
    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        found = super().predict(model, images, inside)
        return Prediction(scores=found.scores, maps=found.maps / found.maps.max())


class LeavesEvaluation(Sound):
    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        return super().predict(model.eval(), images, inside)


class LeavesGradient(Sound):
    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        with torch.enable_grad():
            model(images).sum().backward()
        return super().predict(model, images, inside)


class UpdatesStatistics(Sound):
    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        model.train()
        return super().predict(model, images, inside)


class HiddenState(Sound):
    def build(self) -> nn.Module:
        self.shift = torch.rand(())
        return super().build()

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        return super().predict(model, images * self.shift, inside)


class ShortStages(Sound):
    def stages(self, epochs: int) -> Sequence[Stage]:
        return super().stages(epochs - 1)


class Streams(Sound):
    """Learns from a second stream too."""

    names = ("labelled", "others")

    def stages(self, epochs: int) -> Sequence[Stage]:
        streams = tuple(Stream(name=name, draw=shuffled, batch=4, strong=Augmentation()) for name in self.names)
        return [replace(stage, streams=streams) for stage in super().stages(epochs)]

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        other = batch.beside["others"]
        assert other.strong is not None
        apart = (model(other.images) - model(other.strong)).square().mean((1, 2, 3)) if len(other.images) else []
        loss = F.cross_entropy(model(batch.images).amax((2, 3)), batch.labels) + self.mean(apart)
        step.backward(loss)
        return {"loss": loss.detach()}

    def mean(self, values: Any) -> Any:
        return sum(values) / max(1, len(values))


class MeanOfNoImage(Streams):
    def mean(self, values: Any) -> Any:
        return torch.as_tensor(sum(values)) / torch.tensor(float(len(values)))


class TwoOfOneName(Streams):
    names = ("labelled", "labelled", "others")


class OperationsOnMasks(Sound):
    supervision: ClassVar[Literal["image", "region", "pixel", "none"]] = "region"

    def augmentation(self) -> Augmentation:
        return Augmentation(operations=2)


class OneOfSeveral(Sound):
    sources = ("cls",)


class UnknownBoxes(Sound):
    box_rule = "smallest"  # type: ignore[assignment]


CASES: list[tuple[type[Sound], Callable[[MethodContract], object]]] = [
    (ThawedConfig, MethodContract.test_config_is_strict_data),
    (NoBackward, MethodContract.test_training_step),
    (Thaws, MethodContract.test_training_step),
    (OwnRandomness, MethodContract.test_equal_seeds_give_equal_steps),
    (Climbs, MethodContract.test_loss_falls_on_one_batch),
    (MeanOfNoRegion, MethodContract.test_training_step_on_images_of_which_no_region_is_known),
    (Unbounded, lambda suite: suite.test_predict_shapes_and_ranges(1, (32, 32))),
    (NothingInPadding, MethodContract.test_predict_of_pictures_in_padding),
    (
        AnotherScaleWhereTold,
        MethodContract.test_pictures_without_padding_are_answered_alike_whether_told_or_not,
    ),
    (MeanOfRows, MethodContract.test_training_step_on_pictures_in_padding),
    (
        MeanOfRows,
        MethodContract.test_training_step_is_alike_whether_told_that_there_is_no_padding_or_not,
    ),
    (Coarse, lambda suite: suite.test_predict_shapes_and_ranges(1, (32, 32))),
    (NeighbourDependent, MethodContract.test_an_image_is_answered_alone),
    (LeavesEvaluation, MethodContract.test_predict_gives_the_modules_modes_back),
    (LeavesGradient, MethodContract.test_predict_leaves_no_trace),
    (UpdatesStatistics, MethodContract.test_predict_leaves_no_trace),
    (HiddenState, MethodContract.test_state_dict_is_the_checkpoint),
    (ShortStages, MethodContract.test_stages),
    (MeanOfNoImage, MethodContract.test_training_step_where_other_streams_hold_no_image),
    (TwoOfOneName, MethodContract.test_streams),
    (OperationsOnMasks, MethodContract.test_batch_size_and_augmentation),
    (OneOfSeveral, MethodContract.test_class_attributes),
    (UnknownBoxes, MethodContract.test_box_rule),
]


def suite_for(method: type[Method]) -> MethodContract:
    suite = MethodContract()
    suite.method = method  # type: ignore[misc]
    return suite


@pytest.mark.parametrize(("broken", "check"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_broken_method_is_caught(broken: type[Sound], check: Callable[[MethodContract], object]) -> None:
    check(suite_for(Sound))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(suite_for(broken))


class Guess(Upstream):
    name = "guess"
    fields = ()

    def build(self) -> nn.Module:
        return nn.Identity()

    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        return {"images": torch.tensor(len(images.pool.rows))}


class Again(Guess):
    name = "again"
    inputs = ("guess",)


class OnGuesses(Sound):
    @classmethod
    def upstream(cls, config: Any) -> tuple[type[Upstream], ...]:
        return (Guess, Again)

    @classmethod
    def inputs(cls, config: Any) -> tuple[str, ...]:
        return ("again",)

    def build(self) -> nn.Module:
        self.outcomes.get("again")
        return super().build()


class AsksForMore(OnGuesses):
    def build(self) -> nn.Module:
        "guess" in self.outcomes  # noqa: B015
        return super().build()


def test_a_method_that_reads_what_its_inputs_do_not_name_is_caught() -> None:
    suite_for(OnGuesses).test_trains_on_upstream_outcomes()
    with pytest.raises(AssertionError, match="sound reads the outcome of guess, which its inputs do not name"):
        suite_for(AsksForMore).test_trains_on_upstream_outcomes()


class TestStreams(MethodContract):
    method = Streams


def test_an_unknown_report_is_caught() -> None:
    class Reports(Sound):
        reports = ("no_such_metric",)

    with pytest.raises(UserError, match="no_such_metric"):
        suite_for(Reports).test_class_attributes()
