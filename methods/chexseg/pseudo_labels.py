"""Pseudo-labels from saliency maps (appendix A): by thresholds, or by IRNet's walk."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from methods.chexseg._config import CheXsegConfig
from methods.chexseg._upstream import CHUNK, at
from methods.chexseg.cams import Cams, SaliencyMaps, over_maximum
from methods.chexseg.irnet import IrNet
from methods.chexseg.irnet.walk import walk
from methods.chexseg.thresholds import (
    GRID,
    best_thresholds,
    counts_by_level,
    enlarged,
    otsu_masks,
    packed,
    reached,
)
from methods.layers.inside import continued, own_cells
from methods.layers.rounding import exceeds
from raysearch.method import Outcome, PseudoRegions, TrainingImages, Upstream, by_class


class PseudoLabels(Upstream):
    """Masks of the positive labels of the images without known regions. A positive label whose mask is empty counts as
    absent, as negative labels do; unknown labels stay unknown."""

    config: CheXsegConfig

    def build(self) -> nn.Module:
        return nn.Identity()

    @abc.abstractmethod
    def masks(self, maps: SaliencyMaps, images: TrainingImages) -> Iterator[Tensor]:
        """(m, H, W) bool at a time, on the CPU, of the pairs of `maps` in their order. `maps` are those of the images
        that are to get pseudo-labels."""

    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        maps = SaliencyMaps.load(self.outcomes[Cams.name], images.pool)
        maps = maps.part(maps.weak)
        truth = torch.from_numpy(images.pool.labels[at(images.pool, maps.rows)].copy())
        parts, empty = [packed(torch.zeros(0, *self.task.size, dtype=torch.bool))], [torch.zeros(0, dtype=torch.bool)]
        for part in self.masks(maps, images):
            there = part.flatten(1).any(1)
            parts.append(packed(part[there]))
            empty.append(~there)
        without = torch.cat(empty)
        truth[maps.image[without], maps.label[without]] = 0
        return {"rows": torch.from_numpy(maps.rows), "truth": truth, "packed": torch.cat(parts)}


class CamLabels(PseudoLabels):
    """Saliency maps, enlarged to the image and thresholded."""

    name: ClassVar[str] = "cam_labels"
    fields: ClassVar[tuple[str, ...]] = ("cam_scale", "threshold_rule", "cam_threshold", "force_negative")
    inputs: ClassVar[tuple[str, ...]] = (Cams.name,)

    def masks(self, maps: SaliencyMaps, images: TrainingImages) -> Iterator[Tensor]:
        c, classes = self.config, self.task.classes
        cutoff = torch.tensor(by_class(c.force_negative, classes))[maps.label]
        seen = maps.maps.amax((1, 2)) >= cutoff
        unit, thresholds = self.thresholds(images) if c.threshold_rule != "otsu" else (None, None)
        for i in range(0, len(maps.maps), CHUNK):
            part, label = maps.maps[i : i + CHUNK], maps.label[i : i + CHUNK]
            inside = inside_of(images, maps.rows, maps.image[i : i + CHUNK])
            if unit is None or thresholds is None:
                masks = otsu_masks(enlarged(over_maximum(part), self.task.size), inside)
            else:
                scaled = enlarged(self.scaled(part, label, unit), self.task.size)
                # a map of zeros shows nothing, whatever the threshold
                masks = reached(scaled, thresholds[label]) & (part.amax((1, 2)) > 0)[:, None, None]
            masks = masks & seen[i : i + CHUNK, None, None]
            yield masks if inside is None else masks & inside

    def scaled(self, maps: Tensor, label: Tensor, unit: Tensor) -> Tensor:
        """Maps (M, h, w) over their own maximum, or over their class's `unit` (K,)."""
        return over_maximum(maps) if self.config.cam_scale == "max" else maps / unit[label][:, None, None]

    def thresholds(self, images: TrainingImages) -> tuple[Tensor, Tensor]:
        """By class the unit of `scaled`, and the threshold in it: (K,) and (K,)."""
        c, classes = self.config, self.task.classes
        fixed = torch.ones(len(classes)), torch.tensor(by_class(c.cam_threshold, classes), dtype=torch.float64)
        if c.threshold_rule == "fixed":
            return fixed
        every = SaliencyMaps.load(self.outcomes[Cams.name], images.pool)
        unit = torch.zeros(len(classes)).scatter_reduce(0, every.label, every.maps.amax((1, 2)), "amax")
        unit = unit.masked_fill(unit <= 0, 1.0)
        best = best_thresholds(self.counts(every.part(~every.weak), unit, images))
        return (unit, best) if best is not None else fixed

    def counts(self, maps: SaliencyMaps, unit: Tensor, images: TrainingImages) -> Tensor:
        """`counts_by_level` of all pairs whose region is known."""
        counts = torch.zeros(2, len(self.task.classes), GRID, dtype=torch.int64)
        for i in range(0, len(maps.rows), CHUNK):
            rows = maps.rows[i : i + CHUNK]
            regions, truth = images.regions(rows)
            chosen = (maps.image >= i) & (maps.image < i + CHUNK)
            image, label = maps.image[chosen] - i, maps.label[chosen]
            targets = region_of(regions, truth, image, label)
            known = truth[image, label] >= 0
            scaled = enlarged(self.scaled(maps.maps[chosen], label, unit), self.task.size)
            inside = inside_of(images, rows, image[known])
            counts += counts_by_level(scaled[known], targets[known], label[known], len(self.task.classes), inside)
        return counts


