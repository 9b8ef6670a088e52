"""Binds network, losses and erasing to the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal, cast

from torch import Tensor, nn

from methods._augmentation import augmentation
from methods._optim import single_stage
from methods.layers.backbone import build_backbone
from methods.layers.crf import dense_crf
from methods.layers.images import Normalize
from methods.layers.mode import evaluating
from methods.layers.pooling import WildcatHead
from methods.minmax_entropy import mask as masks
from methods.minmax_entropy._config import MapNormalization, MinMaxEntropyConfig
from methods.minmax_entropy.erasing import mine
from methods.minmax_entropy.losses import label_loss, uniform_loss
from methods.minmax_entropy.network import Network
from raysearch.method import Augmentation, Batch, Method, Prediction, Stage, Step


class MinMaxEntropy(Method):
    """A localizer finds the region that decides the class; a classifier is certain on it and undecided on the rest."""

    name: ClassVar[str] = "minmax_entropy"
    title: ClassVar[str] = "Min-max entropy with recursive erasing (Belharbi et al., arXiv:1907.12934)"
    Config = MinMaxEntropyConfig
    view: ClassVar[Literal["single", "multi"]] = "single"
    config: MinMaxEntropyConfig

    def build(self) -> nn.Module:
        c = self.config
        backbone = build_backbone(
            c.backbone, weights=c.weights, in_channels=self.task.channels, output_stride=c.output_stride
        )

        def head() -> WildcatHead:
            return WildcatHead(
                backbone.features,
                len(self.task.classes),
                modalities=c.modalities,
                kmax=c.kmax,
                kmin=c.kmin,
                alpha=c.alpha,
                dropout=c.dropout,
            )

        normalize = Normalize(c.normalize, self.task.channels)
        return Network(
            normalize,
            backbone,
            head(),
            head(),
            classifier_scale=c.classifier_scale,
            split_statistics=c.batch_norm == "split",
        )

    def stages(self, epochs: int) -> Sequence[Stage]:
        return single_stage(self.config, epochs)

    def augmentation(self) -> Augmentation:
        return augmentation(self.config, self.task.size)

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        c = self.config
        network = cast(Network, model)
        images = network.normalize(batch.images)

        def localize(erased: Tensor) -> tuple[Tensor, Tensor]:
            logits, maps = network.localize(erased, erased=erased is not images)
            return logits, self._mask(self._map(logits, maps, erased, batch.inside, c.map_normalization))

        mined = mine(
            localize,
            images,
            batch.labels,
            reading=c.erasing,
            u=c.u,
            sigma=c.sigma,
            start=c.erasing_start,
            epoch=step.epoch,
            backward=step.backward,
        )
        # the terms of eq. 6 one after the other, so that only one graph is alive
        decided = label_loss(network.classify(images * mined.mask), batch.labels).mean()
        step.backward(decided)
        undecided = uniform_loss(network.classify(images * (1 - mined.mask), negative=True)).mean()
        step.backward(undecided)
        return {
            "loss": (decided + undecided).detach() + mined.loss,
            "loss_positive": decided.detach(),
            "loss_negative": undecided.detach(),
            "loss_localizer": mined.loss,
            "passes": images.new_tensor(float(mined.passes)),
        }

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        network = cast(Network, model)
        with evaluating(network):
            inputs = network.normalize(images)
            logits, maps = network.localize(inputs)
            # over a batch, an image's answer would depend on its neighbours
            alone: MapNormalization = "none" if self.config.map_normalization == "none" else "sample"
            fine = self._map(logits, maps, inputs, inside, alone)
            mask = self._mask(fine)
            scores = network.classify(inputs * mask).softmax(1)
            prediction = Prediction(scores=scores, maps=fine.clamp(0.0, 1.0))
            if self.config.postprocess == "crf":
                prediction = replace(prediction, maps=dense_crf(mask, images, self.config.crf_settings(), inside))
        return prediction

    def _map(
        self, logits: Tensor, maps: Tensor, images: Tensor, inside: Tensor | None, normalization: MapNormalization
    ) -> Tensor:
        height, width = images.shape[-2:]
        coarse = masks.localization_map(logits.detach(), maps.detach())
        return masks.full_resolution(
            coarse,
            (height, width),
            normalization=normalization,
            sigma_prime=self.config.sigma_prime,
            inside=inside,
        )

    def _mask(self, fine: Tensor) -> Tensor:
        return masks.mask(fine, omega=self.config.omega, sigma_prime=self.config.sigma_prime)
