"""Optimisers with their schedules, from settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR, LambdaLR

from methods._config import AdamConfig, TrainingConfig
from raysearch.method import Stage


def sgd(config: TrainingConfig, model: nn.Module) -> torch.optim.SGD:
    """SGD with Nesterov momentum over all parameters; only weights (two axes or more) decay."""
    groups = _decaying(model, config.weight_decay)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=True)


def step_schedule(config: TrainingConfig, optimizer: torch.optim.Optimizer) -> LambdaLR:
    """Multiplies the rate by `lr_decay` each `lr_step` epochs, down to `lr_floor`."""
    return LambdaLR(optimizer, partial(rate_factor, config))


def rate_factor(config: TrainingConfig, epoch: int) -> float:
    """Learning rate of an epoch (from 0) over that of epoch 0."""
    return max(config.lr_decay ** (epoch // config.lr_step), config.lr_floor / config.lr)


def single_stage(config: TrainingConfig, epochs: int) -> tuple[Stage, ...]:
    """All parameters, from beginning to end."""
    return (
        Stage(name="train", epochs=epochs, optimizer=partial(sgd, config), schedule=partial(step_schedule, config)),
    )


def adam_stage(
    config: AdamConfig,
    name: str,
    epochs: int,
    part: Callable[[nn.Module], nn.Module],
    lr: float | None = None,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Stage:
    """Adam over the parameters of a `part` of the network; only weights (two axes or more) decay. The rate starts anew
    with the stage, from `lr` or the configuration's."""

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        groups = _decaying(part(model), config.weight_decay)
        kind = torch.optim.AdamW if config.decoupled else torch.optim.Adam
        return kind(groups, lr=lr or config.lr, betas=betas, eps=eps)

    return Stage(name=name, epochs=epochs, optimizer=optimizer, schedule=partial(ExponentialLR, gamma=config.lr_decay))


def _decaying(part: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    weights = [p for p in part.parameters() if p.ndim > 1]
    others = [p for p in part.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
