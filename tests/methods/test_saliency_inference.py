"""Maps from saliency and proposals, against slow and obvious ones, and the method's choices among them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from methods.layers.maps import resized_evenly
from methods.saliency_proposals import SaliencyProposals, SaliencyProposalsConfig
from methods.saliency_proposals.inference import detection_map, percentiles, proposal_map, scaled
from methods.saliency_proposals.network import Network
from raysearch.errors import MethodError
from raysearch.method import Batch, Step, Task
from raysearch.space import FloatRange, Space, load_space
from raysearch.testing import synthetic_batch, synthetic_task
from raysearch.thresholds import boxes_at, level, quantise, sweep_boxes

SMALL: dict[str, Any] = {
    "backbone": "densenet_slim",
    "weights": "random",
    "pyramid_channels": 16,
    "head_channels": 8,
    "anchor_size": 0.25,
    "anchor_levels": 2,
    "crop_backbone": "resnet10_slim",
    "crop_weights": "random",
    "crop_size": 16,
    "crop_dropout": 0.0,
}


def slow_paint(confidences: Tensor, boxes: Tensor, cells: tuple[int, int], size: tuple[int, int]) -> Tensor:
    out = torch.zeros(cells, dtype=torch.float64)
    for weight, (x1, y1, x2, y2) in zip(confidences.tolist(), boxes.tolist(), strict=True):
        for row in range(cells[0]):
            for column in range(cells[1]):
                y, x = (row + 0.5) * size[0] / cells[0], (column + 0.5) * size[1] / cells[1]
                if x1 <= x < x2 and y1 <= y < y2:
                    out[row, column] += weight
    return out


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_painting_boxes_is_adding_them_cell_by_cell(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    size, cells = (24, 36), (6, 9)
    corners = torch.rand(1, 2, 12, 2, 2, generator=generator) * torch.tensor([36.0, 24.0])
    if seed % 2:
        corners = corners.round()  # borders on borders and centres of cells
    boxes = torch.cat((corners.amin(3), corners.amax(3)), -1)
    weights = torch.randn(1, 2, 12, generator=generator)
    found = proposal_map(weights, boxes, cells, size)
    for k in range(2):
        expected = slow_paint(weights[0, k], boxes[0, k], cells, size)
        torch.testing.assert_close(found[0, k].double(), expected, rtol=0, atol=1e-6)


def test_what_no_box_covers_is_exactly_zero_and_plateaus_are_flat() -> None:
    boxes = torch.tensor([[[[2.0, 2.0, 6.0, 6.0], [2.0, 2.0, 6.0, 6.0], [4.0, 4.0, 8.0, 8.0]]]])
    found = proposal_map(torch.tensor([[[0.1, 0.2, 0.7]]]), boxes, (10, 10), (10, 10))[0, 0]
    assert len(found.unique()) == 4
    assert float(found[0, 0]) == 0
    assert found[2, 2] == found[3, 5]


def test_readings_of_the_detection_map() -> None:
    confidences = torch.tensor([[[1.0, -2.0]]])
    boxes = torch.tensor([[[[0.0, 0.0, 8.0, 8.0], [4.0, 0.0, 8.0, 8.0]]]])

    def corner(**how: Any) -> tuple[float, float, int]:
        found = detection_map(confidences, boxes, (2, 2), (8, 8), **how)
        return float(found[0, 0, 0, 0]), float(found[0, 0, 0, -1]), found.shape[2]

    one, two = (1 / (1 + math.exp(-x)) for x in (1.0, -2.0))
    share = math.exp(1) / (math.exp(1) + math.exp(-2))
    assert corner(reading="avg", confidence="sigmoid") == pytest.approx((one / 2, (one + two) / 2, 2))
    assert corner(reading="norm", confidence="sigmoid") == pytest.approx((one / (one + two), 1.0, 2))
    assert corner(reading="norm", confidence="softmax") == pytest.approx((share, 1.0, 2))
    assert corner(reading="sum", confidence="linear") == pytest.approx((1.0, -1.0, 8))


@given(st.lists(st.integers(-3, 3), min_size=12, max_size=12), st.floats(0.01, 1.0))
@settings(max_examples=100)
def test_a_threshold_on_percentiles_is_a_percentile_threshold(values: list[int], q: float) -> None:
    maps = torch.tensor(values).float().view(1, 1, 3, 4)
    # the released code: the round(n q)-th lowest value; at the lowest value only what lies above it
    nth = max(1, math.ceil(q * 12 - 1e-6))
    threshold = sorted(values)[nth - 1]
    expected = maps > threshold if threshold == min(values) else maps >= threshold
    assert torch.equal(percentiles(maps) >= nth / 12 - 1e-6, expected)


def test_the_maximum_stands_alone_once_percentiles_are_quantised() -> None:
    # less than one in 510 pixels is above the first peak: by percentile it would round to 1 like the maximum itself
    maps = 0.1 * torch.rand(1, 1, 80, 80, generator=torch.Generator().manual_seed(0))
    maps[0, 0, 5:10, 5:10], maps[0, 0, 60:65, 40:45] = 0.8, 0.7
    maps[0, 0, 62, 42] = 0.9
    found = quantise(percentiles(maps)[0, 0].numpy())
    assert np.argwhere(found >= level(1.0)).tolist() == [[62, 42]]
    peak, q = [40, 60, 45, 65], level(0.996)
    assert boxes_at(found, q, "most_active").tolist() == [peak]
    assert sweep_boxes(found, 256, np.zeros((0, 4), np.int64)).boxes[1, q].tolist() == peak


def test_each_map_is_ranked_and_scaled_by_itself() -> None:
    maps = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    maps[1, 2] = 0.3
    for function in (percentiles, scaled):
        found = function(maps)
        for n in range(2):
            for k in range(3):
                assert torch.equal(found[n, k], function(maps[n : n + 1, k : k + 1])[0, 0])
        assert torch.equal(found[1, 2], torch.zeros(5, 4))
        assert float(found[0, 0].max()) == 1


def test_resizing_keeps_equal_values_equal() -> None:
    maps = torch.full((1, 1, 10, 12), 0.1) / 3
    assert len(resized_evenly(maps, (37, 45)).unique()) == 1


def _network(**config: Any) -> tuple[SaliencyProposals, Network]:
    method = SaliencyProposals(SaliencyProposalsConfig(**SMALL | config), synthetic_task(SaliencyProposals))
    torch.manual_seed(0)
    model = method.build().eval()
    assert isinstance(model, Network)
    return method, model


def test_maps_are_saliency_detection_and_their_product() -> None:
    method, model = _network(scale="absolute", confidence="softmax")
    images = synthetic_batch(SaliencyProposals, method.task).images
    predictions = {}
    for name in ("sal", "det", "mix"):
        chosen = SaliencyProposals(dataclasses.replace(method.config, map=name), method.task)
        predictions[name] = chosen.predict(model, images)
    with torch.no_grad():
        seen = model.classification(images)
        confidences, boxes = model.detection.proposals(seen.features, seen.saliency, (32, 32))
        found = detection_map(confidences, boxes, (8, 8), (32, 32), reading="avg", confidence="softmax")
    saliency = seen.saliency.sigmoid()
    for name, expected in {"sal": saliency, "det": found, "mix": saliency * found}.items():
        full = resized_evenly(expected, (32, 32))
        torch.testing.assert_close(
            predictions[name].maps, full if name == "sal" else scaled(full), rtol=0, atol=1e-5, msg=name
        )
        assert torch.equal(predictions[name].scores, predictions["sal"].scores)


def test_predict_takes_no_more_images_at_once_than_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    method, model = _network(batch=4)
    sizes: list[int] = []
    model.classification.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    method.predict(model, synthetic_batch(SaliencyProposals, method.task, count=10).images)
    assert sizes == [4, 4, 2]


def _step(method: SaliencyProposals, model: Network, stage: str) -> dict[str, Tensor]:
    """One step of a stage, as the engine does it."""
    chosen = next(s for s in method.stages(12) if s.name == stage)
    trained = {id(p) for group in chosen.optimizer(model).param_groups for p in group["params"]}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)
    step = Step(epoch=11, stage=stage, generator=torch.Generator().manual_seed(0), backward=torch.autograd.backward)
    return method.training_step(model.train(), synthetic_batch(SaliencyProposals, method.task), step)


def test_the_detection_stage_leaves_the_classification_module_as_it_is() -> None:
    method, model = _network()
    before = {name: value.clone() for name, value in model.classification.state_dict().items()}
    _step(method, model, "detection")
    assert all(torch.equal(value, before[name]) for name, value in model.classification.state_dict().items())
    assert all(p.grad is None for p in model.classification.parameters())
    touched = {name for name, p in model.detection.named_parameters() if p.grad is not None and p.grad.any()}
    assert {"proposals.confidence.weight", "proposals.deltas.weight", "classifier.second"} <= touched


def test_released_detection_stage_trains_the_norms_alone() -> None:
    method, model = _network(freeze_norms=False, joint_loss=True)
    before = model.classification.heads.norm.running_mean.clone()
    _step(method, model, "detection")
    touched = {name for name, p in model.classification.named_parameters() if p.grad is not None and p.grad.any()}
    assert "heads.own.scale" in touched
    assert not any(name.startswith(("pyramid", "heads.first", "beta")) for name in touched)
    assert not torch.equal(model.classification.heads.norm.running_mean, before)


def test_joint_training_reaches_the_classification_through_the_crops() -> None:
    method, model = _network()
    losses = _step(method, model, "joint")
    assert float(losses["loss"]) == pytest.approx(float(losses["loss_image"] + losses["loss_crop"]))
    assert model.classification.heads.first.weight.grad.any()
    assert model.detection.classifier.first.grad.any()


def test_temperatures_of_the_stages_are_those_of_the_settings() -> None:
    # 12 epochs: classification 6, detection 3, joint 3
    for stages, expected in (("both", 0.001), ("detection", 0.001)):
        method, model = _network(temperature_stages=stages)
        assert float(_step(method, model, "joint")["temperature"]) == pytest.approx(expected)
        assert model.annealing.first == 6
        assert model.annealing.epochs == (6 if stages == "both" else 3)


@pytest.mark.parametrize("where", [{"backbone": "torchvision/mobilenet_v2"}, {"crop_backbone": "resnetv2_50d_evos"}])
def test_a_network_without_relus_cannot_leak(where: dict[str, str]) -> None:
    ((name, network),) = where.items()
    with pytest.raises(MethodError) as error:
        _network(**where)
    assert str(error.value).startswith(f"leaky_slope is 0.1, but {name} {network!r} has no")
    assert "\n" not in str(error.value)
    _network(**where, leaky_slope=0.0)


@pytest.mark.parametrize("side", [8, 32])
def test_a_single_crop_of_one_cell_can_be_trained_on(side: int) -> None:
    task = Task(classes=("a",), view="multi", channels=1, size=(64, 64))
    method = SaliencyProposals(SaliencyProposalsConfig(**SMALL | {"crop_size": side}), task)
    torch.manual_seed(0)
    model = method.build()
    assert isinstance(model, Network)
    before = {name: value.clone() for name, value in model.detection.classifier.body.named_buffers()}
    batch = Batch(images=torch.rand(1, 1, 64, 64), labels=torch.ones(1, 1), index=torch.tensor([3]))
    step = Step(epoch=11, stage="joint", generator=torch.Generator().manual_seed(0), backward=torch.autograd.backward)
    model.train()
    losses = method.training_step(model, batch, step)
    assert torch.isfinite(losses["loss"])
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.detection.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.detection.classifier.body.named_buffers())
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    "wrong",
    [
        {"zoom": 1.0},
        {"eps": 0.0},
        {"balance": "labels"},
        {"detection_share": 0.0},
        {"joint_share": 0.8},
        {"anchor_levels": 0},
        {"temperature_schedule": "step"},
        {"temperature_end": 0.0},
        {"crop_kernel": "cubic"},
        {"map": "all"},
        {"component": "smallest"},
        {"confidence": "linear", "rpn_map": "norm"},
    ],
)
def test_values_out_of_range_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*: expected"):
        SaliencyProposalsConfig(**wrong)


@pytest.mark.parametrize("preset", ["paper", "small"])
def test_no_draw_makes_the_temperature_rise(preset: str) -> None:
    space = load_space(SaliencyProposals, preset)
    assert isinstance(space, Space)
    start, end = (space.parameters[f"temperature_{name}"].domain for name in ("start", "end"))
    assert isinstance(start, FloatRange)
    assert isinstance(end, FloatRange)
    assert end.high <= start.low


def test_the_papers_preset_has_a_threshold_a_class() -> None:
    space = load_space(SaliencyProposals, "paper")
    assert isinstance(space, Space)
    assert space.parameters["mask_threshold"].per_class


def test_defaults_are_the_papers() -> None:
    config = SaliencyProposalsConfig()
    paper = {
        "backbone": "torchvision/densenet121",
        "crop_backbone": "torchvision/resnet34",
        "lr": 1e-3,
        "detection_lr": 1e-3,
        "joint_lr": 3e-4,
        "weight_decay": 1e-3,
        "batch": 8,
        "beta1": 0.9,
        "leaky_slope": 0.1,
        "zoom": 0.1,
        "rotation": 10.0,
        "temperature_start": 1.0,
        "temperature_end": 0.001,
        "temperature_schedule": "exponential",
        "component": "largest",
    }
    assert {name: getattr(config, name) for name in paper} == paper
    assert config.shift * 512 == 50
