"""Binds the segmentation network, its loss and its images to the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from methods._augmentation import augmentation
from methods.chexseg._config import CheXsegConfig
from methods.chexseg._sampling import mixed
from methods.chexseg._upstream import expert_rows, nothing_known, nothing_weak, weak_candidates
from methods.chexseg.cams import Cams
from methods.chexseg.classifier import Classifier, EncoderClassifier, load_backbone
from methods.chexseg.irnet import IrNet, Seeds
from methods.chexseg.losses import class_average_dice
from methods.chexseg.pseudo_labels import CamLabels, WalkLabels, pseudo_regions
from methods.layers.deeplab import DeepLabV3Plus
from methods.layers.images import Normalize
from methods.layers.inside import own_highest
from methods.layers.mode import evaluating
from methods.layers.regions import masks_and_truth, region_targets
from methods.layers.stages import Stages
from methods.layers.workers import of_all_workers
from raysearch.method import Augmentation, Batch, Method, Pool, Prediction, PseudoRegions, Stage, Step, Stream, Upstream


class CheXseg(Method):
    """DeepLabV3+ on expert masks and pseudo-labels. An image's score is the maximum of the class's map on the picture:
    the network has no other."""

    name: ClassVar[str] = "chexseg"
    title: ClassVar[str] = (
        "CheXseg, expert masks mixed with pseudo-labels from saliency maps (Gadgil et al., MIDL 2021)"
    )
    Config = CheXsegConfig
    view: ClassVar[Literal["single", "multi"]] = "multi"
    supervision: ClassVar[Literal["image", "region", "pixel", "none"]] = "region"
    metric: ClassVar[str] = "iou_pooled:classes"
    reports: ClassVar[tuple[str, ...]] = ("iou", "iou_per_image:classes", "auc")
    config: CheXsegConfig

    @classmethod
    def upstream(cls, config: Any) -> tuple[type[Upstream], ...]:
        work: list[type[Upstream]] = []
        if config.learns_from_pseudo_labels:
            irnet: list[type[Upstream]] = [Seeds, IrNet, WalkLabels]
            work += [Classifier, Cams, *(irnet if config.labels == "irnet" else [CamLabels])]
        encoder = encoder_classifier(config)
        return (*work, encoder) if encoder is not None and encoder not in work else tuple(work)

    @classmethod
    def inputs(cls, config: Any) -> tuple[str, ...]:
        encoder = encoder_classifier(config)
        labels = (WalkLabels if config.labels == "irnet" else CamLabels,) if config.learns_from_pseudo_labels else ()
        return tuple(work.name for work in (*labels, encoder) if work is not None)

    def build(self) -> nn.Module:
        c, channels = self.config, self.task.channels
        source = encoder_classifier(c)
        encoder = Stages(
            c.backbone,
            weights="random" if source else c.weights,
            in_channels=channels,
            output_stride=c.output_stride,
        )
        if source and source.name in self.outcomes:
            load_backbone(encoder.backbone, self.outcomes[source.name])
        return DeepLabV3Plus(
            Normalize(c.normalize, channels),
            encoder,
            len(self.task.classes),
            width=c.width,
            detail=c.detail,
            dilation=c.dilation,
            dropout=c.dropout,
        )

    def stages(self, epochs: int) -> Sequence[Stage]:
        def optimizer(model: nn.Module) -> torch.optim.Optimizer:
            return torch.optim.Adam(model.parameters(), lr=self.config.lr)

        stream = Stream(
            name="mixed",
            draw=self.draw,
            batch=self.config.batch,
            augmentation=augmentation(self.config, self.task.size),
        )
        return (Stage(name="segmentation", epochs=epochs, optimizer=optimizer, streams=(stream,)),)

    def check(self, pool: Pool) -> Sequence[str]:
        c, weak = self.config, weak_candidates(pool)
        self.refuse_empty(pool, expert_rows(pool), weak)
        if not c.learns_from_pseudo_labels or not 0 < len(weak) <= c.weak_maps:
            return ()
        return (
            f"weak_maps is {c.weak_maps}, and {len(weak)} training images have a positive label and no known region: "
            "all of them get pseudo-labels, the same ones whatever the subset",
        )

    def augmentation(self) -> Augmentation:
        return augmentation(self.config, self.task.size)

    def pseudo_regions(self) -> PseudoRegions | None:
        for labels in (CamLabels, WalkLabels):
            if labels.name in self.outcomes:
                return pseudo_regions(self.outcomes[labels.name])
        return None

    def draw(self, pool: Pool, generator: np.random.Generator) -> NDArray[np.int64]:
        """Rows of an epoch.

        Raises:
            DataError: a set that places go to has no image.
        """
        c, made = self.config, self.pseudo_regions()
        expert = pool.rows[:0] if c.supervision == "weak" else expert_rows(pool)
        weak = made.rows if made is not None else pool.rows[:0]
        self.refuse_empty(pool, expert, weak)
        return mixed(expert, weak, c.p, c.sampling, generator)

    def refuse_empty(self, pool: Pool, expert: NDArray[np.int64], weak: NDArray[np.int64]) -> None:
        """DataError if a set that places go to is empty: from the other alone it would be another condition."""
        c = self.config
        if c.expert_share < 1 and not len(weak):
            raise nothing_weak(pool)
        if c.expert_share > 0 and not len(expert):
            share = f", p={c.p:g}" if c.supervision == "semi" else ""
            raise nothing_known(pool, f"supervision={c.supervision}{share}")

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        masks, truth = masks_and_truth(batch, self.name)
        loss = class_average_dice(model(batch.images), region_targets(masks, truth), truth >= 0, batch.inside)
        step.backward(of_all_workers(loss, batch.share))
        return {"loss": loss.detach()}

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        with evaluating(model):
            maps = model(images).sigmoid()
        return Prediction(scores=own_highest(maps, inside), maps=maps)


def encoder_classifier(config: CheXsegConfig) -> type[Classifier] | None:
    """Whose weights the encoder starts from: the classifier of the saliency maps if it is the same network."""
    if config.weights != "classifier":
        return None
    own = config.classifier_backbone, config.classifier_stride
    return Classifier if own == (config.backbone, config.output_stride) else EncoderClassifier
