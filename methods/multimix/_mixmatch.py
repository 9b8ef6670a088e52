"""MixMatch on the encoder: guessed labels of two views, and everything mixed with everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.layers.workers import rows_of_all
from methods.multimix import _streams
from methods.multimix._base import Losses, mean_of
from methods.multimix._config import EncMmConfig
from methods.multimix._encoder import Enc
from methods.multimix.mixmatch import consistency_loss, mix_up, mixed_label_loss, ramp_up, sharpen
from methods.multimix.network import Network
from raysearch.method import Batch, Step, Stream


class EncMm(Enc):
    """The encoder and its classifier by MixMatch."""

    name: ClassVar[str] = "enc_mm"
    title: ClassVar[str] = "Encoder of MultiMix by MixMatch (Haque et al., MELBA 2021; Berthelot et al., NeurIPS 2019)"
    Config = EncMmConfig
    config: EncMmConfig

    def streams(self) -> Iterator[Stream]:
        yield from super().streams()
        c = self.config
        view = _streams.weak(c)
        yield _streams.stream("unlabelled", 0, _streams.unlabelled(c.unlabelled), c.batch, view, strong=view)

    def losses(self, network: Network, batch: Batch, step: Step) -> Iterator[Losses]:
        c = self.config
        unlabelled = batch.beside["unlabelled"]
        other = unlabelled.images if unlabelled.strong is None else unlabelled.strong
        views = (unlabelled.images, other)
        known = F.one_hot(batch.labels, len(self.class_columns)).to(batch.images.dtype)
        guess = self.guess(network, views)
        images, targets = self.mixed((batch.images, *views), (known, guess, guess), step)
        first = len(batch.images)
        logits = network.classify(images)
        label = mixed_label_loss(logits[:first], targets[:first])
        consistency = consistency_loss(logits[first:], targets[first:])
        yield {
            "loss_label": (1.0, mean_of(label, batch, batch)),
            "loss_unlabelled": (c.lambda_u * ramp_up(step.epoch, c.ramp), mean_of(consistency, unlabelled, batch)),
        }

    def guess(self, network: Network, views: tuple[Tensor, ...]) -> Tensor:
        """Label distributions (N, K) of N unlabelled images, without a gradient: sharpened means over their views."""
        if not len(views[0]):
            return views[0].new_zeros(0, len(self.class_columns))
        with torch.no_grad():
            p = network.classify(torch.cat(views)).softmax(1)
        return sharpen(p.view(len(views), -1, p.shape[1]).mean(0), self.config.temperature)

    def mixed(self, images: tuple[Tensor, ...], targets: tuple[Tensor, ...], step: Step) -> tuple[Tensor, Tensor]:
        """MixUp of every image of the step with another one: images (n, C, H, W) and label distributions (n, K) of this
        worker. Partners come from all workers and are drawn for all alike, so that their number does not matter."""
        everyone, own = _gathered(images)
        everyones, _ = _gathered(targets)
        seed = int(torch.randint(2**62, (), generator=step.generator, device=step.generator.device))
        draws = np.random.default_rng(seed)
        partner = torch.from_numpy(draws.permutation(len(everyone)))[own].to(everyone.device)
        weight = torch.from_numpy(draws.beta(self.config.mixing, self.config.mixing, len(everyone)))[own].to(everyone)
        return (
            mix_up(torch.cat(images), everyone[partner], weight),
            mix_up(torch.cat(targets), everyones[partner], weight),
        )


def _gathered(parts: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """The parts (n, ...) one after the other, each of all workers, and the rows of this worker (int64)."""
    everyone, own, before = [], [], 0
    for part in parts:
        rows, start = rows_of_all(part)
        everyone.append(rows)
        own.append(before + start + torch.arange(len(part)))
        before += len(rows)
    return torch.cat(everyone), torch.cat(own)
