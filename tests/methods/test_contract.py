"""The shipped contract, run over all our methods and over one that a stranger wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.all_ones import AllOnes
from methods.cam import CamAvg, CamLse, CamMax, GradCam, Wildcat
from methods.deep_mil import DeepMil
from methods.li_base import LiBase
from methods.limited_annotation import LimitedAnnotation
from methods.minmax_entropy import MinMaxEntropy
from methods.unet import UNet
from raysearch.method import Batch, Method, Prediction, Stage, Step
from raysearch.testing import MethodContract

SLIM = {"backbone": "resnet10_slim", "weights": "random", "output_stride": 8, "batch": 6, "lr": 0.02}


class TestMinMaxEntropy(MethodContract):
    method = MinMaxEntropy
    config: ClassVar = {**SLIM, "u": 2, "erasing_start": 0, "dropout": 0.1}


class TestMinMaxEntropyCrf(MethodContract):
    method = MinMaxEntropy
    config: ClassVar = {**SLIM, "u": 0, "postprocess": "crf", "map_normalization": "batch"}


class TestCamAvg(MethodContract):
    method = CamAvg
    config: ClassVar = SLIM


class TestCamMax(MethodContract):
    method = CamMax
    config: ClassVar = SLIM


class TestCamLse(MethodContract):
    method = CamLse
    config: ClassVar = SLIM


class TestWildcat(MethodContract):
    method = Wildcat
    config: ClassVar = {**SLIM, "alpha": 0.5, "dropout": 0.1}


class TestGradCam(MethodContract):
    method = GradCam
    config: ClassVar = SLIM


class TestDeepMil(MethodContract):
    method = DeepMil
    config: ClassVar = SLIM


class TestDeepMilGated(MethodContract):
    method = DeepMil
    config: ClassVar = {**SLIM, "gated": True}


class TestUNet(MethodContract):
    method = UNet
    config: ClassVar = {"width": 4, "depth": 3, "batch": 6}


PATCHES = {
    "backbone": "resnetv2_10_slim",
    "weights": "random",
    "output_stride": 8,
    "hidden": 16,
    "patches": 8,
    "batch": 6,
    "lr": 0.01,
}


class TestLiBase(MethodContract):
    method = LiBase
    config: ClassVar = PATCHES


class TestLiBaseRescaled(MethodContract):
    method = LiBase
    config: ClassVar = {**PATCHES, "rescale_min": 0.98, "cell_rule": "half"}


class TestLimitedAnnotation(MethodContract):
    method = LimitedAnnotation
    config: ClassVar = {**PATCHES, "crf_steps": 2, "crf_lr": 0.01}


class TestLimitedAnnotationSoftmax(MethodContract):
    method = LimitedAnnotation
    config: ClassVar = {**PATCHES, "crf": "softmax", "crf_window": 5, "crf_lr": 0.01, "gamma": 0.3, "blur": 3}


class TestLimitedAnnotationSigmoid(MethodContract):
    method = LimitedAnnotation
    config: ClassVar = {**PATCHES, "relaxation": "sigmoid", "crf": "none", "cell_rule": "centre", "decoupled": True}


class TestAllOnes(MethodContract):
    method = AllOnes


@dataclass(frozen=True, kw_only=True)
class StrangerConfig:
    lr: float = 0.05


class Stranger(Method):
    """The least that is a method: two stages, several labels an image, one map a class."""

    name = "stranger"
    title = "A linear classifier of colours"
    Config = StrangerConfig
    view: ClassVar[Literal["single", "multi"]] = "multi"

    @property
    def batch_size(self) -> int:
        return 4

    def build(self) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(self.task.channels, 8, 5, stride=4, padding=2),
            nn.ReLU(),
            nn.Conv2d(8, len(self.task.classes), 3, padding=1),
        )

    def stages(self, epochs: int) -> Sequence[Stage]:
        def head(model: nn.Module) -> torch.optim.Optimizer:
            return torch.optim.Adam(model.get_submodule("2").parameters(), lr=self.config.lr)

        def everything(model: nn.Module) -> torch.optim.Optimizer:
            return torch.optim.Adam(model.parameters(), lr=self.config.lr)

        first = epochs // 2
        return (
            Stage(name="head", epochs=first, optimizer=head),
            Stage(name="everything", epochs=epochs - first, optimizer=everything),
        )

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        loss = F.binary_cross_entropy_with_logits(model(batch.images).amax((2, 3)), batch.labels)
        step.backward(loss)
        return {"loss": loss.detach()}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        with torch.no_grad():
            maps = model(images)
            full = F.interpolate(maps, size=images.shape[-2:], mode="bilinear")
        return Prediction(scores=maps.amax((2, 3)).sigmoid(), maps=full.sigmoid())


class TestStranger(MethodContract):
    method = Stranger
