"""Pretrained weights: from a local file, or a readable refusal."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import torch
from timm.models import adapt_input_conv, load_state_dict
from torch import Tensor, nn

from raysearch.errors import MethodError

CLASSIFIERS = ("fc.", "head.", "classifier.", "last_linear.")

ENCODERS = ("encoder_q.", "backbone.")
"""Where self-supervised checkpoints (MoCo, MoCo-CXR) have the network; what lies elsewhere in them is left out."""

_DENSE = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d\.)")
"""Names of layers in torchvision's published files of DenseNets, which its own code has since changed."""


def load_local(network: nn.Module, path: str, name: str) -> None:
    """Fills `network` from a checkpoint file, dropping the classifier and adapting the first convolution.

    Args:
        network: a backbone without classifier; its first parameter is the first convolution's weight.
        path: a .safetensors file, or one by ``torch.save`` that holds tensors only, bare or under ``state_dict`` or
            ``model``; a ``module.`` prefix is removed, and so is one of `ENCODERS`.
        name: the backbone's, for messages.

    Raises:
        MethodError: no such file, no checkpoint, or a checkpoint of another network.
    """
    if not Path(path).is_file():
        raise MethodError(f"weights {path!r} not found: expected random, imagenet, or a .pth or .safetensors file")
    wanted = f"expected a .pth or .safetensors file of a state_dict of {name}: names to tensors, and no other objects"
    try:
        with warnings.catch_warnings(action="ignore"):  # torch's, of a pickle that is none of its own
            found = load_state_dict(path, device="cpu", weights_only=True)
    except OSError as error:
        raise MethodError(f"weights {path!r} cannot be read ({error.strerror or error}): {wanted}") from error
    # safetensors, pickle and zip readers each have their own, and timm's for a list; what they say is about themselves
    except Exception as error:
        raise MethodError(f"weights {path!r} cannot be read as a checkpoint: {wanted}") from error
    if not isinstance(found, dict) or not found or not all(isinstance(v, Tensor) for v in found.values()):
        raise MethodError(f"weights {path!r} hold no dictionary of tensors: {wanted}")
    state = {
        _DENSE.sub(r"\1\2", key): value for key, value in _encoder(found).items() if not key.startswith(CLASSIFIERS)
    }
    first, target = next(iter(network.named_parameters()))
    if first in state and state[first].ndim == 4 and state[first].shape[1] == 3:
        state[first] = adapt_input_conv(target.shape[1], state[first])
    expected = network.state_dict()
    _refuse("lack", [key for key in expected if key not in state], path, name)
    _refuse("have the unknown", [key for key in state if key not in expected], path, name)
    wrong = [key for key in expected if state[key].shape != expected[key].shape]
    _refuse("have another shape of", wrong, path, name)
    network.load_state_dict(state)


def adapt_first_convolution(network: nn.Module, channels: int) -> None:
    """Replaces the first convolution, of 3 channels, by one of `channels`; for 1 its weights are their sum."""
    name, first = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    adapted = nn.Conv2d(
        channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    with torch.no_grad():
        adapted.weight.copy_(adapt_input_conv(channels, first.weight))
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, adapted)


def no_download(name: str, error: Exception) -> MethodError:
    """The refusal when ImageNet weights cannot be had."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
    return MethodError(
        f"ImageNet weights of backbone {name!r} cannot be had ({reason}): without network give --fix weights=FILE "
        "(.pth or .safetensors), or --fix weights=random"
    )


def _encoder(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is under the first of `ENCODERS` that there is; all of it if there is none."""
    for prefix in ENCODERS:
        inside = {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}
        if inside:
            return inside
    return found


def _refuse(what: str, keys: list[str], path: str, name: str) -> None:
    if keys:
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        raise MethodError(f"weights {path!r} do not fit backbone {name!r}: they {what} {keys[0]!r}{more}")
