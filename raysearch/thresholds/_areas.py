"""How much of each image a mask and the known region cover."""

from __future__ import annotations

import numpy as np

from raysearch.thresholds._average import Levels, class_levels
from raysearch.thresholds._counts import Counts
from raysearch.thresholds._quantise import BINS
from raysearch.thresholds._sweep import Floats


def areas_at(counts: Counts, levels: Levels) -> tuple[Floats, Floats]:
    """(R,) shares of each pair's image, in [0, 1], that the mask at the given levels and the region cover."""
    taken = class_levels(counts, levels)[counts.label]
    values = counts.foreground + counts.background
    pixels = values.sum(axis=1, dtype=np.int64)
    inside = values.sum(axis=1, dtype=np.int64, where=np.arange(BINS) >= taken[:, None])
    return inside / pixels, counts.foreground.sum(axis=1, dtype=np.int64) / pixels
