"""From what pairs have at each position to the value of a metric: which pairs enter, what the mean is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raysearch.thresholds._evidence import Evidence
from raysearch.thresholds._pairs import Pairs
from raysearch.thresholds._sweep import Counted, Floats, LevelMetric, Metric, PlainMetric, Sweep
from raysearch.thresholds._values import check_levels

Levels = int | Sequence[int] | Mapping[str, int] | NDArray[np.int64]
"""One position (level 0..256 of `Counts`) for all classes, or one a class: in their order, or by name."""


@dataclass(frozen=True)
class ClassValues:
    """A metric by class: `values` (B, K, L) under B weightings at L positions, and each class's `weight` (B, K).

    A class without a pair to judge has weight 0 and value 0.
    """

    values: Floats
    weight: Floats

    def mean(self) -> Floats:
        """(B, L) over classes; NaN where no class has a pair."""
        total = self.weight.sum(axis=1)[:, None]
        out = np.full((len(self.values), self.values.shape[2]), np.nan)
        np.divide((self.weight[:, None] @ self.values)[:, 0], total, out=out, where=total > 0)
        return out

    def mean_at(self, levels: NDArray[np.int64]) -> Floats:
        """(B,) over classes, at each one's own of the L positions, (B, K)."""
        chosen = np.take_along_axis(self.values, levels[:, :, None], axis=2)
        return ClassValues(chosen, self.weight).mean()[:, 0]


def pairs_of(pairs: Pairs, metric: LevelMetric) -> NDArray[np.bool_]:
    """(R,) whether a pair enters the metric."""
    if metric.pairs == "known":
        return np.ones(len(pairs), np.bool_)
    return pairs.present if metric.pairs == "present" else ~pairs.present


def entering_rows(evidence: Evidence, metric: Metric) -> NDArray[np.bool_]:
    """(R,) whether the metric depends on a row of the evidence."""
    if isinstance(metric, PlainMetric):
        return metric.enters(evidence)
    assert isinstance(evidence, Pairs)
    enters = pairs_of(evidence, metric)
    if metric.pooled:  # a class without a present pair has no weight, however many absent ones it has
        enters = enters & np.isin(evidence.label, evidence.label[evidence.present])
    return enters


def deciding_rows(evidence: Evidence, metric: Metric) -> NDArray[np.bool_]:
    """(R,) the rows without which the metric has no value: of a pooled one those of present pairs."""
    enters = entering_rows(evidence, metric)
    if isinstance(metric, LevelMetric) and metric.pooled and isinstance(evidence, Pairs):
        return enters & evidence.present
    return enters


def class_values(pairs: Pairs, statistics: tuple[Counted, ...], metric: LevelMetric, weights: Floats) -> ClassValues:
    """The metric under B weightings of the R pairs (times drawn by a bootstrap, or 0 and 1 for a part of them).

    Args:
        statistics: (R, L) each, of all pairs, what the metric is a function of.
        weights: (B, R), not negative.
    """
    draws, columns = len(weights), statistics[0].shape[1]
    values = np.zeros((draws, len(pairs.classes), columns))
    weight = np.zeros((draws, len(pairs.classes)))
    enters = pairs_of(pairs, metric)
    for k in np.unique(pairs.label[enters]):
        rows = np.flatnonzero(enters & (pairs.label == k))
        whole = len(rows) == len(pairs)  # most often: nothing to copy
        part, of_class = (statistics, weights) if whole else ([each[rows] for each in statistics], weights[:, rows])
        if metric.pooled:
            # an image without the class adds false positives, but a class needs one image with it
            weight[:, k] = of_class @ pairs.present[rows] > 0
            values[:, k] = metric.function(*(of_class @ each for each in part)) * weight[:, k, None]
        else:
            total = of_class.sum(axis=1)
            weight[:, k] = total if metric.average == "pairs" else total > 0
            values[:, k] = of_class @ metric.function(*part) / np.maximum(total[:, None], 1)
    return ClassValues(values, weight)


def values_of(pairs: Pairs, scores: Floats, metric: LevelMetric) -> ClassValues:
    """`class_values` of a metric that pairs have a value of, from these: (R,), NaN for pairs that do not enter."""
    rows = np.flatnonzero(pairs_of(pairs, metric))
    label, classes = pairs.label[rows], len(pairs.classes)
    count = np.bincount(label, minlength=classes)
    total = np.bincount(label, weights=scores[rows], minlength=classes)
    weight = count if metric.average == "pairs" else count > 0
    return ClassValues((total / np.maximum(count, 1))[None, :, None], weight[None].astype(np.float64))


def class_levels(evidence: Sweep, levels: Levels) -> NDArray[np.int64]:
    """(K,) positions; ValueError if they are not one, or one a class, among those of the evidence."""
    if isinstance(levels, Mapping):
        if missing := [name for name in evidence.classes if name not in levels]:
            raise ValueError(f"expected a level for each class, got none for {', '.join(missing)}")
        levels = [levels[name] for name in evidence.classes]
    check_levels(levels)
    out = np.asarray(levels, np.int64)
    if out.shape not in ((), (len(evidence.classes),)) or out.min() < 0 or out.max() >= evidence.positions:
        raise ValueError(
            f"expected one level, or one for each of {len(evidence.classes)} classes, in 0..{evidence.positions - 1}; "
            f"got {levels}"
        )
    return np.broadcast_to(out, (len(evidence.classes),))


