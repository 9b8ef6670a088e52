"""A method on its synthetic task, and steps of it as the engine takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from raysearch.method import Augmentation, Batch, Method, Stage, Step
from raysearch.testing._synthetic import synthetic_batch, synthetic_task


class Suite:
    """What a test class of ours is about."""

    method: ClassVar[type[Method]]
    """The class under test."""
    config: ClassVar[Mapping[str, Any]] = {}
    """Settings for `method.Config`."""


def make(suite: Suite, *, channels: int = 1, size: tuple[int, int] = (32, 32)) -> Method:
    task = synthetic_task(suite.method, channels=channels, size=size)
    return suite.method(suite.method.Config(**suite.config), task)


def build(method: Method, *, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return method.build()


def setting(suite: Suite, stage: Stage | None = None) -> tuple[Method, nn.Module, Batch]:
    method = make(suite)
    model = build(method)
    torch.manual_seed(1)
    return method, model, synthetic_batch(suite.method, method.task, stage=stage)


def stages_of(suite: Suite) -> list[Stage]:
    return list(make(suite).stages(12))


def check_augmentation(method: Method, augmentation: Augmentation) -> None:
    assert isinstance(augmentation, Augmentation)
    pixel = method.supervision in ("pixel", "region")
    assert not (pixel and augmentation.operations), "masks cannot follow operations: keep these for the strong view"


def without_regions(batch: Batch) -> Batch:
    assert batch.masks is not None
    assert batch.truth is not None
    return dataclasses.replace(batch, masks=batch.masks[:0], truth=torch.full_like(batch.truth, -1))


def freeze(model: nn.Module, optimizer: torch.optim.Optimizer) -> set[int]:
    """As the engine does on entering a stage; the ids of the trained parameters."""
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)
    return trained


def take_step(method: Method, model: nn.Module, batch: Batch, stage: Stage) -> tuple[dict[str, Tensor], int]:
    calls = 0

    def backward(loss: Tensor) -> None:
        nonlocal calls
        calls += 1
        loss.backward()  # type: ignore[no-untyped-call]

    model.train()
    step = Step(epoch=0, stage=stage.name, generator=torch.Generator().manual_seed(2), backward=backward)
    return method.training_step(model, batch, step), calls


def train(
    method: Method, model: nn.Module, batch: Batch, stage: Stage, *, steps: int
) -> tuple[list[float], torch.optim.Optimizer]:
    optimizer = stage.optimizer(model)
    freeze(model, optimizer)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(take_step(method, model, batch, stage)[0]["loss"]))
        optimizer.step()
    return losses, optimizer


def watch(config: Any, refused: Collection[str], message: str) -> Any:
    """A configuration of the same values that fails with `message`, ``{}`` in it the name, where it is asked for one of
    the `refused` fields."""

    def read(self: object, name: str) -> Any:
        assert name not in refused, message.format(name)
        return object.__getattribute__(self, name)

    watched: Any = object.__new__(type(type(config).__name__, (type(config),), {"__getattribute__": read}))
    for field in dataclasses.fields(config):
        object.__setattr__(watched, field.name, getattr(config, field.name))
    return watched


def assert_equal(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), f"{name} differs"
