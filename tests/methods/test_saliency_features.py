"""Features at several strides, the pyramid, and what the classification module is made of."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from methods.layers.activation import leak
from methods.layers.features import STRIDES, build_features
from methods.layers.pooling import log_sum_exp_pool
from methods.layers.pyramid import FeaturePyramid
from methods.saliency_proposals.network import ClassHeads
from raysearch.errors import MethodError


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("densenet_slim", (32, 32, 32, 32)),
        ("torchvision/densenet121", (256, 512, 1024, 1024)),
        ("torchvision/resnet18", (64, 128, 256, 512)),
        ("torchvision/mobilenet_v2", (24, 32, 96, 1280)),
        ("torchvision/regnet_y_400mf", (48, 104, 208, 440)),
        ("timm/densenet121", (256, 512, 1024, 1024)),
        ("resnet18", (64, 128, 256, 512)),
    ],
)
def test_features_have_the_strides_and_the_channels(name: str, channels: tuple[int, ...]) -> None:
    network = build_features(name, weights="random", in_channels=1).eval()
    assert network.channels == channels
    with torch.no_grad():
        maps = network(torch.rand(1, 1, 64, 96))
    assert [tuple(m.shape[1:]) for m in maps] == [(c, 64 // s, 96 // s) for c, s in zip(channels, STRIDES, strict=True)]


def test_step_by_step_is_the_network_itself() -> None:
    torch.manual_seed(0)
    features = build_features("torchvision/densenet121", weights="random", in_channels=3).eval()
    whole = torchvision.models.densenet121(weights=None)
    whole.load_state_dict({**whole.state_dict(), **features.network.state_dict()})
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(features(x)[-1], F.relu(whole.eval().features(x)))


def test_published_files_of_densenets_fit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = torchvision.models.densenet121(weights=None).state_dict()
    # as torchvision publishes them: denselayer1.norm.1.weight
    old = {
        key.replace("norm1.", "norm.1.")
        .replace("norm2.", "norm.2.")
        .replace("conv1.", "conv.1.")
        .replace("conv2.", "conv.2.")
        if "denselayer" in key
        else key: value
        for key, value in state.items()
    }
    assert set(old) != set(state)
    torch.save(old, tmp_path / "densenet121.pth")
    features = build_features("torchvision/densenet121", weights=str(tmp_path / "densenet121.pth"), in_channels=3)
    found = features.network.state_dict()
    assert found
    assert all(torch.equal(value, state[key]) for key, value in found.items())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision/densenet12", "did you mean 'densenet121'"),
        ("torchvision/squeezenet1_1", "no feature maps of stride 4"),
        ("torchvision/swin_t", "no feature maps of stride"),
        ("torchvision/googlenet", "transform_input"),
        ("resnet19", "did you mean 'resnet1"),
        ("keras/resnet18", "timm/NAME or torchvision/NAME"),
    ],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet")
def test_networks_without_such_features_are_refused(name: str, message: str) -> None:
    with pytest.raises(MethodError) as error:
        build_features(name, weights="random", in_channels=3)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_slim_has_no_imagenet_weights() -> None:
    with pytest.raises(MethodError, match="weights=random"):
        build_features("densenet_slim", weights="imagenet", in_channels=1)


@pytest.mark.parametrize("name", ["torchvision/densenet121", "resnet18"])
def test_all_activations_leak(name: str) -> None:
    network = build_features(name, weights="random", in_channels=3)
    before = set(network.state_dict())
    relus = sum(isinstance(m, nn.ReLU) for m in network.modules())
    assert leak(network, 0.0) == 0
    assert leak(network, 0.1) == relus > 0
    assert not any(isinstance(m, nn.ReLU) for m in network.modules())
    assert {m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)} == {0.1}
    assert set(network.state_dict()) == before


def test_the_pyramid_adds_what_comes_from_above() -> None:
    torch.manual_seed(0)
    pyramid = FeaturePyramid((3, 5), 4)
    fine, coarse = torch.rand(1, 3, 5, 7), torch.rand(1, 5, 3, 4)
    found = pyramid([fine, coarse])
    laterals = [lateral(m) for lateral, m in zip(pyramid.laterals, (fine, coarse), strict=True)]
    for y in range(5):
        for x in range(7):
            expected = laterals[0][0, :, y, x] + laterals[1][0, :, y * 3 // 5, x * 4 // 7]
            torch.testing.assert_close(found[0, :, y, x], expected)


def test_heads_of_all_classes_are_those_of_each() -> None:
    torch.manual_seed(0)
    heads = ClassHeads(6, 3, hidden=4, slope=0.1).train()
    nn.init.uniform_(heads.own.scale)
    nn.init.uniform_(heads.own.shift)
    x = torch.rand(2, 6, 5, 4)
    features, saliency = heads(x)
    for k in range(3):
        own = F.batch_norm(x, None, None, heads.own.scale[6 * k : 6 * k + 6], heads.own.shift[6 * k : 6 * k + 6], True)
        first = F.conv2d(F.leaky_relu(own, 0.1), heads.first.weight[4 * k : 4 * k + 4])
        torch.testing.assert_close(features[:, k], first)
        normed = F.leaky_relu(F.batch_norm(first, None, None, training=True), 0.1)
        torch.testing.assert_close(saliency[:, k : k + 1], F.conv2d(normed, heads.second.weight[k : k + 1]))


def test_sharpness_of_the_pooling_may_be_a_class_s_own() -> None:
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    r = torch.tensor([0.1, 1.0, 8.0], dtype=torch.float64, requires_grad=True)
    found = log_sum_exp_pool(maps, r)
    for n in range(2):
        for k in range(3):
            cells, sharp = maps[n, k].flatten().tolist(), r.tolist()[k]
            expected = math.log(sum(math.exp(sharp * v) for v in cells) / len(cells)) / sharp
            assert found[n, k].item() == pytest.approx(expected)
            assert sum(cells) / len(cells) <= found[n, k].item() <= max(cells)
    assert torch.autograd.gradcheck(log_sum_exp_pool, (maps, r))
