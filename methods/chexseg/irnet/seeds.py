"""Seeds that IRNet learns from: the surest parts of saliency maps (appendix A.2, B.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.chexseg._config import CheXsegConfig
from methods.chexseg._upstream import CHUNK
from methods.chexseg.cams import Cams, SaliencyMaps, over_maximum
from methods.chexseg.thresholds import enlarged
from methods.layers.crf import CrfSettings, dense_crf
from methods.layers.inside import own_cells
from methods.layers.rounding import exceeds, reaches
from raysearch.method import Outcome, TrainingImages, Upstream

STRIDE = 4
"""Pixels of the image a cell of IRNet's outputs."""
CERTAINTY = 0.7
"""Probability that a label is right, to the CRF; this and `CRF` are the released code's."""
CRF = CrfSettings(
    iterations=10, theta_alpha=50.0, theta_beta=5.0, theta_gamma=3.0, weight_bilateral=10.0, weight_gaussian=3.0
)
"""For images of 320 pixels a side with three equal channels."""
SIDE = 320
CHANNELS = 3


def seeds(maps: Tensor, *, foreground: float, background: float) -> Tensor:
    """Of maps (M, h, w) in units of their maximum: 1 above `foreground`, 0 below `background`, -1 between."""
    surely = torch.where(reaches(maps, background), -1.0, 0.0)
    return torch.where(exceeds(maps, foreground), 1.0, surely)


def cleaned(found: Tensor, images: Tensor, inside: Tensor | None = None) -> Tensor:
    """Seeds (M, H, W) of images (M, C, H, W) in [0, 1], drawn to the edges of these: a dense CRF refines the foreground
    against the rest, and the background against the rest. Foreground is what the first says, background what both leave
    over; -1 elsewhere. Widths in pixels are the released code's share of the shorter side. Padding around pictures,
    which is not `inside` (M, H, W), has no part in the CRF."""
    scale = min(images.shape[2:]) / SIDE
    settings = replace(
        CRF,
        theta_alpha=CRF.theta_alpha * scale,
        theta_gamma=CRF.theta_gamma * scale,
        # the distance of equal channels grows with the root of their number
        theta_beta=CRF.theta_beta * math.sqrt(images.shape[1] / CHANNELS),
    )

    def refined(mask: Tensor) -> Tensor:
        unsure = torch.where(mask, CERTAINTY, 1 - CERTAINTY)
        return dense_crf(unsure[:, None], images, settings, inside)[:, 0] > 0.5

    inside, near = refined(found == 1), refined(found != 0)
    return torch.where(inside, 1.0, torch.where(near, -1.0, 0.0))


class Seeds(Upstream):
    """Of the saliency maps of images that are to get pseudo-labels: `seeds` (M, h, w) int8 at IRNet's stride, and the
    rows and the image of each as in `SaliencyMaps`. Cleaned ones are made at the image's size. Cells that lie wholly in
    the padding around a picture are none, -1."""

    name: ClassVar[str] = "seeds"
    fields: ClassVar[tuple[str, ...]] = ("seed_foreground", "seed_background", "seed_cleaning")
    inputs: ClassVar[tuple[str, ...]] = (Cams.name,)
    config: CheXsegConfig

    def build(self) -> nn.Module:
        return nn.Identity()

    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        maps = SaliencyMaps.load(self.outcomes[Cams.name], images.pool)
        maps = maps.part(maps.weak)
        parts = self.plain(maps) if self.config.seed_cleaning == "none" else self.cleaned(maps, images)
        made = [torch.zeros(0, *self.grid, dtype=torch.int8), *(part.to("cpu", torch.int8) for part in parts)]
        found = torch.cat(made)
        own = own_cells(images.inside(maps.rows), self.grid)
        found = found if own is None else found.masked_fill(~own[maps.image], -1)
        return {"rows": torch.from_numpy(maps.rows), "image": maps.image, "seeds": found}

    def plain(self, maps: SaliencyMaps) -> Iterator[Tensor]:
        """(m, h, w) of some pairs at a time, in their order."""
        for i in range(0, len(maps.maps), CHUNK):
            yield self.of(maps.maps[i : i + CHUNK], self.grid)

    def cleaned(self, maps: SaliencyMaps, images: TrainingImages) -> Iterator[Tensor]:
        """As `plain`; of several pixels a cell has the one in its middle, as in the released code."""
        done = 0
        for part, pixels in images.batches(maps.rows, CHUNK):
            chosen = (maps.image >= done) & (maps.image < done + len(part))
            image, inside = maps.image[chosen] - done, images.inside(part)
            found = cleaned(
                self.of(maps.maps[chosen].to(pixels.device), self.task.size),
                pixels[image.to(pixels.device)],
                None if inside is None else inside[image].to(pixels.device),
            )
            yield F.interpolate(found[:, None], size=self.grid, mode="nearest-exact")[:, 0]
            done += len(part)

    def of(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        c = self.config
        unit = enlarged(over_maximum(maps), size)
        return seeds(unit, foreground=c.seed_foreground, background=c.seed_background)

    @property
    def grid(self) -> tuple[int, int]:
        height, width = self.task.size
        return -(-height // STRIDE), -(-width // STRIDE)
