"""Residual networks without their classifiers, by name: timm's, torchvision's, and a slim one for laptops."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import timm
import torchvision
from timm.layers.create_conv2d import create_conv2d
from timm.layers.norm_act import BatchNormAct2d
from timm.models.resnet import BasicBlock, ResNet
from timm.models.resnetv2 import ResNetV2
from torch import Tensor, nn

from methods.layers.weights import adapt_first_convolution, load_local, no_download
from raysearch.errors import MethodError, nearest

_SIZE: dict[str, Any] = {"layers": (1, 1, 1, 1), "channels": (16, 32, 64, 64), "stem_type": "deep"}
SLIM: dict[str, Callable[..., nn.Module]] = {
    "resnet10_slim": partial(ResNet, BasicBlock, **_SIZE, stem_width=8),  # type: ignore[arg-type]
    "resnetv2_10_slim": partial(
        ResNetV2, **_SIZE, stem_chs=16, basic=True, norm_layer=BatchNormAct2d, conv_layer=create_conv2d
    ),
}
"""Networks that small images train in seconds on one core, the second pre-activated; timm's classes, fewer channels."""

Maker = Callable[[bool, int], nn.Module]
"""Makes a network from (pretrained, input channels)."""


class Backbone(nn.Module):
    """Images (N, C, H, W) to features (N, `features`, h, w), h and w about H and W over the output stride."""

    def __init__(self, network: nn.Module, forward: str, features: int) -> None:
        super().__init__()
        self.network = network
        self.features = features
        self._forward = forward

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = getattr(self.network, self._forward)(images)
        return features


def backbone_names() -> tuple[str, ...]:
    """All names that `build_backbone` knows without a prefix, sorted."""
    return tuple(sorted({*SLIM, *timm.list_models(module="resnet"), *timm.list_models(module="resnetv2")}))


def build_backbone(name: str, *, weights: str, in_channels: int, output_stride: int) -> Backbone:
    """A residual network, on the CPU, random parts drawn from torch's global generator.

    Args:
        name: a timm ResNet (``resnet18``, ``timm/resnet101d``, with or without a tag such as ``resnet18.a1_in1k``),
            a torchvision one (``torchvision/resnet50``), or one of `SLIM`.
        weights: ``random``, ``imagenet`` (timm's or torchvision's own download), or the path of a .pth (tensors only)
            or .safetensors file; classifier weights in it are dropped.
        in_channels: 1 or 3. Pretrained first convolutions are summed over colours for 1.
        output_stride: 8, 16 or 32; strides beyond it are replaced by dilation.

    Raises:
        MethodError: the name is unknown, the network has no such stride, or the weights cannot be had or do not fit.
    """
    library, _, model = name.rpartition("/")
    if library == "torchvision":
        return _torchvision(model, weights, in_channels, output_stride)
    if library not in ("", "timm"):
        raise MethodError(f"unknown backbone {name!r}: expected NAME, timm/NAME or torchvision/NAME")
    if model in SLIM:
        return _slim(model, weights, in_channels, output_stride)
    if model.partition(".")[0] not in backbone_names():
        raise MethodError(f"unknown backbone {name!r}: {_suggest(model, backbone_names())}")

    def make(pretrained: bool, channels: int) -> nn.Module:
        network: nn.Module = timm.create_model(
            model, pretrained=pretrained, in_chans=channels, num_classes=0, global_pool="", output_stride=output_stride
        )
        return network

    network = _with_weights(name, weights, in_channels, make)
    return Backbone(network, "forward_features", int(network.num_features))  # type: ignore[arg-type]


def _slim(name: str, weights: str, in_channels: int, output_stride: int) -> Backbone:
    if weights == "imagenet":
        raise MethodError(f"backbone {name!r} has no ImageNet weights: use weights=random or the path of a file")

    def make(pretrained: bool, channels: int) -> nn.Module:
        del pretrained
        return SLIM[name](in_chans=channels, num_classes=0, global_pool="", output_stride=output_stride)

    network = _with_weights(name, weights, in_channels, make)
    return Backbone(network, "forward_features", _SIZE["channels"][-1])


def _torchvision(name: str, weights: str, in_channels: int, output_stride: int) -> Backbone:
    known = torchvision.models.list_models(include=["*resnet*", "resnext*"], module=torchvision.models)
    if name not in known:
        raise MethodError(f"unknown backbone 'torchvision/{name}': {_suggest(name, known)}")
    if output_stride != 32 and name in ("resnet18", "resnet34"):
        raise MethodError(
            f"backbone 'torchvision/{name}' has no output_stride {output_stride}, only 32: use 'timm/{name}'"
        )

    def make(pretrained: bool, channels: int) -> nn.Module:
        network = torchvision.models.get_model(
            name,
            weights="DEFAULT" if pretrained else None,
            replace_stride_with_dilation=(False, output_stride <= 8, output_stride <= 16),
        )
        trunk = nn.Sequential()
        for part, module in list(network.named_children())[:-2]:  # the pooling and the classifier
            trunk.add_module(part, module)
        if channels != 3:
            adapt_first_convolution(trunk, channels)
        return trunk

    network = _with_weights(f"torchvision/{name}", weights, in_channels, make)
    last = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)][-1]
    return Backbone(network, "forward", last.num_features)


def _with_weights(name: str, weights: str, in_channels: int, make: Maker) -> nn.Module:
    if weights == "random":
        return make(False, in_channels)
    if weights == "imagenet":
        try:
            return make(True, in_channels)
        except Exception as error:  # hub clients raise a dozen classes
            raise no_download(name, error) from error
    network = make(False, in_channels)
    load_local(network, weights, name)
    return network


def _suggest(name: str, known: list[str] | tuple[str, ...]) -> str:
    hint = nearest(name, known)
    return hint if hint.startswith("did") else "expected a ResNet of timm or torchvision, as resnet18 or resnet101s"