class WalkLabels(PseudoLabels):
    """Saliency maps, spread by IRNet's walk, each class by itself, and thresholded."""

    name: ClassVar[str] = "walk_labels"
    fields: ClassVar[tuple[str, ...]] = ("walk_beta", "walk_times", "walk_background", "walk_radius")
    inputs: ClassVar[tuple[str, ...]] = (Cams.name, IrNet.name)

    def masks(self, maps: SaliencyMaps, images: TrainingImages) -> Iterator[Tensor]:
        c, device = self.config, images.device
        found = self.outcomes[IrNet.name]
        boundary = found["boundary"][np.searchsorted(found["rows"].numpy(), maps.rows)].float()
        # whole images at a time: the walk's affinities are an image's
        step = max(1, CHUNK // 8)
        for i in range(0, len(maps.rows), step):
            chosen = (maps.image >= i) & (maps.image < i + step)
            image, edges = (maps.image[chosen] - i).to(device), boundary[i : i + step].to(device)
            grid = (edges.shape[1], edges.shape[2])
            start = enlarged(over_maximum(maps.maps[chosen].to(device)), grid)
            inside = images.inside(maps.rows[i : i + step])
            own = own_cells(None if inside is None else inside.to(device), grid)
            if own is not None:
                edges = edges.masked_fill(~own, 1.0)  # no walk goes through a sure boundary
            end = walk(start, edges, image, radius=c.walk_radius, beta=c.walk_beta, steps=2**c.walk_times)
            end = enlarged(continued(end, None if own is None else own[image]), self.task.size)
            masks = exceeds(over_maximum(end), c.walk_background).cpu()
            yield masks if inside is None else masks & inside[image.cpu()]


def inside_of(images: TrainingImages, rows: NDArray[np.int64], image: Tensor) -> Tensor | None:
    """(M, H, W) bool: of each of M pairs the pixels of its picture, by index into `rows`; None where all pixels are."""
    named, place = np.unique(image.numpy(), return_inverse=True)
    inside = images.inside(rows[named])
    return None if inside is None else inside[torch.from_numpy(place)]


def region_of(masks: Tensor, truth: Tensor, image: Tensor, label: Tensor) -> Tensor:
    """(M, H, W): of masks of the pairs of truth (n, K) that are 1, in their order, those of the pairs (image, label);
    zeros where that is not 1."""
    place = (truth == 1).flatten().cumsum(0).view(truth.shape) - 1
    there = truth[image, label] == 1
    found = masks.new_zeros(len(image), *masks.shape[1:])
    found[there] = masks[place[image, label][there]]
    return found


def pseudo_regions(outcome: Outcome) -> PseudoRegions:
    """As the engine takes them."""
    return PseudoRegions(
        rows=outcome["rows"].numpy().astype(np.int64), truth=outcome["truth"].numpy(), packed=outcome["packed"].numpy()
    )
