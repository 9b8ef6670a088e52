"""Metrics of maps that need no threshold. Both add up values and truth over pixels: ``counts`` is evidence enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._counts import Counts, at_least
from raysearch.thresholds._sweep import Floats


def cdice(counts: Counts, weights: Floats, label: int | None = None) -> Floats:
    """Continuous Dice, ``2 sum(a b) / (sum a^2 + sum b^2)`` over pixels, a the map in [0, 1] and b the region in
    {0, 1}; in [0, 1], 0 if both are zero. Mean over PRESENT pairs under (B, R) weightings; (B,), NaN without any.

    As the code of paper 001 (spec 1.7; not the continuous Dice of Shamir et al.); maps are not rescaled.

    Args:
        label: of this class alone.
    """
    rows = _present(counts, label)
    values = np.arange(256) / 255
    inside, outside = counts.foreground[rows].astype(np.float64), counts.background[rows].astype(np.float64)
    both = inside @ values
    under = (inside + outside) @ values**2 + inside.sum(axis=1)
    scores = np.zeros(len(rows))
    np.divide(2 * both, under, out=scores, where=under > 0)
    total = weights[:, rows].sum(axis=1)
    out = np.full(len(weights), np.nan)
    np.divide(weights[:, rows] @ scores, total, out=out, where=total > 0)
    return out


def pxap(counts: Counts, weights: Floats, label: int | None = None) -> Floats:
    """Pixel average precision, PxAP of Choe et al. 2020 (arXiv 2001.07437), in [0, 1]; (B,) under (B, R)
    weightings of the pairs.

    Pixels of all PRESENT pairs are pooled. With PxPrec and PxRec the precision and recall of pooled pixels whose value
    is at least a threshold, the sum over thresholds from high to low of ``PxPrec (PxRec - PxRec before)``: here over
    all values of the quantised maps. NaN where no pooled pixel lies in a region.

    Args:
        label: of this class alone.
    """
    rows = _present(counts, label)
    tp, fp = (
        (weights[:, rows] @ at_least(histogram[rows]))[:, ::-1] for histogram in (counts.foreground, counts.background)
    )
    gained = np.diff(tp, axis=1, prepend=0)
    precision = np.zeros_like(tp)
    np.divide(tp, tp + fp, out=precision, where=tp + fp > 0)
    out = np.full(len(weights), np.nan)
    np.divide((precision * gained).sum(axis=1), tp[:, -1], out=out, where=tp[:, -1] > 0)
    return out


def _present(counts: Counts, label: int | None) -> NDArray[np.intp]:
    return np.flatnonzero(counts.present if label is None else counts.present & (counts.label == label))
