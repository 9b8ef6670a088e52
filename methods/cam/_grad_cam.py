"""Grad-CAM (Selvaraju et al., ICCV 2017) on the classifier of ``cam_avg``."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from methods._classifier import MapClassifier
from methods.cam._method import CamAvg


def grad_cam(features: Tensor, scores_of: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """``relu(sum_k alpha_k A^k)``, ``alpha_k`` the mean over positions of ``d y / d A^k`` (eq. 1, 2); y is the score of
    the predicted class before the softmax.

    Args:
        features: (N, F, h, w), the last convolutional features A.
        scores_of: A to class scores (N, K), each image's from its own features alone.

    Returns:
        Scores (N, K) and maps (N, 1, h, w), at least 0, without gradient. Parameters receive none either.
    """
    # gradients are needed even where the caller forbade them
    with torch.inference_mode(False), torch.enable_grad():
        leaf = features.detach().clone().requires_grad_(True)
        scores = scores_of(leaf)
        (gradient,) = torch.autograd.grad(scores.gather(1, scores.argmax(1, keepdim=True)).sum(), leaf)
    weights = gradient.mean((2, 3), keepdim=True)
    return scores.detach(), (weights * leaf.detach()).sum(1, keepdim=True).relu()


class GradCam(CamAvg):
    """The same training as ``cam_avg``; another map, which equals relu(CAM) / Z up to the bias."""

    name: ClassVar[str] = "grad_cam"
    title: ClassVar[str] = "Grad-CAM on an average-pooling classifier (Selvaraju et al., ICCV 2017)"

    def score_and_localize(self, network: MapClassifier, images: Tensor) -> tuple[Tensor, Tensor]:
        return grad_cam(network.features(images), lambda features: network.head(features)[0])
