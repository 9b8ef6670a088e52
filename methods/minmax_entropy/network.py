"""Localizer M and classifier C on a shared backbone (figure 2)."""

from __future__ import annotations

from contextlib import ExitStack

from torch import Tensor, nn

from methods.layers.backbone import Backbone
from methods.layers.images import Normalize
from methods.layers.maps import resized_aligned
from methods.layers.pooling import WildcatHead
from methods.layers.statistics import SecondStatistics, untracked


class Network(nn.Module):
    """Each of M and C has a head of its own; C sees its input shrunk by `classifier_scale`.

    With `split_statistics`, batch normalisation has running statistics of whole images for M and of X+ for C, which
    are what each sees in evaluation; erased images and X- are normalised by their own batch and leave no trace.
    """

    def __init__(
        self,
        normalize: Normalize,
        backbone: Backbone,
        localizer: WildcatHead,
        classifier: WildcatHead,
        *,
        classifier_scale: float,
        split_statistics: bool,
    ) -> None:
        super().__init__()
        self.normalize = normalize
        self.backbone = backbone
        self.localizer = localizer
        self.classifier = classifier
        self.classifier_scale = classifier_scale
        self.masked_statistics = SecondStatistics(backbone) if split_statistics else None

    def localize(self, inputs: Tensor, *, erased: bool = False) -> tuple[Tensor, Tensor]:
        """M: normalised images (N, C, H, W) to scores (N, c) and class maps (N, c, h, w)."""
        with ExitStack() as stack:
            if self.masked_statistics is not None and erased:
                stack.enter_context(untracked(self.backbone))
            scores, maps = self.localizer(self.backbone(inputs))
        return scores, maps

    def classify(self, inputs: Tensor, *, negative: bool = False) -> Tensor:
        """C: normalised, masked images (N, C, H, W), X+ or the `negative` X-, to scores (N, c)."""
        size = tuple(max(1, round(side * self.classifier_scale)) for side in inputs.shape[-2:])
        inputs = resized_aligned(inputs, size)
        scores: Tensor
        with ExitStack() as stack:
            if self.masked_statistics is not None:
                stack.enter_context(self.masked_statistics.in_use())
                if negative:
                    stack.enter_context(untracked(self.backbone))
            scores, _ = self.classifier(self.backbone(inputs))
        return scores
