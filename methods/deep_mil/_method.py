"""Deep MIL: the cells of the feature map are instances, and attention says which of them make the class."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from methods._classifier import MapClassifierMethod
from methods.deep_mil._config import DeepMilConfig


class AttentionHead(nn.Module):
    """Features (N, F, h, w) to class scores (N, K) and attention maps (N, K, h, w), each summing to 1.

    ``a_k = softmax over cells of w_k^T tanh(V h)``, or ``w_k^T (tanh(V h) * sigmoid(U h))`` if gated (eq. 8, 9 of Ilse
    et al.); the score of class k is a linear function of its own ``sum a_k h``.
    """

    def __init__(self, features: int, classes: int, *, hidden: int, gated: bool) -> None:
        super().__init__()
        self.v = nn.Conv2d(features, hidden, kernel_size=1)
        self.u = nn.Conv2d(features, hidden, kernel_size=1) if gated else None
        self.w = nn.Conv2d(hidden, classes, kernel_size=1)
        self.classifier = nn.Linear(features, classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.tanh(self.v(features))
        if self.u is not None:
            hidden = hidden * torch.sigmoid(self.u(features))
        energy: Tensor = self.w(hidden)
        attention = energy.flatten(2).softmax(2)
        bags = attention @ features.flatten(2).transpose(1, 2)
        scores = (bags * self.classifier.weight).sum(2) + self.classifier.bias
        return scores, attention.view_as(energy)


class DeepMil(MapClassifierMethod):
    """The attention of the predicted class is its map."""

    name: ClassVar[str] = "deep_mil"
    title: ClassVar[str] = "Deep multiple-instance learning with attention (Ilse et al., ICML 2018)"
    Config = DeepMilConfig
    config: DeepMilConfig

    def head(self, features: int, classes: int) -> nn.Module:
        return AttentionHead(features, classes, hidden=self.config.attention, gated=self.config.gated)
