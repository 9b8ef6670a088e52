"""Grad-CAM (Selvaraju et al., ICCV 2017) on the classifier of ``cam_avg``."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from methods._classifier import MapClassifier
from methods.cam._method import CamAvg
from methods.layers.grad_cam import grad_cam


class GradCam(CamAvg):
    """The same training as ``cam_avg``; another map, which equals relu(CAM) / Z up to the bias."""

    name: ClassVar[str] = "grad_cam"
    title: ClassVar[str] = "Grad-CAM on an average-pooling classifier (Selvaraju et al., ICCV 2017)"

    def score_and_localize(self, network: MapClassifier, images: Tensor) -> tuple[Tensor, Tensor]:
        return grad_cam(network.features(images), lambda features: network.head(features)[0])
