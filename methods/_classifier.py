"""What the image-level baselines share: cross-entropy training, and the map of the predicted class."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, Literal, cast

from torch import Tensor, nn
from torch.nn import functional as F

from methods._augmentation import augmentation
from methods._config import MapClassifierConfig
from methods._optim import single_stage
from methods.layers.backbone import Backbone, build_backbone
from methods.layers.crf import dense_crf
from methods.layers.images import Normalize
from methods.layers.maps import min_max, predicted_class_map, resized_aligned
from methods.layers.mode import evaluating
from raysearch.method import Augmentation, Batch, Method, Prediction, Stage, Step


class MapClassifier(nn.Module):
    """Images (N, C, H, W) in [0, 1] to class scores (N, K) and class maps (N, K, h, w), by a backbone and a head."""

    def __init__(self, normalize: Normalize, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.backbone = backbone
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.backbone(self.normalize(images))
        return features

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        scores, maps = self.head(self.features(images))
        return scores, maps


class MapClassifierMethod(Method):
    """A classifier with a map a class; subclasses bring the head.

    The paper leaves open how a baseline's map becomes a mask: here the map of the predicted class, scaled to [0, 1] by
    its own extrema and resized to the image. A constant map localizes nothing and becomes 0. The CRF takes
    that map for the probability of the foreground.
    """

    view: ClassVar[Literal["single", "multi"]] = "single"
    config: MapClassifierConfig

    @abc.abstractmethod
    def head(self, features: int, classes: int) -> nn.Module:
        """A module from features (N, `features`, h, w) to scores (N, K) and maps (N, K, h, w)."""

    def build(self) -> nn.Module:
        c = self.config
        backbone = build_backbone(
            c.backbone, weights=c.weights, in_channels=self.task.channels, output_stride=c.output_stride
        )
        head = self.head(backbone.features, len(self.task.classes))
        return MapClassifier(Normalize(c.normalize, self.task.channels), backbone, head)

    def stages(self, epochs: int) -> Sequence[Stage]:
        return single_stage(self.config, epochs)

    def augmentation(self) -> Augmentation:
        return augmentation(self.config, self.task.size)

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        scores, _ = model(batch.images)
        loss = F.cross_entropy(scores, batch.labels)
        step.backward(loss)
        return {"loss": loss.detach()}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        network = cast(MapClassifier, model)
        with evaluating(network):
            scores, coarse = self.score_and_localize(network, images)
            height, width = images.shape[-2:]
            maps = min_max(resized_aligned(coarse, (height, width)), fill=0.0, inside=inside)
            if self.config.postprocess == "crf":
                maps = dense_crf(maps, images, self.config.crf_settings(), inside)
        return Prediction(scores=scores.softmax(1), maps=maps)

    def score_and_localize(self, network: MapClassifier, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, K) and the predicted class's map (N, 1, h, w), unscaled."""
        scores, maps = network(images)
        return scores, predicted_class_map(maps, scores)
