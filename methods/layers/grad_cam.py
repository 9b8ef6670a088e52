"""Grad-CAM (Selvaraju et al., ICCV 2017): ``relu(sum_k alpha_k A^k)``, ``alpha_k`` the mean over positions of
``d y / d A^k`` (eq. 1, 2), y the score of a class before the softmax or sigmoid.

`features` are the last convolutional features A (N, F, h, w), and `scores_of` makes class scores (N, K) of them, each
image's from its own features alone. Maps are at least 0 and without gradient; parameters receive none either.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Scores = Callable[[Tensor], Tensor]


def grad_cam(features: Tensor, scores_of: Scores) -> tuple[Tensor, Tensor]:
    """Scores (N, K), and maps (N, 1, h, w) of the class with the highest."""
    # gradients are needed even where the caller forbade them
    with torch.inference_mode(False), torch.enable_grad():
        leaf = features.detach().clone().requires_grad_(True)
        scores = scores_of(leaf)
        (gradient,) = torch.autograd.grad(scores.gather(1, scores.argmax(1, keepdim=True)).sum(), leaf)
    return scores.detach(), _weighted(leaf, gradient)


def grad_cams(features: Tensor, scores_of: Scores) -> tuple[Tensor, Tensor]:
    """Scores (N, K), and maps (N, K, h, w) of every class, by one backward pass a class."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = features.detach().clone().requires_grad_(True)
        scores = scores_of(leaf)
        # an image's scores depend on its own features alone: the sum over images keeps the gradients apart
        gradients = [torch.autograd.grad(score, leaf, retain_graph=True)[0] for score in scores.sum(0)]
    return scores.detach(), torch.cat([_weighted(leaf, gradient) for gradient in gradients], 1)


def _weighted(features: Tensor, gradient: Tensor) -> Tensor:
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * features.detach()).sum(1, keepdim=True).relu()
