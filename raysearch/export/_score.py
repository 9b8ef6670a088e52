"""Scores a model with settled thresholds: the numbers of an export, and again those of a verification."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from raysearch.data import Collection
from raysearch.method import Method
from raysearch.thresholds import METRICS, Sweep, SweepMetric, at, at_by_class, find_metric, interval, scores_at
from raysearch.training import Alone, Observations, observe


def score_rows(
    method: Method,
    model: nn.Module,
    collection: Collection,
    rows: NDArray[np.int64],
    levels: dict[str, int],
    metric: str,
) -> dict[str, Any]:
    """Metrics of `rows` at the given levels: `metric` and all that the same evidence tells about.

    Returns ``images``, ``metrics`` (name to value), ``intervals`` (name to [low, high], 95% over patients),
    ``by_class`` (name to class to value), ``per_image`` (one entry a known pair: image, class, and its mask metrics).
    """
    kinds = frozenset({find_metric(metric).evidence})
    observations = observe(method, model, collection, rows, device=torch.device("cpu"), collective=Alone(), kinds=kinds)
    return {"images": len(rows), **summarise(observations, collection, levels, metric)}


def summarise(
    observations: Observations, collection: Collection, levels: dict[str, int], metric: str
) -> dict[str, Any]:
    metrics: dict[str, float] = {}
    intervals: dict[str, list[float]] = {}
    by_class: dict[str, dict[str, float]] = {}
    per_image: dict[tuple[int, int], dict[str, Any]] = {}
    for name, each in {**METRICS, metric: find_metric(metric)}.items():
        evidence = observations.evidence.get(each.evidence)
        if evidence is None or not np.isfinite(value := at(evidence, each, levels)):
            continue
        metrics[name] = value
        by_class[name] = at_by_class(evidence, each, levels)
        found = interval(evidence, each, levels)
        if np.isfinite(found.low):
            intervals[name] = [found.low, found.high]
        if isinstance(each, SweepMetric) and isinstance(evidence, Sweep) and not each.pooled:
            for i, k, own in zip(evidence.image, evidence.label, scores_at(evidence, each, levels), strict=True):
                entry = {"image": collection.image_ids[i], "class": evidence.classes[k]}
                per_image.setdefault((int(i), int(k)), entry).update({name: float(own)} if np.isfinite(own) else {})
    return {
        "metrics": metrics,
        "intervals": intervals,
        "by_class": by_class,
        "per_image": [per_image[pair] for pair in sorted(per_image)],
    }
