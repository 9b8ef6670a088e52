"""The segmenting baselines, the multi-task models, and MultiMix: all of section 3.2's ablations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from methods.layers.inside import in_both, own_highest
from methods.layers.mode import evaluating
from methods.multimix import _streams
from methods.multimix._base import Losses, MultiMixFamily, mean_of, mean_of_known
from methods.multimix._config import (
    MultiMixConfig,
    MultiMixUNetConfig,
    UmtlConfig,
    UmtlSConfig,
    UmtlSslConfig,
    UmtlSslSConfig,
)
from methods.multimix._encoder import Enc, PseudoLabels
from methods.multimix.losses import bernoulli_divergence, channel_divergence, dice_loss
from methods.multimix.network import Network
from raysearch.method import Batch, Prediction, Step, Stream

SEGMENTATION = ("iou", "precision", "recall", "ssim", "hausdorff")
"""Metrics of the paper's section 3.2 beside the Dice similarity, which is F1+."""


class MultiMixUNet(MultiMixFamily):
    """The encoder and the decoder, on images with masks alone."""

    name: ClassVar[str] = "multimix_unet"
    title: ClassVar[str] = "U-Net of MultiMix, images with masks alone (Haque et al., MELBA 2021)"
    Config = MultiMixUNetConfig
    view: ClassVar[Literal["single", "multi"]] = "multi"
    supervision: ClassVar[Literal["image", "region", "pixel", "none"]] = "pixel"
    data: ClassVar[str] = "phantom:task=lungs,images=300"
    unlabelled: ClassVar[bool] = False
    reports: ClassVar[tuple[str, ...]] = SEGMENTATION
    classifies: ClassVar[bool] = False
    segments: ClassVar[bool] = True

    def streams(self) -> Iterator[Stream]:
        yield _streams.stream("masked", 0, _streams.is_masked, self.config.batch)

    def losses(self, network: Network, batch: Batch, step: Step) -> Iterator[Losses]:
        del step
        target, known = self.regions(batch)
        dice = dice_loss(network.segment(batch.images), target, batch.inside)
        yield {"loss_dice": (1.0, mean_of_known(dice, known, batch))}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        with evaluating(model):
            _, regions = model(images)
        maps = regions.sigmoid()
        return Prediction(scores=own_highest(maps, inside), maps=maps)


class _Segments(Enc):
    """The decoder beside a classifying branch: a second source, of masks."""

    supervision: ClassVar[Literal["image", "region", "pixel", "none"]] = "region"
    data: ClassVar[str] = "cls=phantom:task=normal-vs-abnormal,images=300,seg=phantom:task=lungs,images=300"
    sources: ClassVar[tuple[str, ...]] = ("cls", "seg")
    metric: ClassVar[str] = "f1_plus"
    reports: ClassVar[tuple[str, ...]] = ("accuracy", "f1_score", "auc", *SEGMENTATION)
    segments: ClassVar[bool] = True

    def streams(self) -> Iterator[Stream]:
        yield from super().streams()
        yield _streams.stream("masked", 1, _streams.is_masked, self.config.batch)

    def losses(self, network: Network, batch: Batch, step: Step) -> Iterator[Losses]:
        yield from super().losses(network, batch, step)
        yield self.segmentation(network, batch)

    def segmentation(self, network: Network, batch: Batch) -> Losses:
        masked = batch.beside["masked"]
        logits = network.segment(masked.images) if len(masked.images) else None
        return {"loss_dice": (cast(UmtlConfig, self.config).alpha, self.dice(logits, masked, batch))}

    def dice(self, logits: Tensor | None, masked: Batch, batch: Batch) -> Tensor:
        """Mean over the known pairs of all workers; None are the logits of no image."""
        target, known = self.regions(masked)
        values = target.new_zeros(known.shape) if logits is None else dice_loss(logits, target, masked.inside)
        return mean_of_known(values, known, batch)


class Umtl(_Segments):
    """Both branches, on labelled images and images with masks alone."""

    name: ClassVar[str] = "umtl"
    title: ClassVar[str] = "U-Net with a classifier, multi-task baseline of MultiMix (Haque et al., MELBA 2021)"
    Config = UmtlConfig


class UmtlS(Umtl):
    """With the saliency bridge."""

    name: ClassVar[str] = "umtl_s"
    title: ClassVar[str] = "UMTL with the saliency bridge (Haque et al., MELBA 2021)"
    Config = UmtlSConfig
    bridge: ClassVar[bool] = True


class UmtlSsl(_Segments, PseudoLabels):
    """With pseudo-labels of unlabelled images."""

    name: ClassVar[str] = "umtl_ssl"
    title: ClassVar[str] = "UMTL with confident pseudo-labels (Haque et al., MELBA 2021)"
    Config = UmtlSslConfig


class UmtlSslS(UmtlSsl):
    """With pseudo-labels and the saliency bridge."""

    name: ClassVar[str] = "umtl_ssl_s"
    title: ClassVar[str] = "UMTL with confident pseudo-labels and the saliency bridge (Haque et al., MELBA 2021)"
    Config = UmtlSslSConfig
    bridge: ClassVar[bool] = True


class MultiMix(UmtlSslS):
    """All of it, and a divergence that holds predictions for images without masks to those for images with masks."""

    name: ClassVar[str] = "multimix"
    title: ClassVar[str] = "MultiMix: classification and segmentation from mostly unlabelled images (MELBA 2021)"
    Config = MultiMixConfig

    def streams(self) -> Iterator[Stream]:
        yield from super().streams()
        c = cast(MultiMixConfig, self.config)
        yield _streams.stream("unmasked", 1, _streams.unmasked(c.unlabelled), c.batch)

    def segmentation(self, network: Network, batch: Batch) -> Losses:
        c = cast(MultiMixConfig, self.config)
        masked, unmasked = batch.beside["masked"], batch.beside["unmasked"]
        images = torch.cat((masked.images, unmasked.images))
        # images do not see each other: one pass is as good as two, and faster
        logits = network.segment(images) if len(images) else None
        one = None if logits is None or not len(masked.images) else logits[: len(masked.images)]
        divergence = batch.images.new_zeros(0)
        if logits is not None:
            # the i-th of either batch, unrelated images, as eq. 5 has it
            pairs = min(len(masked.images), len(unmasked.images))
            measure = bernoulli_divergence if c.kl == "bernoulli" else channel_divergence
            common = in_both(masked.inside, unmasked.inside, pairs)
            divergence = measure(logits[:pairs], logits[len(masked.images) :][:pairs], common)
        return {
            "loss_dice": (c.alpha, self.dice(one, masked, batch)),
            "loss_divergence": (c.beta, mean_of(divergence, masked, batch)),
        }
