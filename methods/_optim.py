"""The one optimiser and schedule of the paper's methods."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from methods._config import TrainingConfig
from raysearch.method import Augmentation, Stage


def sgd(config: TrainingConfig, model: nn.Module) -> torch.optim.SGD:
    """SGD with Nesterov momentum over all parameters; only weights (two axes or more) decay."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(
        [group for group in groups if group["params"]], lr=config.lr, momentum=config.momentum, nesterov=True
    )


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


def augmentation(config: TrainingConfig, size: tuple[int, int]) -> Augmentation:
    """What the settings mean for images of (H, W) `size`."""
    return Augmentation(
        horizontal_flip=config.horizontal_flip,
        vertical_flip=config.vertical_flip,
        rotation=config.rotation,
        crop=config.crop if config.crop < min(size) else 0,
        jitter=(config.brightness, config.contrast, config.saturation, config.hue),
    )
