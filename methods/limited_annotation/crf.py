"""The PAC-CRF of section 3.3: mean field on the grid of patches, with a kernel on learned features."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.layers.pac import binary_mean_field, softmax_mean_field

Reading = Literal["binary", "softmax"]

NOISE = 0.0005
"""Half-width of the uniform noise on the first compatibilities, as in the released code of PAC."""


class PacCrf(nn.Module):
    """Unary logits (N, K, P, P) and normalised images (N, C, H, W) to patch values (N, K, P, P).

    ``binary``: a CRF a class, with labels absent and present and unaries log(1 - p) and log p; the answer is the
    probability of present, p itself if no message is passed. Several classes may hold in a patch, as in the unary
    model. ``softmax``: one CRF over the K classes with unary p, as in PAC's own use; the answer is log Q, p minus
    the messages, which may leave [0, 1]. Patches that are not `own` (N, P, P) send no message.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        patches: int,
        window: int,
        steps: int,
        reading: Reading,
        hidden: int,
        strength: float,
    ) -> None:
        super().__init__()
        self.patches = patches
        self.steps = steps
        self.reading = reading
        self.guide = nn.Sequential(
            nn.Conv2d(channels, hidden, kernel_size=3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(hidden),
            nn.Conv2d(hidden, classes, kernel_size=3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(classes),
        )
        shape = (classes, 2, 2) if reading == "binary" else (classes, classes)
        self.compatibility = nn.Parameter(strength * potts(shape, window))
        self.unary_weight = nn.Parameter(torch.ones(()))

    def forward(self, logits: Tensor, images: Tensor, own: Tensor | None = None) -> Tensor:
        settings = (self.features(images), self.compatibility, self.unary_weight, self.steps)
        if self.reading == "binary":
            return binary_mean_field(logits, *settings, own).sigmoid()
        return softmax_mean_field(logits.sigmoid(), *settings, own)

    def features(self, images: Tensor) -> Tensor:
        """f (N, K, P, P): as many channels as classes, "a tensor with the same size" as the unary terms.

        Both convolutions halve the resolution, of the image averaged down to 4 P x 4 P.
        """
        features: Tensor = self.guide(F.adaptive_avg_pool2d(images, 4 * self.patches))
        return features


def potts(shape: tuple[int, ...], window: int) -> Tensor:
    """The first compatibilities W (*shape, window, window), the shape's last two axes labels, as PAC's released code.

    Different labels repel each other by a Gaussian of the offset (deviation window / 4, sum window^2, 0 for the patch
    itself), equal ones are indifferent; noise makes classes and offsets differ.
    """
    at = torch.arange(window) - window // 2
    row = torch.exp(-0.5 * (at / (window / 4)) ** 2)
    gaussian = torch.outer(row, row) * (window / row.sum()) ** 2
    gaussian[window // 2, window // 2] = 0.0
    differ = (1 - torch.eye(shape[-1]))[:, :, None, None]
    noise = torch.empty(*shape, window, window).uniform_(-NOISE, NOISE)
    return differ * gaussian + noise
