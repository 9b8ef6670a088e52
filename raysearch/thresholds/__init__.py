"""Decision thresholds from small sufficient statistics: exact optima, honest values, intervals."""

from raysearch.thresholds._areas import areas_at
from raysearch.thresholds._average import Levels, at, at_by_class, class_levels, scores_at
from raysearch.thresholds._bootstrap import Interval, bootstrap, interval, paired_bootstrap
from raysearch.thresholds._box_metrics import BoxMetric, cross_fitted_box_acc_v2
from raysearch.thresholds._boxes import BOX_RULES, BoxRule, boxes_at, region_boxes
from raysearch.thresholds._components import BoxChoice, BoxChoices, Components, top_one
from raysearch.thresholds._confusion import Confusion, MaskSweep
from raysearch.thresholds._counts import Counts
from raysearch.thresholds._cross_fit import CrossFit, cross_fit
from raysearch.thresholds._curves import curves, roc_curves
from raysearch.thresholds._evidence import Evidence
from raysearch.thresholds._fit_interval import fit_interval
from raysearch.thresholds._influence import influence, jackknife, pack, unpack
from raysearch.thresholds._joint import JointSolution, coordinate_sweeps, summed_lines, table_line
from raysearch.thresholds._kinds import FROM_MAPS, KINDS
from raysearch.thresholds._logits import Logits, one_label
from raysearch.thresholds._map_metrics import MapMetric
from raysearch.thresholds._maps import Maps
from raysearch.thresholds._metrics import MaskMetric
from raysearch.thresholds._pairs import NO_OUTLINES, Outlines, Pairs, known_pairs
from raysearch.thresholds._quantise import BINS, LEVELS, binarise, level, quantise, threshold
from raysearch.thresholds._ranks import PERCENTILES, Ranks
from raysearch.thresholds._regions import Regions
from raysearch.thresholds._registry import METRICS, find_metric, mask_metric, objective, sweep_metric
from raysearch.thresholds._solve import Solution, solve
from raysearch.thresholds._store import encode_evidence, load_evidence
from raysearch.thresholds._sweep import Direction, LevelMetric, Metric, PlainMetric, Sweep, SweepMetric
from raysearch.thresholds._sweep_boxes import BoxSweep, dense_ranks, sweep_boxes
from raysearch.thresholds._trivial import (
    AgainstTrivial,
    Blank,
    against_trivial,
    blank_levels,
    blank_masks,
    degenerate,
)
from raysearch.thresholds._winner import Winner, winner

__all__ = [
    "BINS",
    "BOX_RULES",
    "FROM_MAPS",
    "KINDS",
    "LEVELS",
    "METRICS",
    "NO_OUTLINES",
    "PERCENTILES",
    "AgainstTrivial",
    "Blank",
    "BoxChoice",
    "BoxChoices",
    "BoxMetric",
    "BoxRule",
    "BoxSweep",
    "Components",
    "Confusion",
    "Counts",
    "CrossFit",
    "Direction",
    "Evidence",
    "Interval",
    "JointSolution",
    "LevelMetric",
    "Levels",
    "Logits",
    "MapMetric",
    "Maps",
    "MaskMetric",
    "MaskSweep",
    "Metric",
    "Outlines",
    "Pairs",
    "PlainMetric",
    "Ranks",
    "Regions",
    "Solution",
    "Sweep",
    "SweepMetric",
    "Winner",
    "against_trivial",
    "areas_at",
    "at",
    "at_by_class",
    "binarise",
    "blank_levels",
    "blank_masks",
    "bootstrap",
    "boxes_at",
    "class_levels",
    "coordinate_sweeps",
    "cross_fit",
    "cross_fitted_box_acc_v2",
    "curves",
    "degenerate",
    "dense_ranks",
    "encode_evidence",
    "find_metric",
    "fit_interval",
    "influence",
    "interval",
    "jackknife",
    "known_pairs",
    "level",
    "load_evidence",
    "mask_metric",
    "objective",
    "one_label",
    "pack",
    "paired_bootstrap",
    "quantise",
    "region_boxes",
    "roc_curves",
    "scores_at",
    "solve",
    "summed_lines",
    "sweep_boxes",
    "sweep_metric",
    "table_line",
    "threshold",
    "top_one",
    "unpack",
    "winner",
]
