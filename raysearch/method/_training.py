"""What the engine needs to train something: a network, its stages, a step."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from raysearch.method._augmentation import Augmentation
from raysearch.method._batch import Batch, Task
from raysearch.method._stream import PseudoRegions, Stream

Outcome = Mapping[str, Tensor]
"""What upstream work leaves behind, by name, on the CPU."""


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
    """A part of the training with its own optimiser. Parameters that are not in the optimiser are frozen meanwhile."""

    name: str
    epochs: int
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    """Gets the network, returns an optimiser over the parameters that this stage trains."""
    schedule: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler] | None = None
    """Stepped once an epoch."""
    streams: tuple[Stream, ...] = ()
    """What a step gets: the first one's batch, and those of the others in `Batch.beside`. Empty: all training images in
    turn, `Training.batch_size` a step, under `Training.augmentation`."""


class Training(abc.ABC):
    """A network that is trained, bound to a configuration and a task.

    Class attributes:
        supervision: ``image`` (image labels), ``region`` (image labels, and regions where annotated), ``pixel``
            (regions), ``none`` (trains nothing).

    Attributes:
        outcomes: by name those of the `Upstream` work that are its inputs; the engine sets them before `build` where it
            trains. In an export there are none: `build` then returns the same network with any weights.
    """

    supervision: ClassVar[Literal["image", "region", "pixel", "none"]] = "image"

    def __init__(self, config: Any, task: Task) -> None:
        self.config = config
        self.task = task
        self.outcomes: Mapping[str, Outcome] = {}

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

    def pseudo_regions(self) -> PseudoRegions | None:
        """Regions, made by upstream work, that batches carry of images whose own are unknown; None without."""
        return None

    @abc.abstractmethod
    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Calls ``step.backward`` and returns scalar losses to log, under ``loss`` the total.

        `model` is what `build` returned, in training mode, on the batch's device. Gradients are averaged over workers
        by the engine after the step; losses are means over the batch.
        """
