"""Batch normalisation for a backbone that sees several kinds of input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SecondStatistics(nn.Module):
    """A second set of running statistics for the batch-normalised layers of `network`; their weights stay shared.

    Inputs of two distributions through one set of running statistics give a mixture that fits neither in evaluation,
    while training normalises each batch by itself. A set each cures it (auxiliary batch norm, Xie et al., CVPR 2020).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._layers = batch_norms(network)
        for i, layer in enumerate(self._layers):
            for name in ("running_mean", "running_var"):
                self.register_buffer(f"{name}{i}", getattr(layer, name).clone())

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The layers use and update this set instead of their own."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for i, layer in enumerate(self._layers):
            for name in ("running_mean", "running_var"):
                own: Tensor = getattr(layer, name)
                setattr(layer, name, getattr(self, f"{name}{i}"))
                setattr(self, f"{name}{i}", own)


@contextmanager
def untracked(network: nn.Module) -> Iterator[None]:
    """Training batches leave the running statistics as they are."""
    layers = batch_norms(network)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


@contextmanager
def stored(network: nn.Module) -> Iterator[None]:
    """Training batches are normalised by the running statistics, and leave them as they are."""
    layers = [layer for layer in batch_norms(network) if layer.training]
    for layer in layers:
        layer.eval()
    try:
        yield
    finally:
        for layer in layers:
            layer.train()


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Its layers with running statistics, in order."""
    return [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
