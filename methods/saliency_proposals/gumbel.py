"""Drawing one proposal, with a gradient: the straight-through Gumbel-softmax (Jang et al., ICLR 2017)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.layers.keyed import keyed_uniforms


def gumbel_noise(generator: torch.Generator, index: Tensor, shape: tuple[int, int]) -> Tensor:
    """(N, *shape) float32, ``-log(E)`` with E from Exp(1): an image's own, whatever batch or worker it comes in.

    Args:
        generator: of the step, on the device of `index`.
        index: (N,) int64, the images.
    """
    exponential = -torch.log(keyed_uniforms(generator, index, shape[0] * shape[1]))
    return -torch.log(exponential).float().view(-1, *shape)


def straight_through(logits: Tensor, temperature: float) -> Tensor:
    """One-hot over the last axis of (..., A) at the largest logit, exactly; the gradient is that of
    ``softmax(logits / temperature)``."""
    soft = (logits / temperature).softmax(-1)
    hard = F.one_hot(logits.argmax(-1), logits.shape[-1]).to(soft.dtype)
    return hard + (soft - soft.detach())
