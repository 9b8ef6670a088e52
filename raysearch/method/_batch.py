"""What is to be learned, and what a step learns it from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be learned: settled once by the data and passed on to the method."""

    classes: tuple[str, ...]
    view: Literal["single", "multi"]
    channels: int
    size: tuple[int, int]
    """(H, W) in pixels."""
    sources: tuple[str, ...] = ()
    """Names of the sources of a task of several (``cls``, ``seg``); empty where there is one alone."""
    source_classes: tuple[int, ...] = ()
    """By class, the index of its source in `sources`; empty where there is one alone."""
    positives: tuple[float, ...] | None = None
    """By class, images labelled present over images labelled absent in the training split, in [0, inf]: 0 where none is
    labelled present, ``inf`` where none is labelled absent, 1 where no label is known. None where no training split is
    known, as in an export: a method that weights by it takes 1 then."""


@dataclass(frozen=True)
class RegionBoxes:
    """The outlines of those regions that are boxes, more exact than pixels can draw them.

    Attributes:
        boxes: (B, 4) float64, x1, y1, x2, y2 in pixels of the image: a box spans [x1, x2) x [y1, y2).
        region: (B,) int64, which of the M regions each belongs to, ascending; a region may have several, or none: then
            it is what its mask shows.
    """

    boxes: Tensor
    region: Tensor

    def to(self, device: torch.device) -> RegionBoxes:
        return RegionBoxes(self.boxes.to(device), self.region.to(device))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """N training images on the worker's device.

    Attributes:
        images: (N, C, H, W) float32 in [0, 1].
        labels: (N,) int64 class index in the single-label view; (N, K) float32 in {0, 1, -1 unknown} in the other.
        index: (N,) int64 row in the collection.
        masks: (M, H, W) float32 in {0, 1}: the regions of the M pairs whose `truth` is 1, in the order of
            ``(truth == 1).nonzero()``; only for methods with ``supervision`` ``pixel`` or ``region``.
        truth: (N, K) int8 (1 present, 0 absent, -1 unknown), beside `masks`; -1 for images outside ``--annotated``.
        inside: (N, H, W) bool, the pixels of the picture itself, without the padding around one that is not square;
            None where every pixel is the picture's own.
        boxes: of the regions that are boxes; beside `masks`, None where none is one.
        share: this worker's part of the step's images, in (0, 1]; the parts of all workers add up to 1. By this of
            the stage's first stream the engine weights the worker's gradient.
        strong: (N, C, H, W), the other view of the same images, of streams that ask for one.
        beside: batches of the stage's other streams by name; these may hold no image (N = 0, share 0).
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    masks: Tensor | None = None
    truth: Tensor | None = None
    inside: Tensor | None = None
    boxes: RegionBoxes | None = None
    share: float = 1.0
    strong: Tensor | None = None
    beside: Mapping[str, Batch] = field(default_factory=dict)

    def to(self, device: torch.device) -> Batch:
        moved: dict[str, Any] = {
            k: v.to(device, non_blocking=True) for k, v in vars(self).items() if isinstance(v, Tensor)
        }
        if self.boxes is not None:
            moved["boxes"] = self.boxes.to(device)
        beside = {name: batch.to(device) for name, batch in self.beside.items()}
        return dataclasses.replace(self, **moved, beside=beside)
