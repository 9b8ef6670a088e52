"""Replaces activations in a network."""

from __future__ import annotations

from torch import nn


def leak(network: nn.Module, slope: float) -> int:
    """Every ``nn.ReLU`` becomes a LeakyReLU of `slope`, in place; 0 changes nothing. Weights and their names stay.

    What is another class (ReLU6, SiLU, GELU), or a function that a forward calls, stays as it is.

    Returns:
        How many were replaced.
    """
    replaced = 0
    if slope == 0:
        return replaced
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.LeakyReLU(slope, inplace=child.inplace))
                replaced += 1
    return replaced
