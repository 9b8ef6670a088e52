"""What MultiMix and its baselines share: the network, the optimiser, and a step that adds up weighted losses."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

from methods.layers.images import Normalize
from methods.layers.mode import evaluating
from methods.layers.regions import masks_and_truth, region_targets
from methods.layers.workers import mean_over_known
from methods.multimix._config import MultiMixUNetConfig, UmtlSConfig
from methods.multimix.network import SMALLEST, Network
from raysearch.errors import MethodError
from raysearch.method import Batch, Method, Pool, Prediction, Stage, Step, Stream, Task

Losses = Mapping[str, tuple[float, Tensor]]
"""Weights and scalars by name."""


class MultiMixFamily(Method):
    """The encoder of appendix A with its classifier, its decoder, or both.

    Class attributes:
        classifies, segments: which branches it has.
        bridge: whether saliency of the classifier enters the decoder.
    """

    unlabelled: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    segments: ClassVar[bool] = False
    bridge: ClassVar[bool] = False
    config: MultiMixUNetConfig

    def __init__(self, config: MultiMixUNetConfig, task: Task) -> None:
        super().__init__(config, task)
        if task.sources != self.sources:
            raise MethodError(
                f"{self.name}: data of {_sources(task.sources)}, expected {_sources(self.sources)}: give it with --data"
            )
        if min(task.size) < SMALLEST:
            found = "x".join(map(str, task.size))
            raise MethodError(
                f"{self.name}: images of {found}, expected sides of {SMALLEST} or more: set size={SMALLEST} or more"
            )
        source_of = task.source_classes or (0 if self.classifies else 1,) * len(task.classes)
        self.class_columns = [k for k, source in enumerate(source_of) if source == 0]
        """Of `Task.classes`, those of images; they come first."""
        self.region_columns = [k for k, source in enumerate(source_of) if source == 1]
        """Of `Task.classes`, those of regions."""

    def build(self) -> nn.Module:
        c = self.config
        return Network(
            Normalize(c.normalize, self.task.channels),
            self.task.channels,
            classes=len(self.class_columns),
            regions=len(self.region_columns),
            bridge=cast(UmtlSConfig, c).saliency_sign if self.bridge else None,
            width=c.width,
            dropout=c.dropout,
            slope=c.slope,
        )

    def check(self, pool: Pool) -> Sequence[str]:
        for stream in self.streams():
            stream.draw(pool, np.random.default_rng(0))  # DataError where nothing unlabelled is left
        return ()

    @abc.abstractmethod
    def streams(self) -> Iterator[Stream]:
        """What a step gets, the stream that it cannot do without first."""

    def stages(self, epochs: int) -> Sequence[Stage]:
        c = self.config
        return (
            Stage(
                name="train",
                epochs=epochs,
                optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=c.lr),
                schedule=partial(StepLR, step_size=c.lr_step, gamma=c.lr_decay),
                streams=tuple(self.streams()),
            ),
        )

    @abc.abstractmethod
    def losses(self, network: Network, batch: Batch, step: Step) -> Iterator[Losses]:
        """The losses of a step, in groups that share no part of the graph: each is given back before the next is made,
        so that less is kept. What has the weight 0 is only logged."""

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        total = batch.images.new_zeros(())
        logged: dict[str, Tensor] = {}
        for group in self.losses(cast(Network, model), batch, step):
            loss = torch.stack([weight * value for weight, value in group.values()]).sum()
            if loss.requires_grad:  # a group whose streams are empty on this worker has none
                step.backward(loss)
            total = total + loss.detach()
            logged |= {name: value.detach() for name, (_, value) in group.items()}
        return {"loss": total, **logged}

    def regions(self, part: Batch) -> tuple[Tensor, Tensor]:
        """Regions (N, S, H, W) in {0, 1} of the `region_columns`, and whether they are known, (N, S) bool."""
        masks, truth = masks_and_truth(part, self.name)
        columns = self.region_columns
        return region_targets(masks, truth)[:, columns], truth[:, columns] >= 0

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        """Scores are 0 for classes of regions. One class of regions has the only map; of several each has its own, and
        classes of images have maps of 0, as methods that do not segment have."""
        with evaluating(model):
            logits, regions = model(images)
        count, _, height, width = images.shape
        scores = images.new_zeros(count, len(self.task.classes))
        scores[:, self.class_columns] = logits.softmax(1)
        if len(self.region_columns) == 1:
            return Prediction(scores=scores, maps=regions.sigmoid())
        maps = images.new_zeros(count, len(self.task.classes) if self.region_columns else 1, height, width)
        maps[:, self.region_columns] = regions.sigmoid()
        return Prediction(scores=scores, maps=maps)


def mean_of(values: Tensor, part: Batch, batch: Batch) -> Tensor:
    """Mean of per-image `values` (n,) of a stream over all workers, where the engine weights the gradient by the first
    stream's `batch`; 0 for a stream that is empty on this worker."""
    return values.sum() / max(1, len(values)) * (part.share / batch.share)


def mean_of_known(values: Tensor, known: Tensor, batch: Batch) -> Tensor:
    """Mean of `values` over those that are `known`, of the same shape, on all workers; 0 if none is."""
    return mean_over_known(values.flatten(), known.flatten(), batch.share)


def _sources(names: Sequence[str]) -> str:
    return f"the sources {', '.join(names)}" if names else "one source"
