"""From pixel counts to the value of a metric: which pairs enter, and over what the mean is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raysearch.thresholds._counts import Confusion, Counts, confusion
from raysearch.thresholds._metrics import Floats, MaskMetric
from raysearch.thresholds._quantise import LEVELS

Levels = int | Sequence[int] | Mapping[str, int] | NDArray[np.int64]
"""One level 0..256 for all classes, or one a class: in their order, or by name."""


@dataclass(frozen=True)
class ClassValues:
    """A metric by class: `values` (B, K, L) under B weightings at L levels, and each class's `weight` (B, K).

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
        """(B,) over classes, at each one's own of the L levels, (B, K)."""
        chosen = np.take_along_axis(self.values, levels[:, :, None], axis=2)
        return ClassValues(chosen, self.weight).mean()[:, 0]


def pairs_of(counts: Counts, metric: MaskMetric) -> NDArray[np.bool_]:
    """(R,) whether a pair enters the metric."""
    if metric.pairs == "known":
        return np.ones(len(counts), np.bool_)
    return counts.present if metric.pairs == "present" else ~counts.present


def class_values(counts: Counts, pixels: Confusion, metric: MaskMetric, weights: Floats) -> ClassValues:
    """The metric under B weightings of the R pairs (times drawn by a bootstrap, or 0 and 1 for a part of them).

    Args:
        pixels: (R, L) of all pairs.
        weights: (B, R), not negative.
    """
    draws, columns = len(weights), pixels.tp.shape[1]
    values = np.zeros((draws, len(counts.classes), columns))
    weight = np.zeros((draws, len(counts.classes)))
    enters = pairs_of(counts, metric)
    for k in np.unique(counts.label[enters]):
        rows = np.flatnonzero(enters & (counts.label == k))
        part, of_class = pixels[rows], weights[:, rows]
        if metric.pooled:
            # an image without the class adds false positives, but a class needs one image with it
            weight[:, k] = of_class @ counts.present[rows] > 0
            pooled = (of_class @ count for count in (part.tp, part.fp, part.fn, part.tn))
            values[:, k] = metric.function(*pooled) * weight[:, k, None]
        else:
            scores = metric.function(part.tp, part.fp, part.fn, part.tn)
            weight[:, k] = of_class.sum(axis=1)
            values[:, k] = of_class @ scores / np.maximum(weight[:, k, None], 1)
    return ClassValues(values, weight)


def class_levels(counts: Counts, levels: Levels) -> NDArray[np.int64]:
    """(K,) levels; ValueError if they are not one, or one a class, in 0..256."""
    if isinstance(levels, Mapping):
        levels = [levels[name] for name in counts.classes]
    out = np.asarray(levels, np.int64)
    if out.shape not in ((), (len(counts.classes),)) or out.min() < 0 or out.max() >= LEVELS:
        raise ValueError(
            f"expected one level, or one for each of {len(counts.classes)} classes, in 0..256; got {levels}"
        )
    return np.broadcast_to(out, (len(counts.classes),))


def pixels_at(counts: Counts, row_levels: ArrayLike) -> Confusion:
    """Confusion (R, B) of each pair at its own levels, (R, B) or (R,) for B = 1."""
    row_levels = np.asarray(row_levels, np.int64).reshape(len(counts), -1)
    rows = np.arange(len(counts))[:, None]
    return confusion(counts)[rows, row_levels]


def at(counts: Counts, metric: MaskMetric, levels: Levels) -> float:
    """Value of a metric at given levels; NaN if no pair enters it (no absent pair for `false_positive_area`)."""
    pixels = pixels_at(counts, class_levels(counts, levels)[counts.label])
    return float(class_values(counts, pixels, metric, np.ones((1, len(counts)))).mean()[0, 0])


def scores_at(counts: Counts, metric: MaskMetric, levels: Levels) -> Floats:
    """(R,) value of each pair at given levels, NaN for pairs that do not enter; what `bootstrap` resamples.

    Raises:
        ValueError: the metric is pooled, so that a pair has no value of its own.
    """
    return pair_scores(counts, metric, class_levels(counts, levels)[counts.label])[:, 0]


def pair_scores(counts: Counts, metric: MaskMetric, row_levels: ArrayLike) -> Floats:
    """`scores_at`, (R, B), with levels of each pair's own, (R, B) or (R,) for B = 1."""
    if metric.pooled:
        raise ValueError(f"{metric.name} pools pixels over images: a single pair has no value")
    pixels = pixels_at(counts, row_levels)
    scores = metric.function(pixels.tp, pixels.fp, pixels.fn, pixels.tn)
    return np.where(pairs_of(counts, metric)[:, None], scores, np.nan)
