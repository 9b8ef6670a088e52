"""Replaces activations in a network."""

from __future__ import annotations

from torch import nn


def leak(network: nn.Module, slope: float) -> None:
    """Every ReLU becomes a LeakyReLU of `slope`, in place; 0 changes nothing. Weights and their names stay."""
    if slope == 0:
        return
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.LeakyReLU(slope, inplace=child.inplace))
