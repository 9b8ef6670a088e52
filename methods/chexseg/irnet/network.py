"""IRNet's two branches on a frozen residual network (Ahn et al., CVPR 2019, as in its released code)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from methods.layers.images import Normalize
from methods.layers.maps import resized
from methods.layers.stages import Stages


def branch(channels_in: int, channels_out: int) -> nn.Sequential:
    """1x1 convolution, group normalisation in groups of 8 channels, 16 groups at most, ReLU."""
    groups = min(16, channels_out // 8)
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=False),
        nn.GroupNorm(groups, channels_out),
        nn.ReLU(inplace=True),
    )


class IrNetwork(nn.Module):
    """Images (N, C, H, W) in [0, 1] to displacements (N, 2, h, w), (y, x) in cells, and boundary logits (N, h, w), at
    stride 4. No gradient reaches the residual network, whose batch statistics stay as they are."""

    def __init__(self, normalize: Normalize, stages: Stages, *, width: int) -> None:
        """`width`: channels of a boundary branch, a multiple of 8; 32 in the paper."""
        super().__init__()
        self.normalize = normalize
        self.stages = stages
        self.edges = nn.ModuleList(branch(channels, width) for channels in stages.channels)
        self.edge = nn.Conv2d(5 * width, 1, kernel_size=1)
        widths = [factor * width for factor in (2, 4, 8, 8, 8)]
        self.fields = nn.ModuleList(branch(a, b) for a, b in zip(stages.channels, widths, strict=True))
        self.deep = branch(sum(widths[2:]), widths[4])
        self.field = nn.Sequential(
            branch(widths[0] + widths[1] + widths[4], widths[4]),
            nn.Conv2d(widths[4], 2, kernel_size=1, bias=False),
        )

    def train(self, mode: bool = True) -> IrNetwork:
        super().train(mode)
        self.stages.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            features = self.stages(self.normalize(images))
        size = features[1].shape[2:]
        edges = [resized(branch(x), size) for branch, x in zip(self.edges, features, strict=True)]
        boundary = self.edge(torch.cat(edges, 1))[:, 0]
        first, second, *deep = [branch(x) for branch, x in zip(self.fields, features, strict=True)]
        third = torch.cat([resized(x, deep[0].shape[2:]) for x in deep], 1)
        joined = torch.cat((resized(first, size), second, resized(self.deep(third), size)), 1)
        return self.field(joined), boundary

    def boundary_parameters(self) -> list[nn.Parameter]:
        return [*self.edges.parameters(), *self.edge.parameters()]

    def displacement_parameters(self) -> list[nn.Parameter]:
        return [*self.fields.parameters(), *self.deep.parameters(), *self.field.parameters()]
