"""Saliency maps of training images (appendix A.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from methods._classifier import MapClassifier
from methods.chexseg._config import CheXsegConfig
from methods.chexseg._upstream import at, expert_rows, weak_rows
from methods.chexseg.classifier import Classifier, load_classifier
from methods.layers.grad_cam import grad_cams
from methods.layers.inside import continued, own_cells
from raysearch.method import Outcome, Pool, TrainingImages, Upstream


@dataclass(frozen=True, kw_only=True)
class SaliencyMaps:
    """Maps of the M positive pairs of n images, in the order of image and class.

    Attributes:
        rows: (n,) int64, sorted rows of the collection.
        weak: (n,) bool, images that are to get pseudo-labels; the others have known regions.
        image, label: (M,) int64, the pairs: index into `rows`, class.
        maps: (M, h, w) float32, at least 0, unscaled, at the resolution of the features; cells that lie wholly in the
            padding around a picture have the value of the nearest of its own.
    """

    rows: NDArray[np.int64]
    weak: NDArray[np.bool_]
    image: Tensor
    label: Tensor
    maps: Tensor

    @classmethod
    def load(cls, outcome: Outcome, pool: Pool | None = None) -> SaliencyMaps:
        """All that `Cams` has left, or those of images of a pool."""
        rows = outcome["rows"].numpy()
        maps = cls(
            rows=rows,
            weak=outcome["weak"].numpy(),
            image=outcome["image"],
            label=outcome["label"],
            maps=outcome["maps"],
        )
        return maps if pool is None else maps.part(np.isin(rows, pool.rows))

    def part(self, images: NDArray[np.bool_]) -> SaliencyMaps:
        """Those of some of the n images."""
        chosen = torch.from_numpy(images)
        place = chosen.cumsum(0) - 1
        pairs = chosen[self.image]
        return SaliencyMaps(
            rows=self.rows[images],
            weak=self.weak[images],
            image=place[self.image[pairs]],
            label=self.label[pairs],
            maps=self.maps[pairs],
        )


def over_maximum(maps: Tensor) -> Tensor:
    """(M, h, w), each over its own maximum; a map of zeros stays one."""
    highest = maps.amax((1, 2), keepdim=True)
    return maps / highest.masked_fill(highest <= 0, 1.0)


class Cams(Upstream):
    """Grad-CAM of the images that are to get pseudo-labels and of those with known regions, by which thresholds are
    chosen: of the classes that their labels or regions say are there."""

    name: ClassVar[str] = "cams"
    fields: ClassVar[tuple[str, ...]] = ("weak_maps", "subset")
    inputs: ClassVar[tuple[str, ...]] = (Classifier.name,)
    config: CheXsegConfig

    def build(self) -> nn.Module:
        return load_classifier(Classifier(self.config, self.task).build(), self.outcomes[Classifier.name])

    def outcome(self, model: nn.Module, images: TrainingImages) -> Outcome:
        network, pool = cast(MapClassifier, model), images.pool
        weak = weak_rows(pool, self.config.weak_maps, self.config.subset)
        rows = np.union1d(weak, expert_rows(pool))
        place = at(pool, rows)
        positive = torch.from_numpy((pool.labels[place] == 1) | (pool.truth[place] == 1))
        found, done = [], 0
        for part, inputs in images.batches(rows, self.config.classifier_batch):
            with torch.no_grad():
                features = network.features(inputs)
            maps = grad_cams(features, lambda a: network.head(a)[0])[1].float().cpu()
            chosen = positive[done : done + len(part)]
            own = own_cells(images.inside(part), (maps.shape[2], maps.shape[3]))
            found.append(continued(maps[chosen], None if own is None else own[chosen.nonzero()[:, 0]]))
            done += len(part)
        image, label = positive.nonzero().unbind(1)
        return {
            "rows": torch.from_numpy(rows),
            "weak": torch.from_numpy(np.isin(rows, weak)),
            "image": image,
            "label": label,
            "maps": torch.cat(found) if found else torch.zeros(0, 1, 1),
        }
