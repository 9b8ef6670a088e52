from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import nn

from methods._augmentation import augmentation
from methods._config import TrainingConfig
from methods._optim import rate_factor, single_stage
from methods.cam import LseConfig
from methods.minmax_entropy import MinMaxEntropyConfig
from methods.unet import UNetConfig


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 0.0},
        {"lr": float("nan")},
        {"momentum": 1.0},
        {"lr_floor": 1.0},
        {"batch": 1},
        {"hue": 0.6},
        {"normalize": "whole"},
        {"output_stride": 4},
        {"kmax": 0},
        {"dropout": 1.0},
        {"omega": 0.0},
        {"sigma_prime": 1.5},
        {"u": -1},
        {"erasing": "letter"},
        {"map_normalization": "image"},
        {"classifier_scale": 0.0},
        {"crf_theta_beta": 0.0},
    ],
)
def test_values_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} is .*: expected"):
        MinMaxEntropyConfig(**wrong)


def test_subclasses_keep_the_checks_of_their_parents() -> None:
    with pytest.raises(ValueError, match="lr is"):
        LseConfig(lr=-1.0)
    with pytest.raises(ValueError, match="depth is"):
        UNetConfig(depth=0)


def test_defaults_are_the_papers() -> None:
    config = MinMaxEntropyConfig()
    paper = {
        "lr": 1e-3,
        "weight_decay": 1e-5,
        "momentum": 0.9,
        "lr_step": 40,
        "lr_floor": 1e-7,
        "batch": 8,
        "crop": 480,
        "modalities": 5,
        "kmax": 0.09,
        "kmin": 0.09,
        "alpha": 0.0,
        "dropout": 0.75,
        "omega": 8.0,
        "sigma_prime": 0.5,
        "u": 4,
        "sigma": 10.0,
    }
    assert {name: getattr(config, name) for name in paper} == paper
    assert len(fields(config)) == len({field.name for field in fields(config)})


def test_only_weights_decay() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    (stage,) = single_stage(TrainingConfig(weight_decay=0.01), 5)
    optimizer = stage.optimizer(model)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert decay[id(parameter)] == (0.01 if name in ("0.weight", "2.weight") else 0.0), name


def test_the_rate_falls_in_steps_to_its_floor() -> None:
    config = TrainingConfig(lr=0.01, lr_step=2, lr_decay=0.1, lr_floor=1e-4)
    (stage,) = single_stage(config, 10)
    optimizer = stage.optimizer(nn.Linear(1, 1))
    assert stage.schedule is not None
    schedule = stage.schedule(optimizer)
    rates = []
    for _ in range(8):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4, 1e-4, 1e-4])
    assert rate_factor(config, 0) == 1.0


def test_a_crop_as_large_as_the_image_keeps_it_whole() -> None:
    config = TrainingConfig(crop=64)
    assert augmentation(config, (64, 96)).crop == 0
    assert augmentation(config, (65, 96)).crop == 64


def test_workers_share_extrema_and_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers, of which this process is one: the other's values come through a stand-in for all_reduce."""
    from methods.layers import maps, workers

    other: list[torch.Tensor] = []

    def all_reduce(values: torch.Tensor, op: Any) -> None:
        theirs = other.pop(0)
        values.copy_(values + theirs if op == torch.distributed.ReduceOp.SUM else torch.maximum(values, theirs))

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    mine, theirs = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([-2.0, 6.0])
    other.append(torch.stack((-theirs.min(), theirs.max())))
    torch.testing.assert_close(maps.min_max_batch(mine, fill=0.5), torch.tensor([[[[0.25, 0.5]]]]))
    # 3 images here with 1 known, 1 there with 1 known: the engine weights by 3/4 and 1/4
    other.append(torch.tensor(1))
    here = workers.mean_over_known(torch.tensor([5.0, 7.0, 9.0]), torch.tensor([True, False, False]), 0.75)
    other.append(torch.tensor(1))
    there = workers.mean_over_known(torch.tensor([3.0]), torch.tensor([True]), 0.25)
    assert float(0.75 * here + 0.25 * there) == pytest.approx((5 + 3) / 2)
