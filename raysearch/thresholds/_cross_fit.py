"""Thresholds chosen on one half of the patients and scored on the other, so that no image scores its own choice."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._average import class_values, entering, pair_scores, pairs_of, statistics_at, values_of
from raysearch.thresholds._pairs import Pairs
from raysearch.thresholds._solve import best_levels
from raysearch.thresholds._sweep import Floats, LevelMetric, Sweep, SweepMetric


@dataclass(frozen=True)
class CrossFit:
    """The value that a metric has at thresholds chosen on other patients.

    Attributes:
        metric: name of what is valued.
        parameter: what was chosen, as `Solution.parameter`.
        value: mean over repeats; in a repeat every pair is scored once.
        scores: (R,) mean score of each pair over repeats, NaN for pairs that do not enter; None if pooled.
        patients: (P,) names, sorted.
        half: (T, P) int8, the half 0 or 1 of each patient in each repeat.
        levels: (T, 2, K) best position of each class on each half: ``levels[t, h]`` is *chosen* on half h and *applied*
            to the other.
        by_class: the same for each class that has a value.
        notes: what had to be done otherwise, one line each.
    """

    metric: str
    parameter: str
    value: float
    scores: Floats | None
    patients: NDArray[np.str_]
    half: NDArray[np.int8]
    levels: NDArray[np.int64]
    by_class: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def halves(self, pairs: Pairs) -> NDArray[np.int8]:
        """(T, R) half of each pair in each repeat. A patient who had no say in any threshold is in half 1."""
        place = np.minimum(np.searchsorted(self.patients, pairs.patient), len(self.patients) - 1)
        return np.where(self.patients[place] == pairs.patient, self.half[:, place], 1).astype(np.int8)

    def applied(self, pairs: Pairs) -> NDArray[np.int64]:
        """(T, R) position at which each pair is scored in each repeat: chosen on the half that it is not in."""
        return self.levels[np.arange(len(self.half))[:, None], 1 - self.halves(pairs), pairs.label]

    def rescore(self, evidence: Sweep, metric: LevelMetric) -> CrossFit:
        """Another metric at the same thresholds, as one-sided metrics are reported; of the same evidence, or of another
        kind of the same patients' that has the same parameter.

        Raises:
            ValueError: the evidence has other classes or another parameter, or is not of the metric's kind.
        """
        if evidence.parameter != self.parameter or len(evidence.classes) != self.levels.shape[2]:
            raise ValueError(
                f"a {self.parameter} of {self.levels.shape[2]} classes was chosen: evidence of kind {evidence.kind} "
                f"with a {evidence.parameter} of {len(evidence.classes)} classes cannot be scored by it"
            )
        levels = self.applied(evidence).T
        scores = None
        if metric.pooled:
            statistics = statistics_at(evidence, metric, levels)
            found = class_values(evidence, statistics, metric, np.ones((1, len(evidence))))
        else:
            scores = pair_scores(evidence, metric, levels).mean(axis=1)
            found = values_of(evidence, scores, metric)
        weighed = zip(evidence.classes, found.values[0].mean(axis=1), found.weight[0], strict=True)
        return dataclasses.replace(
            self,
            metric=metric.name,
            value=float(found.mean().mean()),
            scores=scores,
            by_class={name: float(value) for name, value, weight in weighed if weight},
        )


def cross_fit(
    evidence: Sweep,
    metric: SweepMetric,
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
        fallback: value of the parameter in [0, 1] used where there are not two patients to divide: then nothing is
            chosen, and a note says so.
        repeats: at least 1.

    Raises:
        ValueError: no pair enters the metric, or the evidence is not of its kind.
    """
    enters = pairs_of(evidence, metric) & (evidence.present if metric.pooled else True)
    if not enters.any():
        raise ValueError(f"no {metric.needs} pair to choose a threshold by {metric.name}")
    patients, patient = np.unique(evidence.patient, return_inverse=True)
    strata = np.full(len(patients), len(evidence.classes))
    np.minimum.at(strata, patient[enters], evidence.label[enters])
    deciding = int((strata < len(evidence.classes)).sum())
    notes: tuple[str, ...] = ()
    if deciding < 2:
        half = np.zeros((repeats, len(patients)), np.int8)
        levels = np.full((repeats, 2, len(evidence.classes)), evidence.position(fallback), np.int64)
        notes = (
            f"one patient has {metric.needs} pairs, two are needed to choose: "
            f"the {evidence.parameter} is kept at {fallback:g}",
        )
    else:
        generator = np.random.default_rng(seed)
        half = np.stack([_halve(strata, generator) for _ in range(repeats)])
        weights = np.stack([half == 0, half == 1], axis=1).reshape(2 * repeats, -1)[:, patient].astype(np.float64)
        part, weights = entering(evidence, metric, weights)
        by_class = class_values(part, metric.statistics(part), metric, weights)
        levels = best_levels(by_class, metric.direction, per_class).reshape(repeats, 2, -1)
    chosen = CrossFit(metric.name, evidence.parameter, 0.0, None, patients, half, levels, notes=notes)
    return chosen.rescore(evidence, metric)


def _halve(strata: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int8]:
    """(P,) half of each patient: each stratum is dealt out in turn, in random order."""
    order = generator.permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    half = np.empty(len(strata), np.int8)
    half[order] = (np.arange(len(strata)) + generator.integers(2)) % 2
    return half
