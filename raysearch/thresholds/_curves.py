"""Operating curves: what each threshold would have given, for export and reports."""

from __future__ import annotations

import numpy as np

from raysearch.thresholds._average import class_values
from raysearch.thresholds._registry import METRICS
from raysearch.thresholds._sweep import Sweep, SweepMetric


def curves(evidence: Sweep) -> dict[str, list[float]]:
    """Every metric of this kind of evidence at every threshold: precision against recall, F1+ by threshold and so on.

    Returns:
        L numbers each, ready for JSON, under the parameter's name (``threshold``: 257 in [0, 256/255]) and under the
        metric names; a metric that no pair enters is left out.
    """
    weights = np.ones((1, len(evidence)))
    out = {evidence.parameter: [evidence.setting(n) for n in range(evidence.positions)]}
    for metric in METRICS.values():
        if isinstance(metric, SweepMetric) and metric.judges(evidence):
            curve = class_values(evidence, metric.statistics(evidence), metric, weights).mean()[0]
            if not np.isnan(curve[0]):
                out[metric.name] = curve.tolist()
    return out
