from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from methods.layers.backbone import build_backbone
from methods.layers.blur import FILTERS, BlurPool, anti_alias
from raysearch.errors import MethodError

NAMES = [
    "resnetv2_50",
    "resnetv2_10_slim",
    "resnet10_slim",
    "resnet26d",
    "torchvision/resnet18",
    "torchvision/resnet50",
]


def slow_blur(image: torch.Tensor, row: tuple[int, ...], stride: int) -> torch.Tensor:
    """(H, W) by loops, the border reflected without repeating it."""
    size, (height, width) = len(row), image.shape
    out = torch.zeros(-(-height // stride), -(-width // stride), dtype=image.dtype)

    def reflected(i: int, n: int) -> int:
        i = abs(i)
        return i if i < n else 2 * (n - 1) - i

    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for i, a in enumerate(row):
                for j, b in enumerate(row):
                    at = (stride * y + i - (size - 1) // 2, stride * x + j - (size - 1) // 2)
                    out[y, x] += a * b * image[reflected(at[0], height), reflected(at[1], width)] / sum(row) ** 2
    return out


@pytest.mark.parametrize("size", sorted(FILTERS))
@pytest.mark.parametrize("shape", [(6, 7), (9, 8)])
def test_the_filter_is_the_one_by_loops(size: int, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, *shape, dtype=torch.float64)
    found = BlurPool(size, 2).double()(images)
    for n in range(2):
        for c in range(3):
            torch.testing.assert_close(found[n, c], slow_blur(images[n, c], FILTERS[size], 2))


def test_a_filter_larger_than_the_image_keeps_a_constant() -> None:
    torch.testing.assert_close(BlurPool(5, 2)(torch.full((1, 2, 2, 1), 0.3)), torch.full((1, 2, 1, 1), 0.3))


@pytest.mark.parametrize("name", NAMES)
def test_weights_fit_before_and_after(name: str) -> None:
    torch.manual_seed(0)
    plain = build_backbone(name, weights="random", in_channels=1, output_stride=32).eval()
    images = torch.rand(1, 1, 64, 64)
    for size in FILTERS:
        blurred = copy.deepcopy(plain)
        anti_alias(blurred.network, size, name)
        blurred.load_state_dict(plain.state_dict())
        assert list(blurred.state_dict()) == list(plain.state_dict())
        with torch.no_grad():
            expected, found = plain(images), blurred(images)
        assert found.shape == expected.shape
        assert torch.equal(found, expected) == (size == 1)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_the_first_convolution_stays_strided(name: str) -> None:
    network = build_backbone(name, weights="random", in_channels=1, output_stride=32).network
    anti_alias(network, 4, name)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)]
    strided = [m for m in layers if m.stride not in (1, (1, 1))]
    assert strided == [next(m for m in layers if isinstance(m, nn.Conv2d))]
    # the stem's pooling, and the branch and the shortcut of three blocks
    assert sum(isinstance(m, BlurPool) for m in network.modules()) == 7


def test_the_filter_stands_between_the_relu_and_the_convolution_after_it() -> None:
    """In a pre-activated bottleneck: conv2 of stride 1, norm and ReLU, filter, conv3; shortcut: filter, 1x1."""
    torch.manual_seed(0)
    network = build_backbone("resnetv2_50", weights="random", in_channels=1, output_stride=32).network.eval()
    plain = copy.deepcopy(network.get_submodule("stages.1.blocks.0"))
    anti_alias(network, 3, "resnetv2_50")
    x = torch.rand(1, 256, 12, 12)
    with torch.no_grad():
        found = network.get_submodule("stages.1.blocks.0")(x)
        plain.conv2.stride = plain.downsample.conv.stride = (1, 1)  # type: ignore[union-attr,assignment]
        blur = BlurPool(3, 2)
        first = plain.norm1(x)  # type: ignore[operator]
        branch = plain.norm3(plain.conv2(plain.norm2(plain.conv1(first))))  # type: ignore[operator]
        expected = plain.conv3(blur(branch)) + plain.downsample(blur(first))  # type: ignore[operator]
    torch.testing.assert_close(found, expected)


def test_answers_shift_with_the_image() -> None:
    """Features of an image moved by a pixel differ less from its own with the filters than without."""

    def drift(size: int) -> float:
        torch.manual_seed(0)
        backbone = build_backbone("resnetv2_10_slim", weights="random", in_channels=1, output_stride=32).eval()
        anti_alias(backbone.network, size, "resnetv2_10_slim")
        generator = torch.Generator().manual_seed(1)
        wide = torch.rand(4, 1, 128, 129, generator=generator)
        with torch.no_grad():
            here, there = backbone(wide[..., :128]), backbone(wide[..., 1:])
        return float((here - there).abs().mean() / here.std())

    drifts = [drift(size) for size in (1, 2, 3, 4, 5)]
    assert drifts[3] < 0.8 * drifts[0]
    assert min(drifts[1:]) < drifts[0]
    assert max(drifts[1:]) < drifts[0]


def test_a_downsampling_that_cannot_be_blurred_is_named() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, stride=2))
    with pytest.raises(MethodError, match="'mine': 1 downsamples") as error:
        anti_alias(network, 4, "mine")
    assert "\n" not in str(error.value)
