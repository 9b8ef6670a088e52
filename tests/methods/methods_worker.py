"""Trainings of methods by one of two workers, or by one alone (``python methods_worker.py FOLDER RANK WORKERS``)."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from methods.cam import Wildcat
from methods.chexseg import CheXseg
from methods.deep_mil import DeepMil
from methods.layers.statistics import batch_norms
from methods.li_base import LiBase
from methods.limited_annotation import LimitedAnnotation
from methods.minmax_entropy import MinMaxEntropy
from methods.multimix import EncMm, EncSsl, MultiMix, MultiMixUNet, UmtlS
from methods.saliency_proposals import SaliencyProposals
from methods.unet import UNet
from raysearch.data import Collection, open_collection, parse_data
from raysearch.method import (
    Augmentation,
    Batch,
    Method,
    Outcome,
    PseudoRegions,
    Stage,
    Step,
    Training,
    TrainingImages,
    Upstream,
    upstream_plan,
)
from raysearch.training import Alone, Assignment, Collective, ProcessGroup, Rule, Trainer
from raysearch.training._task import training_task
from raysearch.training._upstream import UpstreamTrainer

IMAGES = 30
"""Of each source; the first half is trained on."""
BATCH = 5
"""Odd, so that the shares of two workers differ."""

SLIM = {"backbone": "resnet10_slim", "weights": "random", "output_stride": 8}
WILDCAT = {**SLIM, "dropout": 0.0}
PATCHES = {**SLIM, "backbone": "resnetv2_10_slim", "patches": 8, "hidden": 16}
PROPOSALS = {
    "backbone": "densenet_slim",
    "weights": "random",
    "pyramid_channels": 8,
    "head_channels": 8,
    "anchor_size": 0.25,
    "anchor_levels": 2,
    "roi_size": 3,
    "proposal_channels": 8,
    "crop_backbone": "resnet10_slim",
    "crop_weights": "random",
    "crop_size": 16,
    "crop_dropout": 0.0,
}
CHEXSEG = {
    "backbone": "resnet10_slim",
    "classifier_backbone": "resnet10_slim",
    "classifier_weights": "random",
    "classifier_stride": 8,
    "classifier_epochs": 1,
    "classifier_batch": BATCH,
    "irnet_backbone": "resnet10_slim",
    "irnet_weights": "classifier",
    "irnet_width": 8,
    "irnet_batch": BATCH,
    "irnet_epochs": 1,
    "irnet_radius": 4,
    "output_stride": 8,
    "width": 8,
    "detail": 8,
    "dilation": 1,
    "dropout": 0.0,
}
MULTIMIX = {"width": 2, "dropout": 0.0}
ENCODER = {**MULTIMIX, "pad": 4}

CASES: Mapping[str, tuple[type[Method], Mapping[str, Any], int]] = {
    "saliency_proposals": (SaliencyProposals, PROPOSALS, 3),
    "saliency_proposals, released": (
        SaliencyProposals,
        {**PROPOSALS, "freeze_norms": False, "joint_loss": True, "add_image_logit": True, "crop_kernel": "gaussian"},
        3,
    ),
    "chexseg": (CheXseg, {**CHEXSEG, "p": 0.5}, 1),
    "chexseg, irnet": (CheXseg, {**CHEXSEG, "supervision": "weak", "labels": "irnet"}, 1),
    "multimix_unet": (MultiMixUNet, MULTIMIX, 1),
    "enc_ssl": (EncSsl, {**ENCODER, "t": 0.5}, 1),
    "enc_mm": (EncMm, {**ENCODER, "ramp": 0, "lambda_u": 5.0}, 1),
    "umtl_s": (UmtlS, ENCODER, 1),
    "multimix": (MultiMix, {**ENCODER, "t": 0.5}, 1),
    "limited_annotation": (LimitedAnnotation, {**PATCHES, "crf_steps": 2}, 2),
    "limited_annotation, softmax": (LimitedAnnotation, {**PATCHES, "crf": "softmax", "crf_window": 5}, 2),
    "minmax_entropy": (MinMaxEntropy, {**WILDCAT, "u": 2, "erasing_start": 0}, 1),
    "minmax_entropy, released": (
        MinMaxEntropy,
        {**WILDCAT, "u": 2, "erasing_start": 0, "erasing": "released", "map_normalization": "batch"},
        1,
    ),
    "li_base": (LiBase, PATCHES, 1),
    "wildcat": (Wildcat, WILDCAT, 1),
    "deep_mil": (DeepMil, SLIM, 1),
    "unet": (UNet, {"width": 4, "depth": 3}, 1),
}
"""By name a method, its settings and the epochs that all of its stages take."""


class Exact(Upstream):
    """A training in double precision with its batch norms frozen: what is left is the same for any number of workers.

    `inner` is upstream work, or a method, which leaves no outcome.
    """

    name = "exact"
    fields = ()

    def __init__(self, inner: Training) -> None:
        super().__init__(inner.config, inner.task)
        self.inner = inner

    @property
    def supervision(self) -> Any:  # type: ignore[override]
        return self.inner.supervision

    @property
    def batch_size(self) -> int:
        return self.inner.batch_size

    @property
    def epochs(self) -> int:
        return self.inner.epochs if isinstance(self.inner, Upstream) else 0

    def build(self) -> nn.Module:
        return self.inner.build().double()

    def stages(self, epochs: int) -> Sequence[Stage]:
        return self.inner.stages(epochs)

    def augmentation(self) -> Augmentation:
        return self.inner.augmentation()

    def pseudo_regions(self) -> PseudoRegions | None:
        return self.inner.pseudo_regions()

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        for norm in batch_norms(model):
            norm.eval()
        return self.inner.training_step(model, doubled(batch), step)

    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        assert isinstance(self.inner, Upstream)
        return self.inner.outcome(model.float(), images)


def doubled(batch: Batch) -> Batch:
    every = {k: v for k, v in vars(batch).items() if isinstance(v, Tensor)}
    tensors: dict[str, Any] = {k: v.double() for k, v in every.items() if v.is_floating_point()}
    beside = {name: doubled(other) for name, other in batch.beside.items()}
    return dataclasses.replace(batch, **tensors, beside=beside)


def run(name: str, cache: Path, collective: Collective) -> dict[str, Any]:
    """Of every training of a case, upstream work first: its losses, the gradients of each step by parameter, and the
    outcome or the weights that it leaves."""
    kind, settings, epochs = CASES[name]
    config = kind.Config(batch=BATCH, **settings)
    assignment = assignment_of(kind, cache, epochs)
    task = training_task(assignment.collection, assignment.train)
    method = kind(config, task)
    found: dict[str, Any] = {}
    outcomes: dict[str, Outcome] = {}
    for upstream, work in zip(kind.upstream(config), upstream_plan(kind, config, assignment.seed), strict=True):
        inner = upstream(config, task)
        inner.outcomes = {name: outcomes[name] for name in inner.inputs}
        trainer = UpstreamTrainer(Exact(inner), assignment, key=work["key"], collective=collective)
        trained = watched(trainer, trainer.epochs)
        outcomes[inner.name] = trainer.outcome()
        found[inner.name] = {**trained, "left": outcomes[inner.name]}
    method.outcomes = outcomes
    own = Trainer(Exact(method), assignment, number=0, collective=collective)
    found[kind.name] = {**watched(own, epochs), "left": own.model.state_dict()}
    return found


def watched(trainer: Trainer | UpstreamTrainer, epochs: int) -> dict[str, Any]:
    inner = trainer if isinstance(trainer, Trainer) else trainer._trainer
    gradients: list[dict[str, Tensor]] = []

    def note(*_: Any) -> None:
        named = inner.model.named_parameters()
        gradients.append({name: p.grad.clone() for name, p in named if p.grad is not None})

    hook = register_optimizer_step_pre_hook(note)
    losses = [trainer.train_epoch() for _ in range(epochs)]
    hook.remove()
    logged = [{name: value for name, value in one.items() if name != "train_seconds"} for one in losses]
    return {"losses": logged, "gradients": gradients}


def assignment_of(kind: type[Method], cache: Path, epochs: int) -> Assignment:
    """Half of a phantom. A third of its images is annotated. Some labels are unknown: in the multi view those of single
    pairs, and for methods that learn without labels those of every other image."""
    collection = phantom(kind, cache)
    rows = np.arange(len(collection))
    if kind.view == "multi":
        labels = np.array(collection.labels)
        labels.flat[::7] = -1
        collection = replace(collection, labels=labels)
    halves = [rows[collection.source_of == source] for source in np.unique(collection.source_of)]
    return Assignment(
        collection=collection,
        train=np.concatenate([half[: IMAGES // 2] for half in halves]),
        tuning=rows[-2:],
        seed=3,
        epochs=epochs,
        rule=Rule(metric="f1_plus"),
        annotated=rows[::3],
        labelled=rows[::2] if kind.unlabelled else None,
    )


def phantom(kind: type[Method], cache: Path) -> Collection:
    size = f"images={IMAGES},size=32"
    task = kind.data.partition("task=")[2].partition(",")[0]
    text = f"phantom:task={task},{size}" if task else f"phantom:{size}"
    if kind.sources:
        text = f"cls=phantom:task=normal-vs-abnormal,{size},seg=phantom:task=lungs,{size}"
    return open_collection(parse_data(text), kind.view, cache)


def main(folder: str, rank: int, workers: int) -> None:
    torch.set_num_threads(1)
    collective: Collective = Alone()
    if workers > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=workers)
        collective = ProcessGroup()
    found = {name: run(name, Path(folder, "cache"), collective) for name in CASES}
    torch.save(found, Path(folder, f"{rank} of {workers}.pt"))
    if workers > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
