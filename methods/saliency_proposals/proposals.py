"""The regressors of confidence and box of each region proposal (section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.layers.roi import grid_roi_align
from methods.saliency_proposals.anchors import Anchors, decode


class ProposalHead(nn.Module):
    """A confidence and a refined box of every anchor and class; one head for all classes.

    What it sees of an anchor are the features of the class under it, RoIAlign, times the sigmoid of the saliency there.
    """

    def __init__(
        self, features: int, anchors: Anchors, *, hidden: int, slope: float, roi_size: int, roi_sampling: int
    ) -> None:
        super().__init__()
        self.anchors = anchors
        self.slope = slope
        self.roi_size = roi_size
        self.roi_sampling = roi_sampling
        self.conv = nn.Conv2d(features, hidden, kernel_size=3, padding=1)
        self.confidence = nn.Linear(hidden, 1, bias=False)
        self.deltas = nn.Linear(hidden, 4)
        nn.init.normal_(self.confidence.weight, mean=0.01, std=0.01)
        nn.init.zeros_(self.deltas.weight)
        nn.init.zeros_(self.deltas.bias)

    def forward(self, features: Tensor, saliency: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Confidences (N, K, A), unbounded, and boxes (N, K, A, 4) in pixels of an image of (H, W) `size`, of features
        (N, K, F, h, w) and saliency logits (N, K, h, w)."""
        squares = self.anchors.boxes(size, features.device).to(features)
        count, classes, width = features.shape[:3]
        # anchors are the same for all classes: their features are taken at once
        under = self._align(features.flatten(1, 2), size).view(count, -1, classes, width, *(self.roi_size,) * 2)
        weight = self._align(saliency, size).sigmoid()[:, :, :, None]
        seen = F.leaky_relu(self.conv((under * weight).flatten(0, 2)), self.slope, inplace=True).amax((2, 3))
        seen = seen.view(count, len(squares), classes, -1).transpose(1, 2)
        return self.confidence(seen)[..., 0], decode(squares, self.deltas(seen), size)

    def _align(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, A, C, P, P) of maps (N, C, h, w)."""
        down, across = maps.shape[2] / size[0], maps.shape[3] / size[1]
        levels = [
            grid_roi_align(maps, rows * down, columns * across, self.roi_size, self.roi_sampling).flatten(1, 2)
            for rows, columns in self.anchors.spans(size, maps.device)
        ]
        return torch.cat(levels, 1)
