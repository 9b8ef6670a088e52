"""The contract between the engine and a localization method.

The engine owns data, devices, processes, checkpoints and thresholds; a method owns its network, its losses and what
its maps mean. `raysearch.testing` ships the test suite that every method, ours or a stranger's, has to pass.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from raysearch.method._loss_threshold import LossThreshold


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be learned: settled once by the data and passed on to the method."""

    classes: tuple[str, ...]
    view: Literal["single", "multi"]
    channels: int
    size: tuple[int, int]
    """(H, W) in pixels."""
    positives: tuple[float, ...] | None = None
    """By class, images labelled present over images labelled absent in the training split; None where no training
    split is known, as in an export: a method that weights by it takes 1 then."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What the engine does to training images, drawn by (seed, epoch, image) so that it does not depend on order."""

    horizontal_flip: bool = False
    vertical_flip: bool = False
    rotation: float = 0.0
    """Largest angle in degrees, to either side; 90-degree turns if 90 or more."""
    crop: int = 0
    """Side of a random square crop in pixels; 0 keeps the whole image."""
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Brightness, contrast, saturation, hue (the last two for colour images), as in torchvision's ColorJitter."""


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
        share: this worker's part of the step's images, in (0, 1]; the parts of all workers add up to 1.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    masks: Tensor | None = None
    truth: Tensor | None = None
    share: float = 1.0

    def to(self, device: torch.device) -> Batch:
        moved: dict[str, Any] = {
            k: v.to(device, non_blocking=True) for k, v in vars(self).items() if isinstance(v, Tensor)
        }
        return dataclasses.replace(self, **moved)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Where in the training a step stands, and how its gradient is given back."""

    epoch: int
    """Epochs done before, from 0, over the whole training."""
    stage: str
    generator: torch.Generator
    """On the batch's device, keyed by (seed, epoch, step): the only randomness that a step may use beside dropout."""
    backward: Callable[[Tensor], None]
    """Adds the gradient of a scalar loss; may be called several times in a step (accumulation)."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the training with its own optimiser. Parameters not in `parameters` are frozen."""

    name: str
    epochs: int
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    """Gets the network, returns an optimiser over the parameters that this stage trains."""
    schedule: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler] | None = None
    """Stepped once an epoch."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a method says of N images.

    Attributes:
        scores: (N, K) float32 in [0, 1], class probabilities (softmax in the single-label view, sigmoid in the other).
        maps: (N, M, H, W) float32 in [0, 1], localization maps at image resolution; M is 1 (one map for the image's
            object, whatever its class) or K. Decision thresholds act on these.
        grid: (N, K, P, Q) float32 in [0, 1], the map that the loss thresholds bound; only of methods that have some
            with ``bounds``.
    """

    scores: Tensor
    maps: Tensor
    grid: Tensor | None = None


class Method(abc.ABC):
    """A localization method, bound to a configuration and a task.

    Class attributes:
        name: the name on the command line, ``[a-z0-9_]+``.
        title: one line for ``raysearch methods``, with the source.
        Config: frozen keyword-only dataclass of its settings; a docstring line each; cross-field checks in
            ``__post_init__`` raise ``ValueError`` with what was found and what was expected. Its fields are exactly the
            parameters of kinds train, stage, loss and postprocess in its search space.
        view: ``single`` or ``multi``: the labels that it trains on.
        supervision: ``image`` (image labels), ``region`` (image labels, and regions where annotated), ``pixel``
            (regions), ``none`` (trains nothing).
        metric: name of the metric that its trials are ranked by unless ``--metric`` says otherwise.
        decision_thresholds: names and defaults of its decision thresholds, acting on `Prediction.maps`.
        loss_thresholds: thresholds inside its loss, fields of `Config`. They may change between two epochs: the engine
            then makes the method anew with the changed `Config` and goes on with the same network and optimiser, so
            `build` and `stages` must not depend on them.
        spaces: importable package that holds the search spaces, ``<name>.yaml`` (preset ``paper``) and
            ``<name>.small.yaml`` (preset ``small``).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    Config: ClassVar[type[Any]]
    view: ClassVar[Literal["single", "multi"]]
    supervision: ClassVar[Literal["image", "region", "pixel", "none"]] = "image"
    metric: ClassVar[str] = "f1_plus"
    decision_thresholds: ClassVar[Mapping[str, float]] = {"mask_threshold": 0.5}
    loss_thresholds: ClassVar[tuple[LossThreshold, ...]] = ()
    spaces: ClassVar[str] = "search_spaces"

    def __init__(self, config: Any, task: Task) -> None:
        self.config = config
        self.task = task

    @abc.abstractmethod
    def build(self) -> nn.Module:
        """The whole network on the CPU, initialised from torch's global generator. `state_dict` is the checkpoint."""

    @abc.abstractmethod
    def stages(self, epochs: int) -> Sequence[Stage]:
        """The training of `epochs` epochs in all; empty if there is nothing to train."""

    @property
    def batch_size(self) -> int:
        """Images a step, over all workers of a trial."""
        return int(self.config.batch)

    def augmentation(self) -> Augmentation:
        return Augmentation()

    @abc.abstractmethod
    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Calls ``step.backward`` and returns scalar losses to log, under ``loss`` the total.

        `model` is what `build` returned, in training mode, on the batch's device. Gradients are averaged over workers
        by the engine after the step; losses are means over the batch.
        """

    @abc.abstractmethod
    def predict(self, model: nn.Module, images: Tensor) -> Prediction:
        """Of (N, C, H, W) float32 images in [0, 1], in evaluation mode. An image's answer depends on no other image."""

    def scored_regions(self, masks: Tensor) -> Tensor:
        """(M, H, W) region masks in {0, 1} as metrics compare the maps with them; here the regions as they are."""
        return masks

    def region_cells(self, masks: Tensor, cells: tuple[int, int]) -> Tensor:
        """(M, P, Q) bool of (M, H, W) masks: the cells of `Prediction.grid` that a region covers. Here every cell of
        which it covers some area: cell (r, c) spans rows [r H / P, (r + 1) H / P), and columns likewise."""
        return nn.functional.adaptive_max_pool2d(masks.float(), cells) > 0
