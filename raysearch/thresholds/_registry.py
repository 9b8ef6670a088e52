"""All metrics by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

from raysearch.errors import UserError, nearest
from raysearch.thresholds._box_metrics import BOX_METRICS, box_accuracy
from raysearch.thresholds._logits import (
    Logits,
    accuracy,
    auc,
    classification_error,
    f1_score,
    labelled,
    labelled_in_both,
)
from raysearch.thresholds._map_metrics import MAP_METRICS
from raysearch.thresholds._metrics import MASK_METRICS, MaskMetric, ior_accuracy, iou_accuracy
from raysearch.thresholds._soft import cdice, pxap
from raysearch.thresholds._sweep import Average, LevelMetric, Metric, PlainMetric, SweepMetric, present_pairs
from raysearch.thresholds._synonyms import what_it_is

_PLAIN_METRICS = (
    PlainMetric(
        name="cdice",
        title="cDice (continuous Dice of the map, mean over images)",
        evidence="counts",
        function=cdice,
        enters=present_pairs,
    ),
    PlainMetric(
        name="pxap",
        title="PxAP (pixel average precision, pixels of all images)",
        evidence="counts",
        function=pxap,
        enters=present_pairs,
    ),
    PlainMetric(
        name="classification_error",
        title="Classification error (share of images; of known labels in the multi-label view)",
        evidence="logits",
        function=classification_error,
        enters=labelled,
        direction="minimize",
    ),
    PlainMetric(
        name="accuracy",
        title="Accuracy (share of images; of known labels in the multi-label view)",
        evidence="logits",
        function=accuracy,
        enters=labelled,
    ),
    PlainMetric(
        name="f1_score",
        title="F1 of image labels (each class taken as positive, mean over classes)",
        evidence="logits",
        function=f1_score,
        enters=labelled,
    ),
    PlainMetric(
        name="auc",
        title="AUC (area under the ROC curve, mean over classes)",
        evidence="logits",
        function=auc,
        enters=labelled_in_both,
    ),
)

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*MASK_METRICS, *BOX_METRICS, *_PLAIN_METRICS, *MAP_METRICS)
}
"""Every metric that is reported, by name."""

AT: dict[str, Callable[[float, str], Metric]] = {
    "iou_accuracy": iou_accuracy,
    "ior_accuracy": ior_accuracy,
    "box_accuracy": box_accuracy,
}
"""Metrics with a constant T of their own, ``NAME@T``: made from T and the full name. ``NAME`` alone is in `METRICS`."""


def find_metric(name: str) -> Metric:
    """The metric of that name: ``NAME``, or ``NAME@T`` with T in (0, 1], a mean over pairs if it is one of regions, as
    is the same with ``:pairs``; with ``:classes`` the mean over classes.

    The metric's own name is the shortest one: without ``:pairs``.

    Raises:
        UserError: no such metric (with the nearest name), one that takes no T or has no other mean, or a T that is
            none.
    """
    if name in METRICS:
        return METRICS[name]
    stem, colon, average = name.partition(":")
    if f"{stem}:classes" in METRICS and average in ("", "pairs"):
        raise UserError(
            f"--metric {name}: it takes the images of each class together, so that only its mean over classes can be"
            f" solved for; give {stem}:classes"
        )
    if not colon:
        return _over_pairs(stem, name)
    metric = METRICS.get(f"{stem}:classes") or _over_pairs(stem, name)
    if metric.evidence == Logits.kind:
        raise UserError(f"--metric {name}: {stem} is a metric of labels and has one mean; give {stem}")
    if average not in get_args(Average):
        raise UserError(f"--metric {name}: expected :classes or :pairs at the end, as in {stem}:classes")
    return metric if average == "pairs" else over_classes(metric)


def over_classes(metric: Metric) -> Metric:
    """The mean over classes of a metric that is one over pairs."""
    name, title = f"{metric.name}:classes", f"{metric.title}, mean over classes"
    return replace(metric, name=name, title=title, average="classes")


def _over_pairs(stem: str, name: str) -> Metric:
    """The metric called `stem`, ``NAME`` or ``NAME@T``; `name` is what errors repeat."""
    if stem in METRICS:
        return METRICS[stem]
    base, at, text = stem.partition("@")
    if not at or base not in METRICS:
        known = [*METRICS, *(f"{base}@T" for base in AT)]
        raise UserError(f"--metric {name}: unknown metric; {what_it_is(stem, known)}")
    if base not in AT:
        raise UserError(f"--metric {name}: {base} takes no @T; give {base}, or one of {', '.join(AT)} with @T")
    try:
        least = float(text)
    except ValueError:
        least = 0.0
    if not 0 < least <= 1:
        raise UserError(f"--metric {name}: expected a number in (0, 1] after the @, as in {base}@0.3; got '{text}'")
    return AT[base](least, stem)


def sweep_metric(name: str) -> SweepMetric:
    """`find_metric` for a metric whose threshold can be solved for; UserError for one that chooses none."""
    metric = find_metric(name)
    if not isinstance(metric, SweepMetric):
        fit = ", ".join(key for key, other in METRICS.items() if isinstance(other, SweepMetric) and not other.one_sided)
        reason = metric.one_sided if isinstance(metric, LevelMetric) else "thresholds do not change it"
        raise UserError(f"--metric {name}: {reason}; choose them by one of {fit}")
    return metric


def mask_metric(name: str) -> MaskMetric:
    """`sweep_metric` for a metric of masks."""
    metric = sweep_metric(name)
    if not isinstance(metric, MaskMetric):
        raise UserError(f"--metric {name}: a metric of {metric.evidence}, not of masks; {nearest(name, METRICS)}")
    return metric


def objective(name: str) -> Metric:
    """The metric of that name, if it may be a study's only objective.

    Raises:
        UserError: unknown (with the nearest name), or one-sided (with the reason).
    """
    metric = find_metric(name)
    if metric.one_sided:
        fit = ", ".join(key for key, other in METRICS.items() if not other.one_sided)
        raise UserError(
            f"--metric {name}: cannot be the only objective, because {metric.one_sided}; "
            f"it is reported beside any of {fit}"
        )
    return metric
