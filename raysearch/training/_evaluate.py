"""Scores a model on a split: evidence from its maps, decision thresholds from the evidence, metrics from both."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from raysearch.data import Collection
from raysearch.data._loader import evaluation_batches
from raysearch.method import Method
from raysearch.thresholds import Counts, quantise
from raysearch.training._collective import Alone, Collective
from raysearch.training._score import Score, score

EVALUATION_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How an evaluation becomes one number."""

    metric: str
    decision: Literal["solve", "given"] = "solve"
    """``solve``: cross-fitted exact optimum over the split; ``given``: the thresholds that the trial came with."""
    per_class: bool = False
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Observations:
    """What a model says of R rows of a collection, reduced to sufficient statistics.

    Attributes:
        counts: histograms of the maps, one row a known pair (image, class).
        rows: (R,) rows of the collection.
        scores: (R, K) class probabilities.
        labels: (R, K) int8 image labels, 1 / 0 / -1 unknown.
        single: whether each image holds exactly one class.
    """

    counts: Counts
    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    labels: NDArray[np.int8]
    single: bool


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Score and the observations that it was computed from."""

    score: Score
    observations: Observations
    seconds: float


def observe(
    method: Method,
    model: nn.Module,
    collection: Collection,
    rows: NDArray[np.int64],
    *,
    device: torch.device,
    collective: Collective,
) -> Observations:
    """Runs the model over `rows`, divided among the workers; every worker gets the whole answer."""
    was_training = model.training
    model.eval()
    parts: list[Counts] = []
    scores: list[NDArray[np.float32]] = []
    seen: list[NDArray[np.int64]] = []
    with torch.no_grad():
        for batch_rows, images in evaluation_batches(
            collection, rows, EVALUATION_BATCH, rank=collective.rank, workers=collective.size
        ):
            prediction = method.predict(model, images.to(device))
            maps = quantise(prediction.maps.float().cpu().numpy())
            masks = np.stack([region_masks(collection, row) for row in batch_rows])
            patients = collection.patients[batch_rows]
            truth = collection.truth[batch_rows]
            parts.append(Counts.from_maps(maps, masks, truth, batch_rows, patients, collection.classes))
            scores.append(prediction.scores.float().cpu().numpy())
            seen.append(batch_rows)
    model.train(was_training)
    gathered = [part for part in collective.gather((parts, seen, scores)) if part[1]]
    found = np.concatenate([r for part in gathered for r in part[1]])
    order = np.argsort(found, kind="stable")
    found = found[order]
    return Observations(
        counts=Counts.merge([counts for part in gathered for counts in part[0]]),
        rows=found,
        scores=np.concatenate([s for part in gathered for s in part[2]])[order],
        labels=collection.labels[found],
        single=collection.view == "single",
    )


def region_masks(collection: Collection, row: int) -> NDArray[np.uint8]:
    """(K, H, W) region masks of an image, zeros where none is known to be present."""
    out = np.zeros((len(collection.classes), *collection.size), np.uint8)
    for label in np.flatnonzero(collection.mask_row[row] >= 0):
        out[label] = collection.masks[collection.mask_row[row, label]]
    return out


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
) -> Evaluation:
    started = time.perf_counter()
    observations = observe(
        method, model, collection, rows, device=torch.device(device), collective=collective or Alone()
    )
    return Evaluation(
        score=score(observations, rule, given=thresholds["mask_threshold"]),
        observations=observations,
        seconds=time.perf_counter() - started,
    )
