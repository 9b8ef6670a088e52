"""A U-Net with batch normalisation and padded convolutions, and a linear classifier on its bottleneck."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.layers.images import Normalize


def double_convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    """Twice 3x3 convolution, batch normalisation, ReLU; keeps the resolution."""
    layers: list[nn.Module] = []
    for source in (channels_in, channels_out):
        layers += [
            nn.Conv2d(source, channels_out, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNetNetwork(nn.Module):
    """Images (N, C, H, W) in [0, 1] to class scores (N, K) and foreground logits (N, 1, H, W).

    Images are padded at the right and below, by their border, to a multiple of ``2 ** depth``.
    """

    def __init__(self, normalize: Normalize, channels: int, classes: int, *, width: int, depth: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.normalize = normalize
        self.down = nn.ModuleList(
            double_convolution(a, b) for a, b in zip([channels, *widths[:-2]], widths[:-1], strict=True)
        )
        self.bottleneck = double_convolution(widths[-2], widths[-1])
        # transposed convolutions, as in the paper: their gradient is deterministic, that of interpolation is not
        self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, kernel_size=2, stride=2) for w in reversed(widths[:-1]))
        self.up = nn.ModuleList(double_convolution(2 * w, w) for w in reversed(widths[:-1]))
        self.foreground = nn.Conv2d(width, 1, kernel_size=1)
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        height, width = images.shape[-2:]
        multiple = 2 ** len(self.down)
        x = F.pad(self.normalize(images), (0, -width % multiple, 0, -height % multiple), mode="replicate")
        skips: list[Tensor] = []
        for block in self.down:
            skips.append(block(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.bottleneck(x)
        scores = self.classifier(x.mean((2, 3)))
        for grow, block, skip in zip(self.grow, self.up, reversed(skips), strict=True):
            x = block(torch.cat((skip, grow(x)), 1))
        return scores, self.foreground(x)[:, :, :height, :width]
