"""A tiny task that any method can learn: one bright square an image, whose place tells the class."""

from __future__ import annotations

import torch

from raysearch.method import Batch, Method, Task


def synthetic_task(
    method: type[Method], *, channels: int = 1, size: tuple[int, int] = (32, 32), classes: int = 3
) -> Task:
    """A task in the method's view, with `classes` classes and (H, W) `size`."""
    names = tuple(f"class{k}" for k in range(classes))
    return Task(classes=names, view=method.view, channels=channels, size=size)


def synthetic_batch(method: type[Method], task: Task, *, count: int = 6, seed: int = 0) -> Batch:
    """A training batch for `task`: classes in turn, with masks and truth if the method's supervision is of pixels or
    regions; then the last image's truth is unknown.
    """
    generator = torch.Generator().manual_seed(seed)
    height, width = task.size
    classes = len(task.classes)
    index = torch.arange(count)
    label = index % classes
    images = 0.1 + 0.1 * torch.rand(count, task.channels, height, width, generator=generator)
    regions = torch.zeros(count, classes, height, width)
    for i, k in enumerate(label.tolist()):
        side = max(2, min(height, width) // 3)
        top, left = (height - side) * k // max(1, classes - 1), (width - side) * (i % 2)
        regions[i, k, top : top + side, left : left + side] = 1
    images = images + 0.7 * regions.amax(1, keepdim=True)
    one_hot = torch.nn.functional.one_hot(label, classes)
    truth = one_hot.to(torch.int8)
    truth[-1] = -1
    pixel = method.supervision in ("pixel", "region")
    return Batch(
        images=images,
        labels=label if task.view == "single" else one_hot.float(),
        index=index,
        masks=regions[truth == 1] if pixel else None,
        truth=truth if pixel else None,
    )
