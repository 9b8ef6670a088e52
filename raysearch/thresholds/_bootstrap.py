"""Confidence intervals by the bootstrap over patients: images of one patient are not independent."""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raysearch.thresholds._average import Levels, at, deciding_rows, entering_rows, weighted
from raysearch.thresholds._evidence import Evidence
from raysearch.thresholds._sweep import Floats, Metric

_BLOCK = 4_000_000
"""Numbers held at once."""


class Interval(NamedTuple):
    """A value and its 95 % interval; the limits are NaN if there is one patient only, of whom no more can be said."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: ArrayLike,
    groups: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of `values` with its percentile interval, groups (patients) drawn with replacement.

    Args:
        values: (R,), e.g. of `scores_at`; NaN marks a row that does not enter.
        groups: (R,) str or int.
        classes: (R,) int, for the mean over classes of each one's mean; a resample without a class is one over the
            others.

    Raises:
        ValueError: shapes differ, or no row enters.
    """
    scores, owners = np.asarray(values, np.float64), np.asarray(groups)
    if scores.ndim != 1 or scores.shape != owners.shape:
        raise ValueError(f"expected as many values as groups, got {scores.shape} and {owners.shape}")
    enters = ~np.isnan(scores)
    if not enters.any():
        raise ValueError("no value to resample")
    names, group = np.unique(owners[enters], return_inverse=True)
    label = np.zeros(len(group), np.int64) if classes is None else np.asarray(classes)[enters]
    _, column = np.unique(label, return_inverse=True)
    sums, sizes = np.zeros((len(names), column.max() + 1)), np.zeros((len(names), column.max() + 1))
    np.add.at(sums, (group, column), scores[enters])
    np.add.at(sizes, (group, column), 1)
    means = [_mean_of(draws.astype(np.float64), sums, sizes) for draws in _draws(len(names), resamples, seed)]
    return _interval(float(_mean_of(np.ones((1, len(names))), sums, sizes)[0]), np.concatenate(means), len(names))


def _mean_of(draws: Floats, sums: Floats, sizes: Floats) -> Floats:
    """(B,) mean over columns of each one's mean, of (B, G) draws of groups whose values have sums and sizes (G, C)."""
    total = draws @ sizes
    values: Floats = ((draws @ sums) / np.maximum(total, 1)).sum(axis=1) / (total > 0).sum(axis=1)
    return values


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    groups: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """`bootstrap` of the difference ``first - second`` of two methods on the same images, row by row.

    Raises:
        ValueError: shapes differ, or a row enters for one of the two only.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.shape != other.shape or (np.isnan(one) != np.isnan(other)).any():
        raise ValueError("two methods are compared on the same images: the same rows must enter for both")
    return bootstrap(one - other, groups, classes=classes, resamples=resamples, seed=seed)


def interval(
    evidence: Evidence,
    metric: Metric,
    levels: Levels | None = None,
    *,
    by: Literal["patient", "image"] = "patient",
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """`at` with its percentile interval over patients, for any metric: of pairs, pooled, or without a threshold.

    Patients that have a row that enters are drawn with replacement: one of whom the metric takes no notice would make
    the interval narrower. Resamples in which the metric has no value (every class with one label only, say) are left
    out.

    Args:
        levels: positions of a metric with a threshold.
        by: what is drawn. Images of one patient are not independent: over images the interval is too narrow, unless
            each is another patient's.

    Raises:
        ValueError: nothing enters the metric, or the evidence is of another kind.
    """
    value = at(evidence, metric, levels)
    if np.isnan(value):
        raise ValueError(f"nothing in the evidence to value {metric.name} by")
    owners = evidence.patient if by == "patient" else evidence.image
    if len(np.unique(owners[deciding_rows(evidence, metric)])) < 2:
        return Interval(value, float("nan"), float("nan"))
    enters = entering_rows(evidence, metric)
    evidence = evidence.select(enters)
    names, group = np.unique(owners[enters], return_inverse=True)
    means = [
        weighted(evidence, metric, levels, draws[:, group].astype(np.float64))
        for draws in _draws(len(names), resamples, seed, width=len(evidence))
    ]
    resampled = np.concatenate(means)
    return _interval(value, resampled[~np.isnan(resampled)], len(names))


@functools.lru_cache(maxsize=2)  # trials of a study have the same patients: drawing costs more than averaging
def _draws(groups: int, resamples: int, seed: int, width: int = 0) -> tuple[NDArray[np.uint16], ...]:
    """How often each group is drawn in each resample, (B, G) in blocks that with (B, `width`) stay small."""
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // max(groups, width))
    sizes = [min(block, resamples - done) for done in range(0, resamples, block)]
    shares = np.full(groups, 1 / groups)
    return tuple(generator.multinomial(groups, shares, size).astype(np.uint16) for size in sizes)


def _interval(mean: float, resampled: Floats, groups: int) -> Interval:
    if groups < 2:
        return Interval(mean, float("nan"), float("nan"))
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Interval(mean, float(low), float(high))
