"""Work that trainings build on and share."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raysearch.errors import MethodError
from raysearch.method._batch import Batch
from raysearch.method._stream import Pool
from raysearch.method._training import Outcome, Stage, Step, Training

if TYPE_CHECKING:
    from raysearch.method._base import Method


class TrainingImages(Protocol):
    """The training split as upstream work reads it: unchanged, in any order. No other image can be reached."""

    pool: Pool
    device: torch.device

    def batches(self, rows: NDArray[np.int64], size: int) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        """`rows` (of the pool) in their order, at most `size` at a time: (rows (n,), images (n, C, H, W) float32 in
        [0, 1] on `device`)."""

    def inside(self, rows: NDArray[np.int64]) -> Tensor | None:
        """(n, H, W) bool on the CPU, the pixels of each picture itself, as in `Batch`; None where all pixels are."""

    def regions(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Of `rows` (n,): masks (M, H, W) float32 in {0, 1} of the pairs whose truth is 1, in their order, and truth
        (n, K) int8, on the CPU; unknown where the study hides it."""


class Upstream(Training):
    """A part of a method that is done once for each distinct value of what it depends on, and whose outcome all trials
    of a study share that agree in it. It is trained like any network, by its own stages, if it has some: without, it
    needs neither `epochs` nor `stages` nor `training_step`.

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
    def epochs(self) -> int:
        """Epochs that `stages` is asked for; 0 if nothing is trained."""
        return 0

    def stages(self, epochs: int) -> Sequence[Stage]:
        return ()

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        raise NotImplementedError(f"{self.name} has stages, and no step to train them with")

    @abc.abstractmethod
    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        """What it leaves, tensors on the CPU; `model` in evaluation mode on the device of the images. Deterministic."""


class Work(TypedDict):
    """Upstream work of one configuration as plain data."""

    name: str
    key: str
    """64 hex digits: configurations that agree in it share the outcome."""
    fields: dict[str, Any]
    """What it depends on, by name, beside its inputs."""
    inputs: dict[str, str]
    """Keys of its inputs by name."""
    read: bool
    """Whether the training reads the outcome itself (`Method.inputs`), not later work alone."""


def upstream_plan(method: type[Method], config: Any, seed: int) -> list[Work]:
    """The upstream work of a configuration, each after its inputs; `seed` is the study's.

    Raises:
        MethodError: the method declares it wrongly: a name comes twice, an input is none before it, a field is none of
            `Config`, or a loss threshold, which changes while the work is shared; or an input of the method is no work.
    """
    works: list[Work] = []
    read = method.inputs(config)
    for upstream in method.upstream(config):
        earlier = {work["name"]: work["key"] for work in works}
        _check_declaration(method, upstream, tuple(earlier))
        fields = {name: getattr(config, name) for name in upstream.fields}
        inputs = {name: earlier[name] for name in upstream.inputs}
        told = json.dumps([method.name, upstream.name, fields, inputs, seed], sort_keys=True, default=str)
        key = hashlib.sha256(told.encode()).hexdigest()
        works.append(Work(name=upstream.name, key=key, fields=fields, inputs=inputs, read=upstream.name in read))
    if wrong := [name for name in read if name not in {work["name"] for work in works}]:
        there = ", ".join(work["name"] for work in works) or "none"
        raise MethodError(f"method {method.name}: its input '{wrong[0]}' is none of its upstream work ({there})")
    return works


def _check_declaration(method: type[Method], upstream: type[Upstream], earlier: Sequence[str]) -> None:
    where = f"method {method.name}, upstream work '{upstream.name}'"
    if not upstream.name.isidentifier() or upstream.name in earlier:
        raise MethodError(f"{where}: expected a name of its own, of letters, digits and '_'")
    if wrong := [name for name in upstream.inputs if name not in earlier]:
        raise MethodError(f"{where}: its input '{wrong[0]}' is none of the work before it ({', '.join(earlier)})")
    if wrong := [name for name in upstream.fields if name not in {f.name for f in dataclasses.fields(method.Config)}]:
        raise MethodError(f"{where}: depends on '{wrong[0]}', which is no field of {method.Config.__name__}")
    if wrong := [name for name in upstream.fields if name in {t.name for t in method.loss_thresholds}]:
        raise MethodError(
            f"{where}: depends on '{wrong[0]}', a loss threshold: these change during a training, and what trials share"
            " must not; leave it out of its fields"
        )
