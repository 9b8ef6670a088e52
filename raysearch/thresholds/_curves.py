"""Operating curves: what each threshold would have given, for export and reports."""

from __future__ import annotations

import numpy as np

from raysearch.thresholds._average import class_values
from raysearch.thresholds._counts import Counts, confusion
from raysearch.thresholds._metrics import METRICS, MaskMetric
from raysearch.thresholds._quantise import LEVELS, threshold


def curves(counts: Counts) -> dict[str, list[float]]:
    """Every metric of masks at every threshold: precision against recall, F1+ by threshold and so on.

    Returns:
        257 numbers each, ready for JSON, under ``threshold`` (in [0, 256/255]) and under the metric names; a metric
        that no pair enters is left out.
    """
    pixels, weights = confusion(counts), np.ones((1, len(counts)))
    out = {"threshold": [threshold(n) for n in range(LEVELS)]}
    for metric in METRICS.values():
        if isinstance(metric, MaskMetric):
            curve = class_values(counts, pixels, metric, weights).mean()[0]
            if not np.isnan(curve[0]):
                out[metric.name] = curve.tolist()
    return out
