"""Scores a model with settled thresholds: the numbers of an export, and again those of a verification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from raysearch.data import Collection
from raysearch.errors import ExportError
from raysearch.method import Method
from raysearch.thresholds import (
    AgainstTrivial,
    Counts,
    Evidence,
    Interval,
    LevelMetric,
    Levels,
    Metric,
    Sweep,
    SweepMetric,
    against_trivial,
    areas_at,
    at,
    at_by_class,
    blank_masks,
    bootstrap,
    degenerate,
    find_metric,
    interval,
    one_label,
    roc_curves,
    scores_at,
    solve,
)
from raysearch.training import Alone, Observations, observe
from raysearch.training._score import chooser_of, named_thresholds, reported_metrics

NOTHING = Interval(float("nan"), float("nan"), float("nan"))
"""Of a metric that nothing known enters."""


def score_rows(
    method: Method,
    model: nn.Module,
    collection: Collection,
    rows: NDArray[np.int64],
    levels: Levels,
    metric: str,
) -> dict[str, Any]:
    """Metrics of `rows` at the given levels; see `observe_rows` and `summarise`, and ``images``, their number."""
    observations = observe_rows(method, model, collection, rows, metric)
    return {"images": len(rows), **summarise(observations, collection, levels, (metric, *method.reports))}


def observe_rows(
    method: Method, model: nn.Module, collection: Collection, rows: NDArray[np.int64], metric: str
) -> Observations:
    """Evidence of `rows` for `metric` and for all that the method reports."""
    kinds = frozenset(find_metric(name).evidence for name in (metric, *method.reports))
    return observe(method, model, collection, rows, device=torch.device("cpu"), collective=Alone(), kinds=kinds)


def summarise(
    observations: Observations, collection: Collection, levels: Levels, names: Sequence[str]
) -> dict[str, Any]:
    """The metrics of `names` and all others that the same evidence tells about.

    Returns ``metric`` (the first of `names`), ``metrics`` (name to value), ``intervals`` (name to [low, high], 95% over
    patients), ``by_class`` (name to class to value), ``trivial`` (name to the value that masks of the whole picture
    have, of metrics that could choose a threshold), ``against_trivial`` (fields of `AgainstTrivial`, of the first of
    `names`, or of the metric that chooses thresholds for it; None where no region is known), ``notes`` (of
    `degenerate`, one line each), ``per_image`` (one entry a known pair: image, class, its mask metrics, and the shares
    of the image that mask and region cover), ``roc`` (class to the points of its ROC curve), ``skipped`` (name to the
    classes that the metric's mean leaves out although a label of them is known: of `auc` those with one label only).
    """
    metrics: dict[str, float] = {}
    intervals: dict[str, list[float]] = {}
    by_class: dict[str, dict[str, float]] = {}
    trivial: dict[str, AgainstTrivial] = {}
    per_image = _pairs(observations.counts, collection, levels)
    for each in reported_metrics(observations.evidence, names):
        evidence = observations.evidence[each.evidence]
        if isinstance(each, LevelMetric) and isinstance(evidence, Sweep) and not each.pooled:
            scores = scores_at(evidence, each, levels)
            found, own_classes = _of_pairs(evidence, scores, each)
            for r in np.flatnonzero(np.isfinite(scores)):
                per_image[int(evidence.image[r]), int(evidence.label[r])][each.name] = float(scores[r])
        else:
            found, own_classes = _of_all(evidence, each, levels)
        if not np.isfinite(found.mean):
            continue
        metrics[each.name], by_class[each.name] = found.mean, own_classes
        if isinstance(each, SweepMetric) and isinstance(evidence, Sweep):
            trivial[each.name] = against_trivial(evidence, each, found.mean, own_classes)
        if np.isfinite(found.low):
            intervals[each.name] = [found.low, found.high]
    chooser = chooser_of(find_metric(names[0]))
    against = trivial.get(chooser.name)
    notes: tuple[str, ...] = ()
    if against is not None:
        sweep = observations.evidence[chooser.evidence]
        assert isinstance(sweep, Sweep)
        low, high = intervals.get(chooser.name, NOTHING[1:])
        notes = degenerate(against, blank_masks(sweep, chooser, levels), sweep.classes, low=low, high=high)
    return {
        "metric": find_metric(names[0]).name,
        "metrics": metrics,
        "intervals": intervals,
        "by_class": by_class,
        "trivial": {name: found.trivial for name, found in trivial.items()},
        "against_trivial": None if against is None else asdict(against),
        "notes": list(notes),
        "per_image": [per_image[pair] for pair in sorted(per_image)],
        "roc": roc_curves(observations.logits),
        "skipped": {"auc": one_label(observations.logits)},
    }


def _pairs(counts: Counts, collection: Collection, levels: Levels) -> dict[tuple[int, int], dict[str, Any]]:
    """By row and class of each known pair what is said of it whatever the metrics are."""
    return {
        (int(image), int(label)): {
            "image": collection.image_ids[image],
            "class": counts.classes[label],
            "mask_area": float(mask),
            "region_area": float(region),
        }
        for image, label, mask, region in zip(counts.image, counts.label, *areas_at(counts, levels), strict=True)
    }


def _of_pairs(evidence: Sweep, scores: NDArray[np.float64], metric: LevelMetric) -> tuple[Interval, dict[str, float]]:
    """The metric of pairs that have these values, with its interval, and by class; pairs that are NaN do not enter."""
    enters = np.isfinite(scores)
    if not enters.any():
        return NOTHING, {}
    by_class = {
        name: float(scores[own].mean())
        for k, name in enumerate(evidence.classes)
        if (own := enters & (evidence.label == k)).any()
    }
    classes = evidence.label if metric.average == "classes" else None
    return bootstrap(scores, evidence.patient, classes=classes), by_class


def _of_all(evidence: Evidence, metric: Metric, levels: Levels) -> tuple[Interval, dict[str, float]]:
    """The same of any other metric."""
    if not np.isfinite(at(evidence, metric, levels)):
        return NOTHING, {}
    return interval(evidence, metric, levels), at_by_class(evidence, metric, levels)


def optimistic(
    observations: Observations, collection: Collection, names: Sequence[str], *, per_class: bool
) -> dict[str, Any]:
    """What the metrics would be at thresholds chosen on the very images that they score, as paper 001 publishes them.

    Args:
        names: metrics; the first one chooses, or F1+ where thresholds do not change it.

    Raises:
        ExportError: no region is known to choose by.
    """
    chooser = chooser_of(find_metric(names[0]))
    sweep = observations.evidence[chooser.evidence]
    assert isinstance(sweep, Sweep)
    try:
        found = solve(sweep, chooser, per_class=per_class)
    except ValueError as error:
        raise ExportError(f"--thresholds-on test: {error} among the test images; leave it out") from None
    summary = summarise(observations, collection, found.levels, names)
    del summary["per_image"], summary["roc"], summary["skipped"]
    return {
        "about": "thresholds chosen on the test images that they score: not those of the model",
        "chosen_by": chooser.name,
        "thresholds": named_thresholds(found.levels, per_class=per_class),
        **summary,
    }
