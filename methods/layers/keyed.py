"""Random numbers that belong to an image, whatever batch or worker it comes in."""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


def keyed_uniforms(generator: torch.Generator, index: Tensor, count: int) -> Tensor:
    """(N, count) uniform numbers in (0, 1), float64: number j of image i depends on what the generator gives next,
    index[i] and j alone.

    SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) in wrapping int64, started at a hash of the key and the index.

    Args:
        generator: of a step, on the device of `index`; the same on all workers.
        index: (N,) int64.
    """
    key = torch.randint(2**62, (1,), generator=generator, device=index.device)
    state = _mix(_mix(key + _GOLDEN) ^ index)
    steps = torch.arange(1, count + 1, device=index.device) * _GOLDEN
    bits = _shift(_mix(state[:, None] + steps), 11)
    return (bits.double() + 0.5) * 2.0**-53


def _mix(state: Tensor) -> Tensor:
    state = (state ^ _shift(state, 30)) * _FIRST
    state = (state ^ _shift(state, 27)) * _SECOND
    return state ^ _shift(state, 31)


def _shift(state: Tensor, by: int) -> Tensor:
    """To the right, as if without sign."""
    return (state >> by) & ((1 << (64 - by)) - 1)
