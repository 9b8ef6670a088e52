"""What the methods on a grid of patches share: the network, the regions of a batch, and maps made of patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from methods._augmentation import augmentation
from methods._config import PatchConfig
from methods.layers.backbone import Backbone, build_backbone
from methods.layers.blur import anti_alias
from methods.layers.grid import to_grid, to_pixels
from methods.layers.images import Normalize
from methods.layers.inside import own_cells
from methods.layers.regions import masks_and_truth
from raysearch.method import Augmentation, Batch, Method, RegionBoxes, covered_cells


class PatchNetwork(nn.Module):
    """Images (N, C, H, W) in [0, 1] to logits (N, K, P, P), one a patch and class (figure 2).

    Features are brought to the grid; a 3x3 convolution with batch normalisation and ReLU, and a 1x1 convolution follow.
    The text can be read as if a ReLU came last; the sigmoid of that could not fall below 0.5.
    """

    def __init__(self, normalize: Normalize, backbone: Backbone, classes: int, *, patches: int, hidden: int) -> None:
        super().__init__()
        self.normalize = normalize
        self.backbone = backbone
        self.patches = patches
        self.head = nn.Sequential(
            nn.Conv2d(backbone.features, hidden, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, classes, kernel_size=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(to_grid(self.backbone(self.normalize(images)), self.patches))
        return logits


@dataclass(frozen=True, kw_only=True)
class AnnotatedPairs:
    """The M annotated pairs of a batch: ``a`` of the paper is 1 for them and 0 for all others.

    Attributes:
        image, label: (M,) int64, rows and classes.
        cells: (M, P, P) bool, the patches of the region, b.
        own: (N, P, P) bool, the patches of each image of the batch that hold some of the picture, or None for all. What
            lies wholly in the padding is absent for certain: it enters no sum and no count of patches.
    """

    image: Tensor
    label: Tensor
    cells: Tensor
    own: Tensor | None = None

    def of(self, grid: Tensor) -> Tensor:
        """(M, P, P) of (N, K, P, P)."""
        return grid[self.image, self.label]

    def total(self, annotated: Tensor, unannotated: Tensor, weight: float) -> tuple[Tensor, Tensor, Tensor]:
        """Eq. 3: the sum over classes of ``weight a L_ann + (1 - a) L_un``, mean over the batch, and both its parts.

        `annotated` is (M,), `unannotated` (N, K) over all pairs, of which those that are annotated do not count.
        """
        free = unannotated.index_put((self.image, self.label), unannotated.new_zeros(()))
        first, second = weight * annotated.sum() / len(free), free.sum() / len(free)
        return first + second, first, second


class PatchMethod(Method):
    """Learns from image labels and, where an image is annotated, from the patches that its regions cover."""

    view: ClassVar[Literal["single", "multi"]] = "multi"
    supervision: ClassVar[Literal["image", "region", "pixel", "none"]] = "region"
    metric: ClassVar[str] = "iou"
    config: PatchConfig

    def patch_network(self, *, blur: int) -> PatchNetwork:
        """The unary model, with anti-aliasing filters of side `blur`; 1 has none."""
        c = self.config
        backbone = build_backbone(
            c.backbone, weights=c.weights, in_channels=self.task.channels, output_stride=c.output_stride
        )
        anti_alias(backbone.network, blur, c.backbone)
        normalize = Normalize(c.normalize, self.task.channels)
        return PatchNetwork(normalize, backbone, len(self.task.classes), patches=c.patches, hidden=c.hidden)

    def augmentation(self) -> Augmentation:
        return augmentation(self.config, self.task.size)

    def region_cells(self, masks: Tensor, cells: tuple[int, int], boxes: RegionBoxes | None = None) -> Tensor:
        return covered_cells(masks, cells, self.config.cell_rule, boxes)

    def scored_regions(self, masks: Tensor, boxes: RegionBoxes | None = None) -> Tensor:
        if self.config.geometry == "exact":
            return masks
        side = self.config.patches
        cells = self.region_cells(masks, (side, side), boxes)
        # a region without a patch stays what it is: an empty mask must not be right about it
        missed = ~cells.flatten(1).any(1)[:, None, None]
        return torch.where(missed, masks, to_pixels(cells[None].to(masks.dtype), (masks.shape[1], masks.shape[2]))[0])

    def regions(self, batch: Batch) -> AnnotatedPairs:
        """The annotated pairs of a batch: those whose region is known to be there."""
        masks, truth = masks_and_truth(batch, self.name)
        image, label = (truth == 1).nonzero().unbind(1)
        side = self.config.patches
        cells = self.region_cells(masks, (side, side), batch.boxes)
        own = own_cells(batch.inside, (side, side))
        # the outline of a box may go a fraction of a pixel beyond the picture
        return AnnotatedPairs(image=image, label=label, cells=cells if own is None else cells & own[image], own=own)
