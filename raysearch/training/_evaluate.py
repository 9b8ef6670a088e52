"""Scores a model on a split: evidence from its maps, decision thresholds from the evidence, metrics from both."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raysearch.data import Collection
from raysearch.data._loader import evaluation_batches, inside_of
from raysearch.data._pool_regions import outlines_of
from raysearch.method import Method, Prediction, RegionBoxes, cells_of_boxes, predicted
from raysearch.thresholds import (
    FROM_MAPS,
    KINDS,
    NO_OUTLINES,
    BoxRule,
    Components,
    Counts,
    Evidence,
    Logits,
    Outlines,
    Regions,
    find_metric,
    known_pairs,
    quantise,
)
from raysearch.training._collective import Alone, Collective
from raysearch.training._heartbeat import Heartbeat, unheard
from raysearch.training._score import Score, score

EVALUATION_BATCH = 32


ALWAYS = frozenset({"counts", "logits"})
"""Kinds of evidence that every evaluation collects."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How an evaluation becomes one number."""

    metric: str
    decision: Literal["solve", "given"] = "solve"
    """``solve``: cross-fitted exact optimum over the split; ``given``: the thresholds that the trial came with."""
    per_class: bool = False
    seed: int = 0
    evidence: tuple[str, ...] = ()
    """Kinds of evidence to collect beside those that the metric, and the method's loss thresholds, need."""


@dataclass(frozen=True, kw_only=True)
class Observations:
    """What a model says of rows of a collection, reduced to sufficient statistics.

    Attributes:
        evidence: by kind; ``counts`` and ``logits`` at least.
    """

    evidence: Mapping[str, Evidence]

    @property
    def counts(self) -> Counts:
        """Histograms of the maps, one row a known pair (image, class)."""
        found = self.evidence["counts"]
        assert isinstance(found, Counts)
        return found

    @property
    def logits(self) -> Logits:
        """Class scores and labels, one row an image."""
        found = self.evidence["logits"]
        assert isinstance(found, Logits)
        return found


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Score and the observations that it was computed from."""

    score: Score
    observations: Observations
    seconds: float


def kinds_of(rule: Rule, method: Method | type[Method]) -> frozenset[str]:
    """Kinds of evidence that an evaluation by this rule collects: no more than something needs."""
    bounded = any(threshold.bounds is not None for threshold in method.loss_thresholds)
    own = {find_metric(rule.metric).evidence} | ({"regions"} if bounded else set())
    return ALWAYS | own | frozenset(rule.evidence)


def observe(
    method: Method,
    model: nn.Module,
    collection: Collection,
    rows: NDArray[np.int64],
    *,
    device: torch.device,
    collective: Collective,
    kinds: frozenset[str] = ALWAYS,
    heartbeat: Heartbeat = unheard,
) -> Observations:
    """Runs the model over `rows`, divided among the workers; every worker gets the whole answer.

    Args:
        kinds: of evidence to collect; ``counts`` and ``logits`` always are.
    """
    was_training = model.training
    model.eval()
    parts: list[dict[str, Evidence]] = []
    with torch.no_grad():
        for batch_rows, images in evaluation_batches(
            collection, rows, EVALUATION_BATCH, rank=collective.rank, workers=collective.size
        ):
            inside = inside_of(collection, batch_rows)
            prediction = predicted(method, model, images.to(device), inside)
            parts.append(evidence_of(method, prediction, collection, batch_rows, kinds | ALWAYS))
            heartbeat()
    model.train(was_training)
    gathered = [part for of_worker in collective.gather(parts) for part in of_worker]
    return Observations(
        evidence={kind: KINDS[kind].merge([part[kind] for part in gathered]) for kind in KINDS if kind in gathered[0]}
    )


def evidence_of(
    method: Method, prediction: Prediction, collection: Collection, rows: NDArray[np.int64], kinds: Iterable[str]
) -> dict[str, Evidence]:
    """Evidence of a batch, by kind.

    Raises:
        ValueError: no such kind, or a prediction without what it is made from.
    """
    about = (rows, collection.patients[rows], collection.classes)
    maps = quantise(prediction.maps.float().cpu().numpy())
    truth, labels = collection.truth[rows], collection.labels[rows]
    # dense masks (n, K, H, W) would be 1.7 GB for 32 images of 512 x 512 and 200 classes
    known = collection.mask_row[rows][truth > 0]
    regions, boxes = torch.from_numpy(collection.masks[known]), outlines_of(collection, known)
    scored = method.scored_regions(regions, boxes)
    # a method that compares with other regions has no boxes of them
    outlines = (
        NO_OUTLINES if boxes is None or scored is not regions else Outlines(boxes.boxes.numpy(), boxes.region.numpy())
    )
    areas = collection.areas_of(rows)
    pairs = known_pairs(maps, scored.numpy(), truth, *about, areas=areas, outlines=outlines)
    out: dict[str, Evidence] = {}
    for kind in kinds:
        if kind == "logits":
            scores = prediction.scores.float().cpu().numpy()
            out[kind] = Logits.from_scores(scores, labels, *about, collection.view)
        elif kind == "regions":
            if prediction.grid is None:
                raise ValueError(f"{method.name} has loss thresholds with bounds, but predicts no grid for them")
            grid = prediction.grid.float().cpu().numpy()
            cells = region_cells(method, regions, boxes, truth, grid.shape[2:])
            whole = None if areas is None else cells_of(areas, collection.size, grid.shape[2:])
            out[kind] = Regions.from_maps(grid, cells, truth, labels, *about, inside=whole)
        elif kind in FROM_MAPS:
            out[kind] = with_box_rule(FROM_MAPS[kind].from_pairs(pairs), method.box_rule)
        else:
            raise ValueError(f"no kind of evidence '{kind}'; known: {', '.join(KINDS)}")
    return out


def with_box_rule(evidence: Evidence, rule: BoxRule | None) -> Evidence:
    """Evidence of boxes that knows the method's rule, if it has one; other evidence as it is."""
    return replace(evidence, rule=rule) if rule is not None and isinstance(evidence, Components) else evidence


