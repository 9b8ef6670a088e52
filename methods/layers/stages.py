"""The features of every stage of a residual network, for what needs more than the last ones."""

from __future__ import annotations

from typing import Any, cast

from timm.models.resnet import ResNet
from torch import Tensor, nn

from methods.layers.backbone import build_backbone
from raysearch.errors import MethodError


class Stages(nn.Module):
    """Images (N, C, H, W) to the features of the stem, after its pooling, and of the four stages: strides 4, 4, 8, 16
    and 32, none beyond the output stride. `channels` are theirs."""

    def __init__(self, name: str, *, weights: str, in_channels: int, output_stride: int) -> None:
        """A ResNet of timm (``resnet18``) or a slim one by name; the rest as of `build_backbone`.

        Raises:
            MethodError: another network, or what `build_backbone` refuses.
        """
        super().__init__()
        self.backbone = build_backbone(name, weights=weights, in_channels=in_channels, output_stride=output_stride)
        if not isinstance(self.backbone.network, ResNet):
            raise MethodError(f"backbone {name!r} is no ResNet of timm: expected one as resnet18 or resnet50")
        info: list[dict[str, Any]] = self.backbone.network.feature_info
        self.channels = tuple(int(stage["num_chs"]) for stage in info)

    def forward(self, images: Tensor) -> list[Tensor]:
        network = cast(ResNet, self.backbone.network)
        stem, *stages = network.forward_intermediates(images, intermediates_only=True)
        return [network.maxpool(stem), *stages]
