"""Decision thresholds from small sufficient statistics: exact optima, honest values, intervals."""

from raysearch.thresholds._average import at, scores_at
from raysearch.thresholds._bootstrap import Interval, bootstrap, interval, paired_bootstrap
from raysearch.thresholds._counts import Confusion, Counts, confusion
from raysearch.thresholds._cross_fit import CrossFit, cross_fit
from raysearch.thresholds._curves import curves
from raysearch.thresholds._metrics import METRICS, MaskMetric, Metric, ScoreMetric, find_metric, mask_metric, objective
from raysearch.thresholds._quantise import BINS, LEVELS, binarise, level, quantise, threshold
from raysearch.thresholds._scores import auc, auc_by_class, classification_error
from raysearch.thresholds._solve import Solution, solve
from raysearch.thresholds._store import encode_counts, load_counts, save_counts

__all__ = [
    "BINS",
    "LEVELS",
    "METRICS",
    "Confusion",
    "Counts",
    "CrossFit",
    "Interval",
    "MaskMetric",
    "Metric",
    "ScoreMetric",
    "Solution",
    "at",
    "auc",
    "auc_by_class",
    "binarise",
    "bootstrap",
    "classification_error",
    "confusion",
    "cross_fit",
    "curves",
    "encode_counts",
    "find_metric",
    "interval",
    "level",
    "load_counts",
    "mask_metric",
    "objective",
    "paired_bootstrap",
    "quantise",
    "save_counts",
    "scores_at",
    "solve",
    "threshold",
]
