from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.nn import functional as F

from methods.layers.deeplab import DeepLabV3Plus, PooledBatchNorm, SpatialPyramid, separable
from methods.layers.images import Normalize
from methods.layers.stages import Stages
from raysearch.errors import MethodError


def network(name: str = "resnet10_slim", output_stride: int = 16, channels: int = 1, **sizes: int) -> DeepLabV3Plus:
    torch.manual_seed(0)
    encoder = Stages(name, weights="random", in_channels=channels, output_stride=output_stride)
    made = {"width": 8, "detail": 4, "dilation": 2} | sizes
    return DeepLabV3Plus(Normalize("half", channels), encoder, 3, dropout=0.0, **made)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_stages_are_those_of_the_network(output_stride: int) -> None:
    torch.manual_seed(0)
    stages = Stages("resnet10_slim", weights="random", in_channels=1, output_stride=output_stride).eval()
    images = torch.rand(2, 1, 64, 96)
    found = stages(images)
    assert [x.shape[1] for x in found] == list(stages.channels)
    assert [64 // x.shape[2] for x in found] == [min(stride, output_stride) for stride in (4, 4, 8, 16, 32)]
    assert torch.equal(found[-1], stages.backbone(images))


def test_other_networks_have_no_stages() -> None:
    with pytest.raises(MethodError, match="is no ResNet of timm"):
        Stages("torchvision/resnet50", weights="random", in_channels=1, output_stride=16)


def test_the_papers_network_has_the_published_layers() -> None:
    model = network("resnet18", width=256, detail=48, dilation=12)
    dilations = [m.dilation[0] for m in model.coarse.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert dilations == [12, 24, 36, 1]
    assert model.fine[0].weight.shape == (48, 64, 1, 1)
    assert model.join[0].weight.shape == (304, 1, 3, 3)
    assert model.logits.weight.shape == (3, 256, 1, 1)
    deep = [m for m in model.encoder.backbone.network.get_submodule("layer4").modules() if isinstance(m, nn.Conv2d)]
    assert {m.stride for m in deep} == {(1, 1)}
    assert (2, 2) in {m.dilation for m in deep}


@pytest.mark.parametrize("size", [(64, 64), (37, 45)])
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_have_the_size_of_the_image(size: tuple[int, int], channels: int) -> None:
    assert network(channels=channels)(torch.rand(2, channels, *size)).shape == (2, 3, *size)


def test_separable_convolutions_are_a_convolution_of_low_rank() -> None:
    torch.manual_seed(0)
    layer = separable(3, 5, dilation=2).double().eval()
    x = torch.randn(2, 3, 7, 8, dtype=torch.float64)
    depth, point = layer[0].weight, layer[1].weight
    whole = torch.einsum("oi,ihw->oihw", point[:, :, 0, 0], depth[:, 0])
    expected = layer[3](layer[2](F.conv2d(x, whole, padding=2, dilation=2)))
    torch.testing.assert_close(layer(x), expected)


def test_the_pyramid_passes_gradcheck() -> None:
    torch.manual_seed(0)
    layer = SpatialPyramid(3, 2, dilation=1, dropout=0.0).double().eval()
    assert gradcheck(layer, (torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True),))


def test_one_branch_of_the_pyramid_sees_the_whole_image() -> None:
    torch.manual_seed(0)
    layer = SpatialPyramid(2, 4, dilation=1, dropout=0.0).eval()
    x = torch.rand(1, 2, 20, 20)
    near = layer(x)
    x[:, :, 19, 19] += 100
    assert not torch.allclose(layer(x)[:, :, 0, 0], near[:, :, 0, 0])


def test_one_image_alone_is_normalised_by_running_statistics() -> None:
    torch.manual_seed(0)
    layer = PooledBatchNorm(3)
    ordinary = nn.BatchNorm2d(3)
    pair = torch.rand(2, 3, 1, 1)
    assert torch.equal(layer(pair), ordinary(pair))
    assert torch.equal(layer(pair[:1]), ordinary.eval()(pair[:1]))
    assert torch.equal(layer.running_mean, ordinary.running_mean)
    model = network().train()
    model(torch.rand(1, 1, 32, 32)).sum().backward()
