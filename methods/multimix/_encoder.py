"""The classifying baselines, and the losses that the classifying branch has in all models (eq. 1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.multimix import _streams
from methods.multimix._base import Losses, MultiMixFamily, mean_of, mean_of_known
from methods.multimix._config import EncConfig, EncSslConfig
from methods.multimix.losses import pseudo_label_loss
from methods.multimix.network import Network
from raysearch.method import Batch, LossThreshold, Step, Stream, by_class

CONFIDENCE = LossThreshold(name="t", low=0.5, high=1.0)
"""Compared with no region, so that only the proposer ``search`` can move it."""


class Enc(MultiMixFamily):
    """The encoder and its classifier, on labelled images alone. It localizes nothing: its maps are 0."""

    name: ClassVar[str] = "enc"
    title: ClassVar[str] = "Encoder of MultiMix, labelled images alone (Haque et al., MELBA 2021)"
    Config = EncConfig
    view: ClassVar[Literal["single", "multi"]] = "single"
    data: ClassVar[str] = "phantom:task=normal-vs-abnormal"
    metric: ClassVar[str] = "accuracy"
    reports: ClassVar[tuple[str, ...]] = ("f1_score", "auc")
    config: EncConfig

    def streams(self) -> Iterator[Stream]:
        yield _streams.stream("labelled", 0, _streams.is_labelled, self.config.batch, _streams.weak(self.config))

    def losses(self, network: Network, batch: Batch, step: Step) -> Iterator[Losses]:
        del step
        yield {"loss_label": (1.0, label_loss(network.classify(batch.images), batch))}


class PseudoLabels(Enc):
    """Classification by eq. 1: a stream of unlabelled images, seen weakly and strongly augmented."""

    loss_thresholds: ClassVar[tuple[LossThreshold, ...]] = (CONFIDENCE,)

    def streams(self) -> Iterator[Stream]:
        yield from super().streams()
        c = cast(EncSslConfig, self.config)
        kind = _streams.unlabelled(c.unlabelled)
        yield _streams.stream("unlabelled", 0, kind, c.batch, _streams.weak(c), strong=_streams.strong(c))

    def losses(self, network: Network, batch: Batch, step: Step) -> Iterator[Losses]:
        del step
        c = cast(EncSslConfig, self.config)
        unlabelled = batch.beside["unlabelled"]
        if unlabelled.strong is None or not len(unlabelled.images):
            none = batch.images.new_zeros(())
            label = label_loss(network.classify(batch.images), batch)
            yield {"loss_label": (1.0, label), "loss_unlabelled": (c.lambda_u, none), "pseudo_labelled": (0.0, none)}
            return
        with torch.no_grad():
            weak = network.classify(unlabelled.images)
        # images do not see each other: one pass is as good as two, and faster
        logits = network.classify(torch.cat((batch.images, unlabelled.strong)))
        labelled, strong = logits[: len(batch.images)], logits[len(batch.images) :]
        t = weak.new_tensor(by_class(c.t, self.task.classes))[self.class_columns]
        values, sure = pseudo_label_loss(weak, strong, t)
        yield {
            "loss_label": (1.0, label_loss(labelled, batch)),
            "loss_unlabelled": (c.lambda_u, mean_of(values, unlabelled, batch)),
            "pseudo_labelled": (0.0, mean_of(sure.to(values.dtype), unlabelled, batch)),
        }


class EncSsl(PseudoLabels):
    """Pseudo-labels of unlabelled images where the classifier is sure of them."""

    name: ClassVar[str] = "enc_ssl"
    title: ClassVar[str] = "Encoder of MultiMix with confident pseudo-labels (Haque et al., MELBA 2021)"
    Config = EncSslConfig
    config: EncSslConfig


def label_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of logits (N, K), mean over the labelled images of all workers."""
    values = F.cross_entropy(logits, batch.labels, ignore_index=-1, reduction="none")
    return mean_of_known(values, batch.labels >= 0, batch)
