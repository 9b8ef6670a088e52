"""Operating curves: what each threshold would have given, for export and reports."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from raysearch.thresholds._average import class_values
from raysearch.thresholds._logits import Logits
from raysearch.thresholds._registry import METRICS, find_metric
from raysearch.thresholds._sweep import Sweep, SweepMetric


def curves(evidence: Sweep, names: Iterable[str] = ()) -> dict[str, list[float]]:
    """Every metric of this kind of evidence at every threshold: precision against recall, F1+ by threshold and so on.

    Args:
        names: of metrics beside those of `METRICS`.

    Returns:
        L numbers each, ready for JSON, under the parameter's name (``threshold``: 257 in [0, 256/255]) and under the
        metric names; a metric that no pair enters is left out.
    """
    weights = np.ones((1, len(evidence)))
    out = {evidence.parameter: [evidence.setting(n) for n in range(evidence.positions)]}
    for metric in {**METRICS, **{metric.name: metric for metric in map(find_metric, names)}}.values():
        if isinstance(metric, SweepMetric) and metric.judges(evidence):
            curve = class_values(evidence, metric.statistics(evidence), metric, weights).mean()[0]
            if not np.isnan(curve[0]):
                out[metric.name] = curve.tolist()
    return out


def roc_curves(logits: Logits) -> dict[str, dict[str, list[float]]]:
    """ROC curve of each class against the rest, over the images whose label is known; `auc` is the area under it.

    Returns:
        By class ``fpr`` and ``tpr``, shares in [0, 1] of its negative and positive images that are taken for it, from
        none to all of them. Points on a line between others are left out; classes without both labels too.
    """
    from sklearn.metrics import roc_curve

    out = {}
    for k, name in enumerate(logits.classes):
        known = logits.labels[:, k] >= 0
        present = logits.labels[known, k] > 0
        if present.any() and not present.all():
            fpr, tpr, _ = roc_curve(present, logits.scores[known, k])
            out[name] = {"fpr": fpr.tolist(), "tpr": tpr.tolist()}
    return out
