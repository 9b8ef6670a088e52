"""The classifier that saliency maps are of, and the one that the encoder's weights come from (section 3.3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods._classifier import MapClassifier
from methods.cam._method import CamHead
from methods.chexseg._config import CheXsegConfig
from methods.chexseg._upstream import of, under
from methods.layers.backbone import Backbone, backbone_names, build_backbone
from methods.layers.features import Features, build_features
from methods.layers.images import Normalize
from methods.layers.pooling import average_pool
from methods.layers.workers import of_all_workers, total
from raysearch.errors import MethodError
from raysearch.method import Batch, Outcome, Stage, Step, TrainingImages, Upstream


def classification_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of logits and labels (N, K), 1, 0 or -1 unknown: the mean over the known pairs of all
    workers, 0 if there is none; the gradient is that of this worker's images."""
    known = labels >= 0
    each = F.binary_cross_entropy_with_logits(scores, labels.clamp(min=0), reduction="none")
    return total(torch.where(known, each, 0.0).sum()) / total(known.sum()).clamp(min=1)


class Coarsest(nn.Module):
    """The last of the feature maps of a network that gives several."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features

    def forward(self, images: Tensor) -> Tensor:
        maps: list[Tensor] = self.features(images)
        return maps[-1]


def trunk(name: str, *, weights: str, in_channels: int, output_stride: int) -> Backbone:
    """A residual network at any stride, or another one of timm or torchvision, as ``densenet121``, at stride 32.

    Raises:
        MethodError: what `build_backbone` or `build_features` refuses, or another stride.
    """
    if name.rpartition("/")[2].partition(".")[0] in backbone_names():
        return build_backbone(name, weights=weights, in_channels=in_channels, output_stride=output_stride)
    if output_stride != 32:
        raise MethodError(f"classifier_stride is {output_stride}, but {name!r} has 32 alone: expected 32, or a ResNet")
    features = build_features(name, weights=weights, in_channels=in_channels)
    return Backbone(Coarsest(features), "forward", features.channels[-1])


class Classifier(Upstream):
    """A network with average pooling, trained on image labels. It leaves its weights after the last epoch: the paper
    takes the checkpoint with the best mean AUROC on a validation set, and the training split has none to spare."""

    name: ClassVar[str] = "classifier"
    fields: ClassVar[tuple[str, ...]] = (
        "classifier_backbone",
        "classifier_weights",
        "classifier_stride",
        "classifier_lr",
        "classifier_batch",
        "classifier_epochs",
        "normalize",
    )
    config: CheXsegConfig

    @property
    def architecture(self) -> str:
        return self.config.classifier_backbone

    @property
    def weights(self) -> str:
        return self.config.classifier_weights

    @property
    def output_stride(self) -> int:
        return self.config.classifier_stride

    @property
    def epochs(self) -> int:
        return self.config.classifier_epochs

    @property
    def batch_size(self) -> int:
        return self.config.classifier_batch

    def build(self) -> nn.Module:
        c = self.config
        backbone = trunk(
            self.architecture,
            weights=self.weights,
            in_channels=self.task.channels,
            output_stride=self.output_stride,
        )
        head = CamHead(backbone.features, len(self.task.classes), average_pool)
        return MapClassifier(Normalize(c.normalize, self.task.channels), backbone, head)

    def stages(self, epochs: int) -> Sequence[Stage]:
        def optimizer(model: nn.Module) -> torch.optim.Optimizer:
            return torch.optim.Adam(model.parameters(), lr=self.config.classifier_lr)

        return (Stage(name=self.name, epochs=epochs, optimizer=optimizer),)

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        loss = of_all_workers(classification_loss(model(batch.images)[0], batch.labels), batch.share)
        step.backward(loss)
        return {"loss": loss.detach()}

    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        return under("weights", model.state_dict())


class EncoderClassifier(Classifier):
    """The same training of the segmentation's encoder, where that is another network or has another stride: the paper
    makes saliency maps with a DenseNet-121 and starts a ResNet-18 from a classifier on the same labels (section 4.2).
    """

    name: ClassVar[str] = "encoder_classifier"
    fields: ClassVar[tuple[str, ...]] = (
        "backbone",
        "output_stride",
        "encoder_classifier_weights",
        "classifier_lr",
        "classifier_batch",
        "classifier_epochs",
        "normalize",
    )

    @property
    def architecture(self) -> str:
        return self.config.backbone

    @property
    def weights(self) -> str:
        return self.config.encoder_classifier_weights

    @property
    def output_stride(self) -> int:
        return self.config.output_stride


def load_classifier(network: nn.Module, outcome: Outcome) -> MapClassifier:
    """Fills what `Classifier.build` has made."""
    network.load_state_dict(of("weights", outcome))
    return cast(MapClassifier, network)


def load_backbone(backbone: nn.Module, outcome: Outcome) -> None:
    """Fills a backbone of the classifier's architecture."""
    backbone.load_state_dict(of("weights.backbone", outcome))
