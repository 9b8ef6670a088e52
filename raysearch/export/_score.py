"""Scores a model with settled thresholds: the numbers of an export, and again those of a verification."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from raysearch.data import Collection
from raysearch.method import Method
from raysearch.thresholds import METRICS, Counts, MaskMetric, at, bootstrap, scores_at
from raysearch.training import Alone, Observations, observe
from raysearch.training._score import score_metrics


def score_rows(
    method: Method, model: nn.Module, collection: Collection, rows: NDArray[np.int64], levels: dict[str, int]
) -> dict[str, Any]:
    """Metrics of `rows` at the given levels, with 95% intervals over patients, and the value of each image.

    Returns ``images``, ``metrics`` (name to value), ``intervals`` (name to [low, high]), ``per_image`` (one entry a
    known pair: image, class, and its mask metrics).
    """
    observations = observe(method, model, collection, rows, device=torch.device("cpu"), collective=Alone())
    return {"images": len(rows), **summarise(observations, collection, levels)}


def summarise(observations: Observations, collection: Collection, levels: dict[str, int]) -> dict[str, Any]:
    counts = observations.counts
    metrics: dict[str, float] = dict(score_metrics(observations))
    intervals: dict[str, list[float]] = {}
    per_image = [
        {"image": collection.image_ids[i], "class": counts.classes[k]}
        for i, k in zip(counts.image, counts.label, strict=True)
    ]
    for metric in METRICS.values():
        if not isinstance(metric, MaskMetric) or not _enters(counts, metric):
            continue
        value = at(counts, metric, levels)
        if not np.isfinite(value):
            continue
        metrics[metric.name] = value
        if metric.pooled:
            continue
        scores = scores_at(counts, metric, levels)
        entering = np.isfinite(scores)
        interval = bootstrap(scores[entering], counts.patient[entering])
        intervals[metric.name] = [interval.low, interval.high]
        for entry, each in zip(per_image, scores, strict=True):
            if np.isfinite(each):
                entry[metric.name] = float(each)
    return {"metrics": metrics, "intervals": intervals, "per_image": per_image}


def _enters(counts: Counts, metric: MaskMetric) -> bool:
    present = bool(counts.present.any())
    absent = bool((~counts.present).any())
    return {"present": present, "absent": absent, "known": present}[metric.pairs]
