"""DeepLabV3+ (Chen et al., ECCV 2018) on a residual network, as segmentation_models.pytorch has it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.layers.images import Normalize
from methods.layers.maps import resized_aligned
from methods.layers.stages import Stages


class PooledBatchNorm(nn.BatchNorm2d):
    """Of one value a channel and image: one image alone has no batch statistics, and gets the running ones."""

    def forward(self, input: Tensor) -> Tensor:
        if len(input) > 1:
            return super().forward(input)
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def pointwise(channels_in: int, channels_out: int) -> nn.Sequential:
    """1x1 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def separable(channels_in: int, channels_out: int, *, dilation: int = 1) -> nn.Sequential:
    """3x3 convolution of each channel by itself, then as `pointwise`; keeps the resolution."""
    depthwise = nn.Conv2d(
        channels_in, channels_in, kernel_size=3, padding=dilation, dilation=dilation, groups=channels_in, bias=False
    )
    return nn.Sequential(depthwise, *pointwise(channels_in, channels_out))


class SpatialPyramid(nn.Module):
    """Atrous spatial pyramid pooling: (N, F, h, w) to (N, `width`, h, w) by a 1x1 convolution, three dilated separable
    ones and the mean over the image, side by side."""

    def __init__(self, features: int, width: int, *, dilation: int, dropout: float) -> None:
        super().__init__()
        dilated = [separable(features, width, dilation=times * dilation) for times in (1, 2, 3)]
        self.branches = nn.ModuleList([pointwise(features, width), *dilated])
        self.pooled = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(features, width, kernel_size=1, bias=False),
            PooledBatchNorm(width),
            nn.ReLU(inplace=True),
        )
        self.project = nn.Sequential(pointwise(5 * width, width), nn.Dropout(dropout))

    def forward(self, features: Tensor) -> Tensor:
        pooled = self.pooled(features).expand(-1, -1, *features.shape[2:])
        joined: Tensor = self.project(torch.cat([*(branch(features) for branch in self.branches), pooled], 1))
        return joined


class DeepLabV3Plus(nn.Module):
    """Images (N, C, H, W) in [0, 1] to logits (N, K, H, W)."""

    def __init__(
        self,
        normalize: Normalize,
        encoder: Stages,
        classes: int,
        *,
        width: int,
        detail: int,
        dilation: int,
        dropout: float,
    ) -> None:
        """
        Args:
            width: channels of the pyramid and the decoder; 256 in the paper.
            detail: channels that the features at stride 4 are brought to; 48 in the paper.
            dilation: of the pyramid, once, twice and three times this; 12 in the released code of CheXseg.
            dropout: behind the pyramid.
        """
        super().__init__()
        self.normalize = normalize
        self.encoder = encoder
        pyramid = SpatialPyramid(encoder.channels[4], width, dilation=dilation, dropout=dropout)
        self.coarse = nn.Sequential(pyramid, separable(width, width))
        self.fine = pointwise(encoder.channels[1], detail)
        self.join = separable(width + detail, width)
        self.logits = nn.Conv2d(width, classes, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        _, fine, _, _, coarse = self.encoder(self.normalize(images))
        deep = resized_aligned(self.coarse(coarse), fine.shape[2:])
        logits = self.logits(self.join(torch.cat((deep, self.fine(fine)), 1)))
        return resized_aligned(logits, images.shape[2:])
