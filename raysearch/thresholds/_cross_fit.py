"""Thresholds chosen on one half of the patients and scored on the other, so that no image scores its own choice."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._average import class_values, pair_scores, pairs_of, pixels_at
from raysearch.thresholds._counts import Counts, confusion
from raysearch.thresholds._metrics import Floats, MaskMetric
from raysearch.thresholds._quantise import level
from raysearch.thresholds._solve import best_levels


@dataclass(frozen=True)
class CrossFit:
    """The value that a metric has at thresholds chosen on other patients.

    Attributes:
        metric: name of what is valued.
        value: mean over repeats; in a repeat every pair is scored once.
        scores: (R,) mean score of each pair over repeats, NaN for pairs that do not enter; None if pooled.
        half: (T, R) int8, the half 0 or 1 of each pair in each repeat; pairs of one patient share it.
        levels: (T, 2, K) best level of each class on each half: ``levels[t, h]`` is *chosen* on half h and *applied* to
            the other.
        notes: what had to be done otherwise, one line each.
    """

    metric: str
    value: float
    scores: Floats | None
    half: NDArray[np.int8]
    levels: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def applied(self, counts: Counts) -> NDArray[np.int64]:
        """(T, R) level at which each pair is scored in each repeat: chosen on the half that it is not in."""
        return self.levels[np.arange(len(self.half))[:, None], 1 - self.half, counts.label]

    def rescore(self, counts: Counts, metric: MaskMetric) -> CrossFit:
        """Another metric of the same evidence at the same thresholds, as one-sided metrics are reported."""
        levels = self.applied(counts).T
        if metric.pooled:
            pixels = pixels_at(counts, levels)
            values = class_values(counts, pixels, metric, np.ones((1, len(counts)))).mean()
            return dataclasses.replace(self, metric=metric.name, value=float(values.mean()), scores=None)
        scores = pair_scores(counts, metric, levels).mean(axis=1)
        entering = scores[pairs_of(counts, metric)]
        value = float(entering.mean()) if len(entering) else float("nan")
        return dataclasses.replace(self, metric=metric.name, value=value, scores=scores)


def cross_fit(
    counts: Counts,
    metric: MaskMetric,
    *,
    fallback: float = 0.5,
    repeats: int = 10,
    seed: int = 0,
    per_class: bool = False,
) -> CrossFit:
    """Repeatedly halves the patients, chooses thresholds on each half and scores the other by them.

    Halves are balanced by class. A class that one half knows nothing about is scored, in the other, at the level that
    the half shares among its classes.

    Args:
        fallback: threshold in [0, 1] used where there are not two patients to divide: then nothing is chosen, and a
            note says so.
        repeats: at least 1.

    Raises:
        ValueError: no pair enters the metric.
    """
    enters = pairs_of(counts, metric) & (counts.present if metric.pooled else True)
    if not enters.any():
        raise ValueError(f"no {metric.needs} pair to choose a threshold by {metric.name}")
    patients, patient = np.unique(counts.patient, return_inverse=True)
    strata = np.full(len(patients), len(counts.classes))
    np.minimum.at(strata, patient[enters], counts.label[enters])
    deciding = int((strata < len(counts.classes)).sum())
    if deciding < 2:
        half = np.zeros((repeats, len(counts)), np.int8)
        levels = np.full((repeats, 2, len(counts.classes)), level(fallback), np.int64)
        note = f"one patient has {metric.needs} pairs, two are needed to choose: the threshold is kept at {fallback:g}"
        return CrossFit(metric.name, 0.0, None, half, levels, (note,)).rescore(counts, metric)
    generator = np.random.default_rng(seed)
    half = np.stack([_halve(strata, generator) for _ in range(repeats)])[:, patient]
    weights = np.stack([half == 0, half == 1], axis=1).reshape(2 * repeats, -1).astype(np.float64)
    by_class = class_values(counts, confusion(counts), metric, weights)
    levels = best_levels(by_class, metric.direction, per_class).reshape(repeats, 2, -1)
    return CrossFit(metric.name, 0.0, None, half, levels).rescore(counts, metric)


def _halve(strata: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int8]:
    """(P,) half of each patient: each stratum is dealt out in turn, in random order."""
    order = generator.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    half = np.empty(len(strata), np.int8)
    half[order] = (np.arange(len(strata)) + generator.integers(2)) % 2
    return half
