"""Binds network, losses and stages to the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from methods._augmentation import augmentation
from methods._optim import adam_stage
from methods.layers.activation import leak
from methods.layers.backbone import build_backbone
from methods.layers.features import build_features
from methods.layers.images import Normalize
from methods.layers.maps import resized_evenly
from methods.layers.mode import evaluating
from methods.layers.statistics import batch_norms
from methods.saliency_proposals._config import SaliencyProposalsConfig
from methods.saliency_proposals.anchors import Anchors
from methods.saliency_proposals.crop import bilinear_crop, gaussian_crop
from methods.saliency_proposals.gumbel import gumbel_noise, straight_through
from methods.saliency_proposals.inference import detection_map, percentiles, scaled
from methods.saliency_proposals.losses import Counted, balanced_loss, positive_shares
from methods.saliency_proposals.network import Classification, CropClassifier, Detection, Network, Seen
from methods.saliency_proposals.proposals import ProposalHead
from methods.saliency_proposals.schedule import Annealing, stage_epochs, temperature
from raysearch.errors import MethodError
from raysearch.method import Augmentation, Batch, Method, Prediction, Stage, Step
from raysearch.thresholds import BoxRule


class SaliencyProposals(Method):
    """Saliency by a pyramid and log-sum-exp pooling, and proposals whose crops a classifier has to recognise."""

    name: ClassVar[str] = "saliency_proposals"
    title: ClassVar[str] = "Region proposals for saliency map refinement (Hermoza et al., MICCAI 2020)"
    Config = SaliencyProposalsConfig
    view: ClassVar[Literal["single", "multi"]] = "multi"
    metric: ClassVar[str] = "box_iou"
    reports: ClassVar[tuple[str, ...]] = (
        "auc",
        "iou:classes",
        "box_iou:classes",
        "cdice:classes",
        "box_accuracy@0.3:classes",
        "box_accuracy@0.5:classes",
        "box_accuracy@0.6:classes",
    )
    initial_weights: ClassVar[tuple[str, ...]] = ("weights", "crop_weights")
    config: SaliencyProposalsConfig

    @property
    def box_rule(self) -> BoxRule:
        return self.config.component

    def build(self) -> nn.Module:
        return Network(self._classification(), self._detection())

    def stages(self, epochs: int) -> Sequence[Stage]:
        c = self.config
        first, second, third = stage_epochs(epochs, c.detection_share, c.joint_share)
        over = second + third if c.temperature_stages == "both" else second
        annealing = Annealing(first=first, epochs=over)
        stages = (
            adam_stage(c, "classification", first, _classification_of, betas=self._betas, eps=c.eps),
            adam_stage(c, "detection", second, self._detection_of, c.detection_lr, betas=self._betas, eps=c.eps),
            adam_stage(c, "joint", third, lambda model: model, c.joint_lr, betas=self._betas, eps=c.eps),
        )
        return tuple(_annealed(stage, annealing) for stage in stages if stage.epochs)

    def augmentation(self) -> Augmentation:
        c = self.config
        return replace(augmentation(c, self.task.size), zoom=c.zoom, shift=c.shift)

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        c = self.config
        network = cast(Network, model)
        if step.stage == "classification":
            loss = c.loss_scale * self._loss(network.classification(batch.images).logits, batch.labels)
            step.backward(loss)
            return {"loss": loss.detach(), "loss_image": loss.detach()}
        seen = self._seen(network, batch.images, frozen=step.stage == "detection" and c.freeze_norms)
        progress = network.annealing.progress(step.epoch)
        tau = temperature(c.temperature_schedule, c.temperature_start, c.temperature_end, progress)
        crops = self._crop_logits(network, batch, seen, step.generator, tau)
        of_image, of_crop = self._loss(seen.logits, batch.labels), self._loss(crops, batch.labels)
        loss = of_crop + of_image if c.joint_loss or step.stage == "joint" else of_crop
        step.backward(loss)
        return {
            "loss": loss.detach(),
            "loss_image": of_image.detach(),
            "loss_crop": of_crop.detach(),
            "temperature": loss.new_tensor(tau),
        }

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        network = cast(Network, model)
        with evaluating(network):
            # features of all classes and proposals at once: no more images than a step has
            pictures = torch.split(images, self.batch_size)
            own = [None] * len(pictures) if inside is None else torch.split(inside, self.batch_size)
            parts = [self._answer(network, *part) for part in zip(pictures, own, strict=True)]
        scores, maps = (torch.cat(each) for each in zip(*parts, strict=True))
        return Prediction(scores=scores, maps=maps)

    def _answer(self, network: Network, images: Tensor, inside: Tensor | None) -> tuple[Tensor, Tensor]:
        """Scores (N, K) and maps (N, K, H, W), both in [0, 1]."""
        c = self.config
        seen = network.classification(images)
        size = (images.shape[2], images.shape[3])
        maps = resized_evenly(self._map(network, seen, size), size)
        if c.scale == "percentile":
            maps = percentiles(maps, inside)
        elif c.map != "sal":
            maps = scaled(maps, inside)
        return seen.logits.sigmoid(), maps.clamp(0.0, 1.0)

    def _map(self, network: Network, seen: Seen, size: tuple[int, int]) -> Tensor:
        """x_S, x_RPN or x_FS (N, K, h, w)."""
        c = self.config
        saliency = seen.saliency.sigmoid()
        if c.map == "sal":
            return saliency
        cells = (saliency.shape[2], saliency.shape[3])
        confidences, boxes = network.detection.proposals(seen.features, seen.saliency, size)
        found = detection_map(confidences, boxes, cells, size, reading=c.rpn_map, confidence=c.confidence)
        return found if c.map == "det" else found * resized_evenly(saliency, (found.shape[2], found.shape[3]))

    def _seen(self, network: Network, images: Tensor, *, frozen: bool) -> Seen:
        if not frozen:
            seen: Seen = network.classification(images)
            return seen
        with evaluating(network.classification):
            return cast(Seen, network.classification(images))

    def _crop_logits(
        self, network: Network, batch: Batch, seen: Seen, generator: torch.Generator, tau: float
    ) -> Tensor:
        """z (N, K) of the crops at the proposals that are drawn."""
        c = self.config
        images = network.classification.normalize(batch.images)
        size = (images.shape[2], images.shape[3])
        confidences, boxes = network.detection.proposals(seen.features, seen.saliency, size)
        noise = gumbel_noise(generator, batch.index, (confidences.shape[1], confidences.shape[2]))
        drawn = straight_through(confidences + c.gumbel_noise * noise, tau)
        crop = bilinear_crop if c.crop_kernel == "bilinear" else gaussian_crop
        crops = crop(images, (drawn[..., None] * boxes).sum(2), c.crop_size)
        logits: Tensor = network.detection.classifier(crops)
        return logits + seen.logits if c.add_image_logit else logits

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        odds = self.task.positives or (1.0,) * len(self.task.classes)
        return balanced_loss(logits, labels, _shares(odds, self.config.balance, logits.dtype, logits.device))

    def _classification(self) -> Classification:
        c = self.config
        backbone = build_features(c.backbone, weights=c.weights, in_channels=self.task.channels)
        self._leak(backbone, "backbone")
        return Classification(
            Normalize(c.normalize, self.task.channels),
            backbone,
            len(self.task.classes),
            width=c.pyramid_channels,
            hidden=c.head_channels,
            slope=c.leaky_slope,
            r0=c.lse_r0,
            learned=c.lse_learned,
        )

    def _detection(self) -> Detection:
        c = self.config
        proposals = ProposalHead(
            c.head_channels,
            Anchors(side=c.anchor_size, levels=c.anchor_levels, stride=c.anchor_stride),
            hidden=c.proposal_channels,
            slope=c.leaky_slope,
            roi_size=c.roi_size,
            roi_sampling=c.roi_sampling,
        )
        stride = CropClassifier.STRIDE
        body = build_backbone(
            c.crop_backbone, weights=c.crop_weights, in_channels=self.task.channels, output_stride=stride
        )
        self._leak(body, "crop_backbone")
        classes = len(self.task.classes)
        return Detection(proposals, CropClassifier(body, classes, slope=c.leaky_slope, dropout=c.crop_dropout))

    def _leak(self, network: nn.Module, setting: str) -> None:
        """
        Raises:
            MethodError: the network that `setting` names has no activation that could leak.
        """
        slope = self.config.leaky_slope
        if leak(network, slope) == 0 and slope > 0:
            raise MethodError(
                f"leaky_slope is {slope:g}, but {setting} {getattr(self.config, setting)!r} has no nn.ReLU to replace:"
                " use leaky_slope=0, or a network with ReLU modules, as torchvision/densenet121 or torchvision/resnet34"
            )

    def _detection_of(self, model: nn.Module) -> nn.Module:
        """What the detection stage trains."""
        network = cast(Network, model)
        if self.config.freeze_norms:
            return network.detection
        return nn.ModuleList([network.detection, *batch_norms(network.classification)])

    @property
    def _betas(self) -> tuple[float, float]:
        return self.config.beta1, self.config.beta2


@cache
def _shares(odds: tuple[float, ...], counted: Counted, dtype: torch.dtype, device: torch.device) -> Tensor:
    """`positive_shares` (K,), made once for all steps."""
    return torch.tensor(positive_shares(odds, counted), dtype=dtype, device=device)


def _classification_of(model: nn.Module) -> nn.Module:
    return cast(Network, model).classification


def _annealed(stage: Stage, annealing: Annealing) -> Stage:
    """The stage, on entering which the network is told when the temperature falls."""

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        cast(Network, model).annealing = annealing
        return stage.optimizer(model)

    return replace(stage, optimizer=optimizer)
