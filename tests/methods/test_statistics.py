from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from methods.layers.statistics import SecondStatistics, untracked
from methods.minmax_entropy import MinMaxEntropy
from raysearch.method import Step
from raysearch.testing import synthetic_batch, synthetic_task


def backpropagate(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def running(layer: nn.BatchNorm2d) -> Tensor:
    assert layer.running_mean is not None
    return layer.running_mean.clone()


def test_each_set_sees_its_own_inputs() -> None:
    layer = nn.BatchNorm2d(2, momentum=0.5)
    second = SecondStatistics(layer)
    low, high = torch.zeros(4, 2, 3, 3), torch.full((4, 2, 3, 3), 8.0)
    layer(low + 1)
    with second.in_use():
        layer(high)
        with untracked(layer):
            layer(100 * high)
    with untracked(layer):
        layer(100 * high)
    assert running(layer).tolist() == [0.5, 0.5]
    with second.in_use():
        assert running(layer).tolist() == [4.0, 4.0]
    assert layer.momentum == 0.5
    # in evaluation the set in use decides
    layer.eval()
    with second.in_use():
        shifted = layer(low)
    assert not torch.allclose(shifted, layer(low))


def test_an_exception_gives_the_sets_back() -> None:
    layer = nn.BatchNorm2d(1)
    second = SecondStatistics(layer)
    wrong = torch.ones(2, 3, 2, 2)
    with pytest.raises(RuntimeError), second.in_use(), untracked(layer):
        layer(wrong)
    assert layer.momentum == 0.1
    assert running(layer).tolist() == [0.0]


@pytest.mark.parametrize("scheme", ["split", "shared"])
def test_what_evaluation_does_not_see_leaves_no_trace(scheme: Any) -> None:
    config = MinMaxEntropy.Config(
        backbone="resnet10_slim",
        weights="random",
        output_stride=8,
        u=3,
        erasing_start=0,
        dropout=0.0,
        batch_norm=scheme,
    )
    method = MinMaxEntropy(config, synthetic_task(MinMaxEntropy))
    torch.manual_seed(0)
    model: Any = method.build().train()
    images = model.normalize(synthetic_batch(MinMaxEntropy, method.task).images)
    before = model.backbone.network.bn1.running_mean.clone()
    model.localize(images, erased=True)
    model.classify(images, negative=True)
    unchanged = torch.equal(model.backbone.network.bn1.running_mean, before)
    assert unchanged == (scheme == "split")
    model.localize(images)
    assert not torch.equal(model.backbone.network.bn1.running_mean, before)


def test_a_step_tracks_whole_images_once_and_masked_ones_once() -> None:
    config = MinMaxEntropy.Config(
        backbone="resnet10_slim", weights="random", output_stride=8, u=3, erasing_start=0, classifier_scale=1.0
    )
    method = MinMaxEntropy(config, synthetic_task(MinMaxEntropy))
    torch.manual_seed(0)
    model: Any = method.build().train()
    batch = synthetic_batch(MinMaxEntropy, method.task)
    batches: list[Tensor] = []
    model.backbone.network.bn1.register_forward_pre_hook(
        lambda layer, inputs: batches.append(inputs[0].mean((0, 2, 3)))
    )
    step = Step(epoch=0, stage="train", generator=torch.Generator(), backward=backpropagate)
    losses = method.training_step(model, batch, step)
    passes = int(losses["passes"])
    assert len(batches) == passes + 2, "one a pass, X+ and X-"
    torch.testing.assert_close(model.backbone.network.bn1.running_mean, 0.1 * batches[0])
    kept = dict(model.masked_statistics.named_buffers())
    layers = [m for m in model.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    mine = kept[f"running_mean{layers.index(model.backbone.network.bn1)}"]
    torch.testing.assert_close(mine, 0.1 * batches[passes])
