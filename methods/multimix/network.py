"""The network of appendix A: an encoder with a classifier at its end, a decoder with skips, and the saliency bridge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.layers.images import Normalize
from methods.layers.maps import resized_aligned
from methods.layers.mode import evaluating

BLOCKS = 5
"""Of the encoder; the resolution is halved after each."""

SMALLEST = 2**BLOCKS
"""Pixels along a side that the classifier's last pooling needs."""

Sign = Literal["absolute", "signed"]


def block(channels_in: int, channels_out: int, *, dropout: float, slope: float) -> nn.Sequential:
    """Twice 3x3 convolution, instance normalisation, leaky ReLU, then dropout; keeps the resolution.

    The normalisation has neither parameters nor running statistics, and takes away what a bias would add. Groups of one
    channel are instance normalisation, the same to 1e-5 and a tenth faster to train on a CPU.
    """
    layers: list[nn.Module] = []
    for source in (channels_in, channels_out):
        layers += [
            nn.Conv2d(source, channels_out, kernel_size=3, padding=1, bias=False),
            nn.GroupNorm(channels_out, channels_out, affine=False),
            nn.LeakyReLU(slope, inplace=True),
        ]
    return nn.Sequential(*layers, nn.Dropout(dropout))


class Encoder(nn.Module):
    """Table 4: inputs (N, C, H, W) to the five block outputs, of (N, w 2^l, H / 2^l, W / 2^l), rounded down."""

    def __init__(self, channels: int, *, width: int, dropout: float, slope: float) -> None:
        super().__init__()
        self.widths = [width * 2**level for level in range(BLOCKS)]
        self.blocks = nn.ModuleList(
            block(a, b, dropout=dropout, slope=slope)
            for a, b in zip([channels, *self.widths[:-1]], self.widths, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        for layer in self.blocks:
            features.append(layer(F.max_pool2d(features[-1], 2) if features else x))
        return features


class Decoder(nn.Module):
    """Table 5: block outputs of the encoder, and what the bridge adds to the first stage, to logits (N, S, H, W).

    Each stage is resized to its skip, so that images may have any size; where the size is a multiple of 16 that is the
    factor of 2 of the paper. The table ends in one channel; here one a class of regions.
    """

    def __init__(self, widths: list[int], regions: int, *, bridge: int, dropout: float, slope: float) -> None:
        super().__init__()
        deep, *skips = reversed(widths)
        added = [bridge] + [0] * (len(skips) - 1)
        self.blocks = nn.ModuleList(
            block(below + skip + extra, skip, dropout=dropout, slope=slope)
            for below, skip, extra in zip([deep, *skips[:-1]], skips, added, strict=True)
        )
        self.logits = nn.Conv2d(widths[0], regions, kernel_size=1)

    def forward(self, features: list[Tensor], bridge: Tensor | None) -> Tensor:
        *skips, x = features
        for layer, skip in zip(self.blocks, reversed(skips), strict=True):
            parts = [resized_aligned(x, skip.shape[2:]), skip]
            if bridge is not None:
                parts.append(resized_aligned(bridge, skip.shape[2:]))
                bridge = None
            x = layer(torch.cat(parts, 1))
        logits: Tensor = self.logits(x)
        return logits


class Network(nn.Module):
    """Images (N, C, H, W) in [0, 1], sides of 32 pixels at least, to class logits (N, K) and region logits
    (N, S, H, W). Without classes or regions that branch is not there, and its logits have K or S of 0.

    `bridge` concatenates input and saliency to the first stage of the decoder (eq. 4); None leaves it out.
    """

    def __init__(
        self,
        normalize: Normalize,
        channels: int,
        *,
        classes: int,
        regions: int,
        bridge: Sign | None,
        width: int,
        dropout: float,
        slope: float,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.bridge = bridge
        self.encoder = Encoder(channels, width=width, dropout=dropout, slope=slope)
        widths = self.encoder.widths
        self.classifier = nn.Linear(widths[-1], classes) if classes else None
        added = 0 if bridge is None else 2 * channels
        self.decoder = Decoder(widths, regions, bridge=added, dropout=dropout, slope=slope) if regions else None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.normalize(images)
        features = self.encoder(x)
        return self._classes(features), self._regions(x, features)

    def classify(self, images: Tensor) -> Tensor:
        """Class logits (N, K) alone."""
        return self._classes(self.encoder(self.normalize(images)))

    def segment(self, images: Tensor) -> Tensor:
        """Region logits (N, S, H, W) alone."""
        x = self.normalize(images)
        return self._regions(x, self.encoder(x))

    def _classes(self, features: list[Tensor]) -> Tensor:
        deepest = features[-1]
        if self.classifier is None:
            return deepest.new_zeros(len(deepest), 0)
        logits: Tensor = self.classifier(F.max_pool2d(deepest, 2).mean((2, 3)))
        return logits

    def _regions(self, x: Tensor, features: list[Tensor]) -> Tensor:
        if self.decoder is None:
            return x.new_zeros(len(x), 0, *x.shape[2:])
        bridge = None
        if self.bridge is not None:
            with evaluating(self):
                found = saliency(lambda inputs: self._classes(self.encoder(inputs)), x, self.bridge)
            bridge = torch.cat((x, found), 1)
        logits: Tensor = self.decoder(features, bridge)
        return logits


def saliency(classify: Callable[[Tensor], Tensor], x: Tensor, sign: Sign) -> Tensor:
    """Gradient of the logit of the predicted class with respect to the input (eq. 3), or its absolute value.

    Args:
        classify: inputs (N, C, H, W) to logits (N, K); an image's logits depend on no other image.
        x: (N, C, H, W).

    Returns:
        (N, C, H, W) without a graph, not normalised. Parameters get no gradient, whatever mode the caller is in.
    """
    with torch.inference_mode(False), torch.enable_grad():
        inputs = x.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(classify(inputs).amax(1).sum(), inputs)
    return gradient.abs() if sign == "absolute" else gradient