_BLOCK = 20_000
"""Pairs of which all positions are held at once: 0.2 GB."""


def entering(evidence: Sweep, metric: LevelMetric, weights: Floats) -> tuple[Sweep, Floats]:
    """The pairs that enter a metric, and their columns of (B, R) weights."""
    rows = np.flatnonzero(pairs_of(evidence, metric))
    return (evidence, weights) if len(rows) == len(evidence) else (evidence.select(rows), weights[:, rows])


def _columns(row_levels: ArrayLike) -> NDArray[np.int64]:
    """(R, B) of (R, B) or (R,)."""
    levels = np.asarray(row_levels, np.int64)
    return levels[:, None] if levels.ndim == 1 else levels


def statistics_at(evidence: Sweep, metric: LevelMetric, row_levels: ArrayLike) -> tuple[Counted, ...]:
    """`LevelMetric.statistics_at`, (R, B), of each pair at its own positions, (R, B) or (R,) for B = 1."""
    row_levels = _columns(row_levels)
    if len(evidence) <= _BLOCK:
        return metric.statistics_at(evidence, row_levels)
    # all positions of all pairs would not fit: the known pairs of NIH are a million
    starts = range(0, len(evidence), _BLOCK)
    parts = [
        statistics_at(evidence.select(np.arange(start, min(start + _BLOCK, len(evidence)))), metric, levels)
        for start, levels in ((start, row_levels[start : start + _BLOCK]) for start in starts)
    ]
    return tuple(np.concatenate(each) for each in zip(*parts, strict=True))


def at(evidence: Evidence, metric: Metric, levels: Levels | None = None) -> float:
    """Value of a metric, at given levels if it has a threshold; NaN if nothing enters it (no absent pair for
    `false_positive_area`, no known label for `auc`).

    Raises:
        ValueError: the evidence is of another kind, or levels are missing or out of range.
    """
    return float(weighted(evidence, metric, levels, np.ones((1, len(evidence))))[0])


def at_by_class(evidence: Evidence, metric: Metric, levels: Levels | None = None) -> dict[str, float]:
    """`at` for each class, without those that the metric has no value for."""
    ones = np.ones((1, len(evidence)))
    if isinstance(metric, PlainMetric):
        _check_kind(evidence, metric)
        values = np.array([metric.function(evidence, ones, k)[0] for k in range(len(evidence.classes))])
    else:
        found = _by_class_at(evidence, metric, levels, ones)
        values = np.where(found.weight[0] > 0, found.values[0, :, 0], np.nan)
    return {name: float(value) for name, value in zip(evidence.classes, values, strict=True) if not np.isnan(value)}


def weighted(evidence: Evidence, metric: Metric, levels: Levels | None, weights: Floats) -> Floats:
    """`at` under (B, R) weightings of the rows, (B,)."""
    if isinstance(metric, PlainMetric):
        _check_kind(evidence, metric)
        if metric.average == "classes":
            return _mean_of_known([metric.function(evidence, weights, k) for k in range(len(evidence.classes))])
        return metric.function(evidence, weights, None)
    return _by_class_at(evidence, metric, levels, weights).mean()[:, 0]


def _by_class_at(evidence: Evidence, metric: LevelMetric, levels: Levels | None, weights: Floats) -> ClassValues:
    """`class_values` at given positions, L = 1."""
    _check_kind(evidence, metric)
    if not isinstance(evidence, Sweep) or levels is None:
        raise ValueError(f"{metric.name} has a value at given levels only")
    part, weights = entering(evidence, metric, weights)
    statistics = statistics_at(part, metric, class_levels(part, levels)[part.label])
    return class_values(part, statistics, metric, weights)


def _mean_of_known(values: Sequence[Floats]) -> Floats:
    """(B,) mean over K arrays (B,) of those that are not NaN; NaN where all are."""
    table = np.stack(values)
    known = ~np.isnan(table)
    out = np.full(table.shape[1], np.nan)
    np.divide(np.where(known, table, 0).sum(axis=0), known.sum(axis=0), out=out, where=known.any(axis=0))
    return out


def _check_kind(evidence: Evidence, metric: Metric) -> None:
    if not metric.judges(evidence):
        raise ValueError(f"{metric.name} needs evidence of kind {metric.evidence}, got {evidence.kind}")


def scores_at(evidence: Sweep, metric: LevelMetric, levels: Levels) -> Floats:
    """(R,) value of each pair at given levels, NaN for pairs that do not enter; what `bootstrap` resamples.

    Raises:
        ValueError: the metric is pooled, so that a pair has no value of its own.
    """
    return pair_scores(evidence, metric, class_levels(evidence, levels)[evidence.label])[:, 0]


def pair_scores(evidence: Sweep, metric: LevelMetric, row_levels: ArrayLike) -> Floats:
    """`scores_at`, (R, B), with levels of each pair's own, (R, B) or (R,) for B = 1."""
    if metric.pooled:
        raise ValueError(f"{metric.name} pools pixels over images: a single pair has no value")
    row_levels = _columns(row_levels)
    enters = np.flatnonzero(pairs_of(evidence, metric))
    scores = np.full(row_levels.shape, np.nan)
    if len(enters):
        part = evidence if len(enters) == len(evidence) else evidence.select(enters)
        scores[enters] = metric.function(*statistics_at(part, metric, row_levels[enters]))
    return scores
