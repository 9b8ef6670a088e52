"""How much each patient adds to a value: what the jackknife needs, of any metric."""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._average import class_values, pairs_of, statistics_at
from raysearch.thresholds._bootstrap import Interval
from raysearch.thresholds._evidence import Evidence
from raysearch.thresholds._solve import TIE
from raysearch.thresholds._sweep import Floats, LevelMetric, Metric, PlainMetric, Sweep

UNITS = 256
"""Patients beyond so many are taken together, so that what is stored of an evaluation stays small; for an interval as
many groups are as good."""

_BLOCK = 4_000_000
"""Numbers held at once."""


def influence(evidence: Evidence, metric: Metric, row_levels: NDArray[np.int64] | None = None) -> Floats:
    """(U,) the value of a metric minus its value without each unit, in the order of patients' names; U <= 256.

    A unit is a patient, or, where there are more than 256, a fixed group of them. One that does not enter the metric
    has 0, and so has one without which there would be no value.

    Args:
        row_levels: (R, T) positions of each row of a metric with a threshold, of which the value is the mean over T:
            those that were applied by a cross-fit; (R, 1) for given ones.

    Raises:
        ValueError: the evidence is of another kind, or positions are missing.
    """
    names, patient = np.unique(evidence.patient, return_inverse=True)
    units = min(len(names), UNITS)
    unit = patient % UNITS
    whole = _under(evidence, metric, row_levels, np.ones((1, len(evidence))))[0]
    block = max(1, _BLOCK // max(1, len(evidence)))
    without = [
        _under(evidence, metric, row_levels, (np.arange(first, min(first + block, units))[:, None] != unit) * 1.0)
        for first in range(0, units, block)
    ]
    added = whole - np.concatenate([*without, np.zeros(0)])
    return np.where(np.abs(added) > TIE, added, 0.0)  # NaN too: no value without this unit


def _under(evidence: Evidence, metric: Metric, row_levels: NDArray[np.int64] | None, weights: Floats) -> Floats:
    """(B,) value under (B, R) weightings of the rows."""
    if isinstance(metric, PlainMetric):
        return metric.function(evidence, weights, None)
    if not isinstance(metric, LevelMetric) or not isinstance(evidence, Sweep) or row_levels is None:
        raise ValueError(f"{metric.name} has a value at given levels only")
    rows = np.flatnonzero(pairs_of(evidence, metric))
    part = evidence.select(rows)
    statistics = statistics_at(part, metric, row_levels[rows])
    return np.asarray(class_values(part, statistics, metric, weights[:, rows]).mean().mean(axis=1))


def jackknife(value: float, added: NDArray[np.floating]) -> Interval:
    """A value with its 95 % interval over patients, from the `influence` of each, (U,).

    By Student's t: with few patients a percentile bootstrap is too narrow (of 20 it covers 0.93 instead of 0.95).
    Units that do not enter do not count; the limits are NaN if fewer than two do.
    """
    from scipy.special import stdtrit

    added = added[added != 0]
    units = len(added)
    if units < 2:
        return Interval(value, float("nan"), float("nan"))
    error = np.sqrt((units - 1) / units * ((added - added.mean()) ** 2).sum())
    half = float(stdtrit(units - 1, 0.975) * error)
    return Interval(value, value - half, value + half)


def pack(added: NDArray[np.floating]) -> str:
    """Text of an influence for a line of JSON: 4 characters for 3 bytes of little-endian float32."""
    return base64.b64encode(added.astype("<f4").tobytes()).decode("ascii")


def unpack(text: str) -> NDArray[np.float32]:
    """The inverse of `pack`; ValueError if it is not its text."""
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
    except binascii.Error:
        raise ValueError(f"no influence of patients: '{text[:20]}'") from None
