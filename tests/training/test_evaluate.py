"""Which evidence an evaluation collects, and from what."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raysearch.method import LossThreshold, Prediction
from raysearch.thresholds import KINDS, Components, Counts, Maps, Ranks, Regions
from raysearch.training import Alone, Rule, evaluate, observe
from training.tiny import Tiny, tiny_assignment, tiny_collection, tiny_method

THRESHOLDS = {"mask_threshold": 0.5}


class Bounded(Tiny):
    """Has a loss threshold that bounds its map, seen on a grid of 4 x 4 cells."""

    loss_thresholds = (LossThreshold(name="tau", bounds="inside"),)
    gives_grid = True

    def predict(self, model: nn.Module, images: Tensor, inside: Tensor | None = None) -> Prediction:
        found = super().predict(model, images, inside)
        grid = nn.functional.avg_pool2d(found.maps, 2).expand(-1, len(self.task.classes), -1, -1)
        return dataclasses.replace(found, grid=grid if self.gives_grid else None)


def bounded() -> Bounded:
    tiny = tiny_method()
    return Bounded(tiny.config, tiny.task)


def evaluation(method: Tiny, **rule: Any) -> Any:
    rows = tiny_assignment().tuning
    return evaluate(method, method.build(), tiny_collection(), rows, rule=Rule(**rule), thresholds=THRESHOLDS)


def test_no_more_is_collected_than_something_needs() -> None:
    assert evaluation(tiny_method(), metric="f1_plus").observations.evidence.keys() == {"counts", "logits"}
    found = evaluation(tiny_method(), metric="box_accuracy@0.2")
    assert found.observations.evidence.keys() == {"counts", "logits", "components"}
    assert found.score.value == found.score.metrics["box_accuracy@0.2"] == found.score.localization
    assert {"f1_plus", "box_iou", "auc", "cdice", "pxap"} <= found.score.metrics.keys()
    assert evaluation(bounded(), metric="f1_plus").observations.evidence.keys() == {"counts", "regions", "logits"}
    found = evaluation(tiny_method(), metric="auc", evidence=("ranks", "maps"))
    assert list(found.observations.evidence) == ["counts", "ranks", "logits", "maps"]
    assert found.score.localization == found.score.metrics["f1_plus"] != found.score.value


def test_all_kinds_are_about_the_same_pairs_and_images() -> None:
    evidence = evaluation(bounded(), metric="box_iou", evidence=tuple(KINDS)).observations.evidence
    assert evidence.keys() == KINDS.keys()
    counts = evidence["counts"]
    assert isinstance(counts, Counts)
    assert set(counts.image) == set(evidence["logits"].image) == set(tiny_assignment().tuning)
    for cls in (Ranks, Maps):
        np.testing.assert_array_equal(evidence[cls.kind].label, counts.label)  # type: ignore[attr-defined]
    components = evidence["components"]
    assert isinstance(components, Components)
    np.testing.assert_array_equal(components.image, counts.image[counts.present])


def test_regions_are_measured_on_the_grid_in_the_cells_of_the_truth() -> None:
    method, collection = bounded(), tiny_collection()
    model = method.build()
    rows = tiny_assignment().tuning
    found = observe(
        method, model, collection, rows, device=torch.device("cpu"), collective=Alone(), kinds=frozenset({"regions"})
    )
    regions = found.evidence["regions"]
    assert isinstance(regions, Regions)
    assert regions.annotated.any()
    images = torch.from_numpy(collection.images[rows] / 255.0).float()
    with torch.no_grad():
        grid = method.predict(model.eval(), images).grid
    assert grid is not None
    for r in np.flatnonzero(regions.annotated):
        n, k = int(np.flatnonzero(rows == regions.image[r])[0]), int(regions.label[r])
        mask = collection.masks[collection.mask_row[regions.image[r], k]]
        cells = mask.reshape(4, 2, 4, 2).max(axis=(1, 3)) > 0
        assert regions.inside[r] == pytest.approx(grid[n, k].numpy()[cells].mean(), abs=1e-6)


def test_what_cannot_be_collected_is_said() -> None:
    with pytest.raises(ValueError, match="no kind of evidence 'shapes'; known: counts"):
        evaluation(tiny_method(), metric="f1_plus", evidence=("shapes",))
    method = bounded()
    method.gives_grid = False
    with pytest.raises(ValueError, match="tiny has loss thresholds with bounds, but predicts no grid"):
        evaluation(method, metric="f1_plus")
