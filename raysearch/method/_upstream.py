"""Work that trainings build on and share."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raysearch.method._stream import Pool
from raysearch.method._training import Outcome, Training


class TrainingImages(Protocol):
    """The training split as upstream work reads it: unchanged, in any order. No other image can be reached."""

    pool: Pool
    device: torch.device

    def batches(self, rows: NDArray[np.int64], size: int) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """`rows` (of the pool) in their order, at most `size` at a time: (rows (n,), images (n, C, H, W) float32 in
        [0, 1] on `device`)."""

    def regions(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Of `rows` (n,): masks (M, H, W) float32 in {0, 1} of the pairs whose truth is 1, in their order, and truth
        (n, K) int8, on the CPU; unknown where the study hides it."""


class Upstream(Training):
    """A part of a method that is done once for each distinct value of what it depends on, and whose outcome all trials
    of a study share that agree in it. It is trained like any network, by its own stages, if it has some.

    It is made with the method's `Config`, and must not read other fields of it than those it names: two trials that
    agree in these share what it leaves. Random numbers are keyed by the study's seed and these values, not the trial.

    Class attributes:
        name: unique in the method.
        fields: fields of the method's `Config` that it depends on, beside those that its inputs depend on.
        inputs: names of earlier upstream work, whose outcomes are in `outcomes` before `build`.
    """

    name: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]
    inputs: ClassVar[tuple[str, ...]] = ()

    @property
    @abc.abstractmethod
    def epochs(self) -> int:
        """Epochs that `stages` is asked for; 0 if nothing is trained."""

    @abc.abstractmethod
    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        """What it leaves, tensors on the CPU; `model` in evaluation mode on the device of the images. Deterministic."""
