"""Binds the patch network and the losses of Li et al. to the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from torch import Tensor, nn

from methods._optim import adam_stage
from methods._patches import PatchMethod, PatchNetwork
from methods.layers.grid import to_pixels
from methods.layers.inside import own_cells, without_padding
from methods.layers.mode import evaluating
from methods.li_base._config import LiBaseConfig
from methods.li_base.losses import annotated_loss, log_presence, log_probabilities, unannotated_loss
from raysearch.method import Batch, Prediction, Stage, Step


class LiBase(PatchMethod):
    """Independent patches: an image shows a class if any of its patches does."""

    name: ClassVar[str] = "li_base"
    title: ClassVar[str] = "Base model with patch-wise multiple-instance loss (Li et al., CVPR 2018)"
    Config = LiBaseConfig
    config: LiBaseConfig

    def build(self) -> nn.Module:
        return self.patch_network(blur=1)

    def stages(self, epochs: int) -> Sequence[Stage]:
        return (adam_stage(self.config, "train", epochs, lambda model: model),)

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        regions = self.regions(batch)
        present, absent = log_probabilities(cast(PatchNetwork, model)(batch.images), self.config.rescale_min)
        absent = without_padding(absent, regions.own)  # the logarithm of 1
        loss, annotated, unannotated = regions.total(
            annotated_loss(regions.of(present), regions.of(absent), regions.cells),
            unannotated_loss(absent, batch.labels),
            self.config.lambda_ann,
        )
        step.backward(loss)
        return {
            "loss": loss.detach(),
            "loss_annotated": annotated.detach(),
            "loss_unannotated": unannotated.detach(),
        }

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        with evaluating(model):
            logits = cast(PatchNetwork, model)(images)
            own = own_cells(inside, (logits.shape[2], logits.shape[3]))
            # eq. 2, the probability that the loss is about
            absent = without_padding(log_probabilities(logits, self.config.rescale_min)[1], own)
            log_some, _ = log_presence(absent)
            height, width = images.shape[-2:]
            return Prediction(scores=log_some.exp(), maps=to_pixels(logits.sigmoid(), (height, width)))
