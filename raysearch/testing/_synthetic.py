"""A tiny task that any method can learn: one bright square an image, whose place tells the class."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from raysearch.method import Batch, Method, Stage, Task


def synthetic_task(
    method: type[Method], *, channels: int = 1, size: tuple[int, int] = (32, 32), classes: int = 3
) -> Task:
    """A task in the method's view, with `classes` classes and (H, W) `size`. Of several sources every one but the first
    has one class, the last ones."""
    names = tuple(f"class{k}" for k in range(classes))
    first = classes - len(method.sources) + 1
    sources = tuple(max(0, k - first + 1) for k in range(classes)) if method.sources else ()
    return Task(
        classes=names, view=method.view, channels=channels, size=size, sources=method.sources, source_classes=sources
    )


def synthetic_batch(
    method: type[Method], task: Task, *, count: int = 6, seed: int = 0, stage: Stage | None = None
) -> Batch:
    """A training batch for `task`: classes in turn, with masks and truth if the method's supervision is of pixels or
    regions; then the last image's truth is unknown. Of several sources, labels are known of the first one's classes and
    regions of the others' classes, on the same images.

    With a `stage` that has streams, the batch of the first one, with those of the others beside it, all alike but for
    noise.
    """
    if stage is None or not stage.streams:
        return _batch(method, task, count, seed, strong=False)
    first, *others = (
        _batch(method, task, count, seed + number, strong=stream.strong is not None)
        for number, stream in enumerate(stage.streams)
    )
    names = [stream.name for stream in stage.streams[1:]]
    return dataclasses.replace(first, beside=dict(zip(names, others, strict=True)))


def filling(batch: Batch) -> Batch:
    """The batch, told that its pictures fill their canvas, and so of those beside it."""
    return _told(batch, torch.ones(len(batch.images), *batch.images.shape[2:], dtype=torch.bool))


def padded(batch: Batch) -> Batch:
    """The batch, told that its pictures do not fill their canvas, and so of those beside it: the upper quarter of every
    other one and the right quarter of the rest are padding, where no region is."""
    count, _, height, width = batch.images.shape
    inside = torch.ones(count, height, width, dtype=torch.bool)
    inside[::2, : height // 4] = False
    inside[1::2, :, width - width // 4 :] = False
    return _told(batch, inside)


def empty_batch(batch: Batch) -> Batch:
    """What a stream gives that draws no image."""
    none: dict[str, Any] = {k: v[:0] for k, v in vars(batch).items() if isinstance(v, torch.Tensor)}
    return dataclasses.replace(batch, **none, share=0.0)


def _told(batch: Batch, inside: torch.Tensor) -> Batch:
    masks = batch.masks
    if masks is not None and batch.truth is not None:
        masks = masks * inside[(batch.truth == 1).nonzero()[:, 0]]
    same = filling if bool(inside.all()) else padded
    beside = {name: same(other) for name, other in batch.beside.items()}
    return dataclasses.replace(batch, inside=inside, masks=masks, beside=beside)


def _batch(method: type[Method], task: Task, count: int, seed: int, *, strong: bool) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    height, width = task.size
    classes = len(task.classes)
    labelled = torch.tensor([k for k in range(classes) if not any(task.source_classes[k : k + 1])])
    marked = torch.tensor([k for k in range(classes) if any(task.source_classes[k : k + 1])] or labelled.tolist())
    index = torch.arange(count)
    label = labelled[index % len(labelled)]
    region = marked[index % len(marked)]
    images = 0.1 + 0.1 * torch.rand(count, task.channels, height, width, generator=generator)
    regions = torch.zeros(count, classes, height, width)
    for i, (k, r) in enumerate(zip(label.tolist(), region.tolist(), strict=True)):
        side = max(2, min(height, width) // 3)
        top, left = (height - side) * k // max(1, classes - 1), (width - side) * (i % 2)
        regions[i, r, top : top + side, left : left + side] = 1
    images = images + 0.7 * regions.amax(1, keepdim=True)
    labels = _known(torch.nn.functional.one_hot(label, classes), labelled)
    truth = _known(torch.nn.functional.one_hot(region, classes), marked).to(torch.int8)
    truth[-1] = -1
    pixel = method.supervision in ("pixel", "region")
    return Batch(
        images=images,
        labels=label if task.view == "single" else labels.float(),
        index=index,
        masks=regions[truth == 1] if pixel else None,
        truth=truth if pixel else None,
        strong=(0.1 + 0.9 * images.flip(3)) if strong else None,
    )


def _known(pairs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """`pairs` (N, K), unknown (-1) but for some classes."""
    out = torch.full_like(pairs, -1)
    out[:, classes] = pairs[:, classes]
    return out
