"""The feature pyramid (Lin et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class FeaturePyramid(nn.Module):
    """Feature maps (N, `channels[i]`, h_i, w_i), finest first, to one (N, `width`, h_0, w_0).

    From the coarsest on, each is brought to `width` channels by a 1x1 convolution and added to what came before, which
    is repeated to its size. No 3x3 convolution follows, as in the released code of paper 001.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(count, width, kernel_size=1) for count in channels)
        for lateral in self.laterals:
            nn.init.kaiming_normal_(lateral.weight, nonlinearity="linear")  # type: ignore[arg-type]
            nn.init.zeros_(lateral.bias)  # type: ignore[arg-type]

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        sides: list[Tensor] = [lateral(each) for lateral, each in zip(self.laterals, maps, strict=True)]
        merged = sides[-1]
        for side in sides[-2::-1]:
            merged = side + F.interpolate(merged, size=side.shape[-2:], mode="nearest")
        return merged