def region_cells(
    method: Method, regions: Tensor, boxes: RegionBoxes | None, truth: NDArray[np.int8], cells: tuple[int, ...]
) -> NDArray[np.bool_]:
    """(N, K, P, Q) cells of the grid that each PRESENT region covers, of regions (M, H, W) and those that are boxes;
    none of other pairs."""
    out = np.zeros((*truth.shape, *cells), np.bool_)
    if len(regions):
        out[truth > 0] = method.region_cells(regions.float(), (cells[0], cells[1]), boxes).numpy()
    return out


def cells_of(areas: NDArray[np.int32], size: tuple[int, int], cells: tuple[int, ...]) -> NDArray[np.bool_]:
    """(N, P, Q) cells of the grid that show some of the picture, of areas (N, 4) in images of `size` (H, W)."""
    return cells_of_boxes(torch.from_numpy(areas).double(), size, (cells[0], cells[1]), "any").numpy()


def evaluate(
    method: Method,
    model: nn.Module,
    collection: Collection,
    rows: NDArray[np.int64],
    *,
    rule: Rule,
    thresholds: Mapping[str, float | Mapping[str, float]],
    device: torch.device | str = "cpu",
    collective: Collective | None = None,
    heartbeat: Heartbeat = unheard,
) -> Evaluation:
    started = time.perf_counter()
    observations = observe(
        method,
        model,
        collection,
        rows,
        device=torch.device(device),
        collective=collective or Alone(),
        kinds=kinds_of(rule, method),
        heartbeat=heartbeat,
    )
    return Evaluation(
        score=score(observations, rule, given=thresholds["mask_threshold"], reports=method.reports),
        observations=observations,
        seconds=time.perf_counter() - started,
    )
