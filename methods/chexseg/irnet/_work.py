"""Trains IRNet on the seeds of saliency maps and leaves the boundaries that it finds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from methods.chexseg._config import CheXsegConfig
from methods.chexseg._upstream import nothing_weak
from methods.chexseg.classifier import Classifier, load_backbone
from methods.chexseg.irnet.losses import boundary_loss, displacement_losses, pair_sets
from methods.chexseg.irnet.network import IrNetwork
from methods.chexseg.irnet.pairs import pairs_within
from methods.chexseg.irnet.seeds import Seeds
from methods.layers.images import Normalize
from methods.layers.stages import Stages
from methods.layers.workers import of_all_workers
from raysearch.method import Batch, Outcome, Pool, Stage, Step, Stream, TrainingImages, Upstream


def decay(epochs: int, power: float, epoch: int) -> float:
    """Learning rate of an epoch (from 0) over that of epoch 0."""
    return float(max(0.0, 1 - epoch / epochs) ** power)


class IrNet(Upstream):
    """Each class of an image has seeds of its own, whose pairs are pooled: boundaries and displacements are of none.

    The backbone and its batch statistics are frozen. The rate falls once an epoch, by `irnet_decay`.
    Displacements serve to tell instances apart, which pseudo-labels of pathologies do not need, and share no trained
    parameter with boundaries: their settings have no effect on what the walk reads, and they leave nothing.
    """

    name: ClassVar[str] = "irnet"
    fields: ClassVar[tuple[str, ...]] = (
        "irnet_backbone",
        "irnet_weights",
        "irnet_width",
        "irnet_lr",
        "irnet_decay",
        "irnet_displacement_rate",
        "irnet_momentum",
        "irnet_weight_decay",
        "irnet_batch",
        "irnet_epochs",
        "irnet_radius",
        "displacement_sign",
        "reduction",
        "irnet_total",
    )
    inputs: ClassVar[tuple[str, ...]] = (Classifier.name, Seeds.name)
    config: CheXsegConfig

    @property
    def epochs(self) -> int:
        return self.config.irnet_epochs

    @property
    def batch_size(self) -> int:
        return self.config.irnet_batch

    def build(self) -> nn.Module:
        c, channels = self.config, self.task.channels
        own = c.irnet_weights == "classifier"
        stride = c.classifier_stride if own else 16
        weights = "random" if own else c.irnet_weights
        stages = Stages(c.irnet_backbone, weights=weights, in_channels=channels, output_stride=stride)
        if own:
            load_backbone(stages.backbone, self.outcomes[Classifier.name])
        return IrNetwork(Normalize(c.normalize, channels), stages, width=c.irnet_width)

    def stages(self, epochs: int) -> Sequence[Stage]:
        c = self.config

        def optimizer(model: nn.Module) -> torch.optim.Optimizer:
            network = cast(IrNetwork, model)
            groups: list[dict[str, Any]] = [
                {"params": network.boundary_parameters()},
                {"params": network.displacement_parameters(), "lr": c.irnet_lr * c.irnet_displacement_rate},
            ]
            return torch.optim.SGD(groups, lr=c.irnet_lr, momentum=c.irnet_momentum, weight_decay=c.irnet_weight_decay)

        def schedule(optimizer: torch.optim.Optimizer) -> LambdaLR:
            return LambdaLR(optimizer, partial(decay, epochs, c.irnet_decay))

        return (
            Stage(
                name=self.name,
                epochs=epochs,
                optimizer=optimizer,
                schedule=schedule,
                streams=(Stream(name="weak", draw=self.draw, batch=c.irnet_batch),),
            ),
        )

    def draw(self, pool: Pool, generator: np.random.Generator) -> NDArray[np.int64]:
        """Every image that is to get pseudo-labels, once; DataError if there is none."""
        rows = self.rows
        if not len(rows):
            raise nothing_weak(pool)
        return generator.permutation(rows)

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        c = self.config
        displacement, logits = model(batch.images)
        seeds, image = self.seeds_of(batch)
        pairs = pairs_within(c.irnet_radius, logits.device)
        sets = pair_sets(pairs, seeds, image, len(batch.images))
        foreground, background = displacement_losses(
            pairs, displacement, sets, sign=c.displacement_sign, reduction=c.reduction
        )
        boundary = boundary_loss(pairs, logits.sigmoid(), sets)
        whole = foreground + background + boundary
        # the released code halves both sums
        loss = of_all_workers(whole if c.irnet_total == "paper" else whole / 2, batch.share)
        step.backward(loss)
        return {
            "loss": loss.detach(),
            "loss_foreground": foreground.detach(),
            "loss_background": background.detach(),
            "loss_boundary": boundary.detach(),
        }

    @property
    def rows(self) -> NDArray[np.int64]:
        """Of the images that are to get pseudo-labels."""
        rows: NDArray[np.int64] = self.outcomes[Seeds.name]["rows"].numpy()
        return rows

    def seeds_of(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The seeds (M, h, w) of a batch's images, and whose each is (M,)."""
        left, index = self.outcomes[Seeds.name], batch.index.cpu().numpy()
        owner = torch.full((len(self.rows),), -1)
        owner[np.searchsorted(self.rows, index)] = torch.arange(len(index))
        image = owner[left["image"]]
        chosen = image >= 0
        device = batch.images.device
        return left["seeds"][chosen].to(device).float(), image[chosen].to(device)

    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        rows = np.intersect1d(self.rows, images.pool.rows)
        boundaries = []
        with torch.no_grad():
            for _, part in images.batches(rows, self.batch_size):
                _, logits = model(part)
                boundaries.append(logits.sigmoid().half().cpu())
        return {
            "rows": torch.from_numpy(rows),
            "boundary": torch.cat(boundaries) if boundaries else torch.zeros(0, 1, 1),
        }
