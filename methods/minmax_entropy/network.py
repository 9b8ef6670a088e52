"""Localizer M and classifier C on a shared backbone (figure 2)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from methods.layers.backbone import Backbone
from methods.layers.images import Normalize
from methods.layers.pooling import WildcatHead


class Network(nn.Module):
    """Each of M and C has a head of its own; C sees its input shrunk by `classifier_scale`."""

    def __init__(
        self,
        normalize: Normalize,
        backbone: Backbone,
        localizer: WildcatHead,
        classifier: WildcatHead,
        *,
        classifier_scale: float,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.backbone = backbone
        self.localizer = localizer
        self.classifier = classifier
        self.classifier_scale = classifier_scale

    def localize(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """M: normalised images (N, C, H, W) to scores (N, c) and class maps (N, c, h, w)."""
        scores, maps = self.localizer(self.backbone(inputs))
        return scores, maps

    def classify(self, inputs: Tensor) -> Tensor:
        """C: normalised, masked images (N, C, H, W) to scores (N, c)."""
        height, width = (max(1, round(side * self.classifier_scale)) for side in inputs.shape[-2:])
        if (height, width) != tuple(inputs.shape[-2:]):
            inputs = F.interpolate(inputs, size=(height, width), mode="bilinear", align_corners=True)
        scores: Tensor
        scores, _ = self.classifier(self.backbone(inputs))
        return scores
