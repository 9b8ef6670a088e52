"""Maps from saliency and proposals, against slow and obvious ones, and the method's choices among them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from methods.saliency_proposals import SaliencyProposals, SaliencyProposalsConfig
from methods.saliency_proposals.inference import detection_map, percentiles, proposal_map, resize, scaled
from methods.saliency_proposals.network import Network
from raysearch.method import Step
from raysearch.testing import synthetic_batch, synthetic_task

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
@settings(max_examples=30, deadline=None)
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
@settings(max_examples=100, deadline=None)
def test_a_threshold_on_percentiles_is_a_percentile_threshold(values: list[int], q: float) -> None:
    maps = torch.tensor(values).float().view(1, 1, 3, 4)
    # the released code: the round(n q)-th lowest value; at the lowest value only what lies above it
    nth = max(1, math.ceil(q * 12 - 1e-6))
    threshold = sorted(values)[nth - 1]
    expected = maps > threshold if threshold == min(values) else maps >= threshold
    assert torch.equal(percentiles(maps) >= nth / 12 - 1e-6, expected)


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
    assert len(resize(maps, (37, 45)).unique()) == 1


def _network(**config: Any) -> tuple[SaliencyProposals, Network]:
    method = SaliencyProposals(SaliencyProposalsConfig(**SMALL, **config), synthetic_task(SaliencyProposals))
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
        full = resize(expected, (32, 32))
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
