"""Input scaling."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """(N, C, H, W) images in [0, 1] to network inputs, ``(x - mean) / std`` per channel.

    ``half`` is 0.5 and 0.5; ``imagenet`` is ImageNet's values, for one channel their means over the colours.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, scheme: Literal["half", "imagenet"], channels: int) -> None:
        super().__init__()
        if scheme == "half":
            mean, std = torch.full((channels,), 0.5), torch.full((channels,), 0.5)
        else:
            mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
            if channels == 1:
                mean, std = mean.mean(0, keepdim=True), std.mean(0, keepdim=True)
        self.register_buffer("mean", mean.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", std.view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std
