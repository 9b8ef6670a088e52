"""Networks that give features at several strides: timm's, torchvision's, and a slim one for laptops."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

import timm
import torch
import torchvision
from torch import Tensor, nn

from methods.layers.weights import adapt_first_convolution, load_local, no_download
from raysearch.errors import MethodError, nearest

STRIDES = (4, 8, 16, 32)
"""Pixels of the image a cell of each feature map, finest first."""

SLIM = "densenet_slim"
"""A DenseNet that small images train in seconds on one core; torchvision's class, fewer layers and channels."""

_SIZE = {"growth_rate": 8, "block_config": (2, 2, 2, 2), "num_init_features": 16, "bn_size": 2}

Make = Callable[[bool], nn.Module]
"""Makes a network from (pretrained)."""


class Features(nn.Module, abc.ABC):
    """Images (N, C, H, W) to a map (N, `channels[i]`, h, w) at each of `STRIDES`, h and w about H and W over it."""

    channels: tuple[int, ...]

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @abc.abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]: ...

    def take(self, maps: Sequence[Tensor], side: int, name: str) -> list[int]:
        """Sets `channels` from `maps` of an image of `side` pixels; which of them are at `STRIDES`, the last of the
        widest at each.

        Raises:
            MethodError: the network `name` has none at one of them.
        """
        taken = []
        for stride in STRIDES:
            at = [i for i, m in enumerate(maps) if m.ndim == 4 and m.shape[2:] == (side // stride, side // stride)]
            if not at:
                raise MethodError(
                    f"backbone {name!r} has no feature maps of stride {stride}: use one that halves the image step by "
                    "step, as torchvision/densenet121 or timm/resnet50"
                )
            widest = max(maps[i].shape[1] for i in at)
            taken.append([i for i in at if maps[i].shape[1] == widest][-1])
        self.channels = tuple(maps[i].shape[1] for i in taken)
        return taken


class StepFeatures(Features):
    """Of a network whose modules are done one after the other."""

    def __init__(self, network: nn.Module, in_channels: int, name: str) -> None:
        super().__init__(network)
        self._taken = set(self.take(*_probe(self._maps, network, in_channels), name))

    def forward(self, images: Tensor) -> list[Tensor]:
        return [x for i, x in enumerate(self._maps(images)) if i in self._taken]

    def _maps(self, x: Tensor) -> list[Tensor]:
        out = []
        for step in _steps(self.network):
            x = step(x)
            out.append(x)
        return out


class TimmFeatures(Features):
    """Of any network of timm that gives its intermediate features."""

    def __init__(self, network: nn.Module, in_channels: int, name: str) -> None:
        super().__init__(network)
        self._taken: list[int] | None = None
        self._taken = self.take(*_probe(self.forward, network, in_channels), name)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.network.forward_intermediates(  # type: ignore[operator]
            images, indices=self._taken, stop_early=True, intermediates_only=True
        )
        return maps


def network_names() -> list[str]:
    """All names that `build_features` knows, those of timm without a prefix or tag."""
    torchvisions = torchvision.models.list_models(module=torchvision.models)
    return [SLIM, *timm.list_models(), *(f"torchvision/{name}" for name in torchvisions)]


def build_features(name: str, *, weights: str, in_channels: int) -> Features:
    """A network on the CPU, random parts drawn from torch's global generator.

    Args:
        name: a timm network (``densenet121``, ``timm/resnet50``), a torchvision one (``torchvision/densenet121``), or
            `SLIM`.
        weights: ``random``, ``imagenet`` (timm's or torchvision's own download), or the path of a .pth (tensors only)
            or .safetensors file; classifier weights in it are dropped.
        in_channels: 1 or 3. Pretrained first convolutions are summed over colours for 1.

    Raises:
        MethodError: the name is unknown, the network has no feature maps at `STRIDES` or rescales its input
            (``transform_input``), or the weights cannot be had or do not fit.
    """
    library, _, model = name.rpartition("/")
    if name == SLIM:
        return _slim(weights, in_channels)
    if library == "torchvision":
        return _torchvision(model, weights, in_channels)
    if library not in ("", "timm"):
        raise MethodError(f"unknown backbone {name!r}: expected NAME, timm/NAME or torchvision/NAME")
    return _timm(model, weights, in_channels)


def _slim(weights: str, in_channels: int) -> Features:
    if weights == "imagenet":
        raise MethodError(f"backbone {SLIM!r} has no ImageNet weights: use weights=random or the path of a file")
    network = _with_weights(SLIM, weights, lambda _: torchvision.models.DenseNet(**_SIZE), in_channels, trunk=True)
    return StepFeatures(network, in_channels, SLIM)


def _torchvision(model: str, weights: str, in_channels: int) -> Features:
    name = f"torchvision/{model}"
    known = torchvision.models.list_models(module=torchvision.models)
    if model not in known:
        raise MethodError(f"unknown backbone {name!r}: {nearest(model, known)}")

    def make(pretrained: bool) -> nn.Module:
        network: nn.Module = torchvision.models.get_model(model, weights="DEFAULT" if pretrained else None)
        return network

    return StepFeatures(_with_weights(name, weights, make, in_channels, trunk=True), in_channels, name)


def _timm(model: str, weights: str, in_channels: int) -> Features:
    if model.partition(".")[0] not in timm.list_models():
        raise MethodError(f"unknown backbone {model!r}: {nearest(model, timm.list_models())}")

    def make(pretrained: bool) -> nn.Module:
        network: nn.Module = timm.create_model(
            model, pretrained=pretrained, in_chans=in_channels, num_classes=0, global_pool=""
        )
        return network

    network = _with_weights(f"timm/{model}", weights, make, in_channels, trunk=False)
    if not hasattr(network, "forward_intermediates"):
        raise MethodError(f"backbone 'timm/{model}' gives no intermediate features: use another, as timm/resnet50")
    return TimmFeatures(network, in_channels, f"timm/{model}")


def _with_weights(name: str, weights: str, make: Make, in_channels: int, *, trunk: bool) -> nn.Module:
    """`trunk`: what is made has a classifier and takes colours."""
    try:
        network = make(weights == "imagenet")
    except Exception as error:  # hub clients raise a dozen classes
        if weights != "imagenet":
            raise
        raise no_download(name, error) from error
    if trunk:
        network = _trunk(network, name)
        if in_channels != 3:
            adapt_first_convolution(network, in_channels)
    if weights not in ("random", "imagenet"):
        load_local(network, weights, name)
    return network


def _trunk(network: nn.Module, name: str) -> nn.Module:
    """What comes before pooling and classifier, under the names that its parts have.

    Raises:
        MethodError: the network's own forward rescales its input, of which its parts know nothing.
    """
    if hasattr(network, "transform_input"):
        raise MethodError(
            f"backbone {name!r} rescales its input by itself (transform_input), which is no part of its layers: use"
            " another, as torchvision/densenet121 or timm/resnet50"
        )
    trunk = nn.Sequential()
    for part, module in network.named_children():
        if isinstance(module, nn.Linear | nn.AdaptiveAvgPool2d) or part == "classifier":
            break
        trunk.add_module(part, module)
    if isinstance(network, torchvision.models.DenseNet):
        trunk.add_module("relu5", nn.ReLU(inplace=True))  # a function there
    return trunk


def _steps(network: nn.Module) -> list[nn.Module]:
    """The modules of a network one after the other, sequences opened."""
    if type(network).forward is not nn.Sequential.forward:
        return [network]
    return [step for child in network.children() for step in _steps(child)]


def _probe(maps_of: Callable[[Tensor], list[Tensor]], network: nn.Module, in_channels: int) -> tuple[list[Tensor], int]:
    """Its maps of a black image, and the image's side."""
    side = 2 * STRIDES[-1]
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            return maps_of(torch.zeros(1, in_channels, side, side)), side
    except (RuntimeError, ValueError, NotImplementedError, TypeError, AssertionError):
        return [], side  # no sequence of steps, or one that needs larger images
    finally:
        network.train(training)
