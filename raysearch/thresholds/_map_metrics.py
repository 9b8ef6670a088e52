"""Metrics of where a mask's pixels lie: structural similarity and Hausdorff distances."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._maps import Maps
from raysearch.thresholds._quantise import binarise
from raysearch.thresholds._sweep import Counted, Floats, LevelMetric, Sweep

WINDOW = 7
"""Side of the window of `ssim` in pixels."""

Mask = NDArray[np.bool_]


def ssim(mask: Mask, region: Mask) -> float:
    """Structural similarity (Wang et al. 2004) of two masks (H, W) as images of 0 and 1, in [-1, 1]; paper 003, section
    3.8 of the method specification.

    As scikit-image's ``structural_similarity`` with its defaults and a data range of 1: uniform window of 7 pixels,
    sample covariance, K1 0.01, K2 0.03, mean over the windows that lie inside the image. An image with a side below 7
    has the largest odd window that fits.
    """
    from scipy import ndimage

    least = min(mask.shape)
    window = min(WINDOW, least - 1 + least % 2)
    a, b = mask.astype(np.float64), region.astype(np.float64)
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = (
        ndimage.uniform_filter(each, window) for each in (a, b, a * a, b * b, a * b)
    )
    pixels = window**2
    sample = pixels / max(1, pixels - 1)
    variances = sample * (mean_aa - mean_a**2 + mean_bb - mean_b**2)
    covariance = sample * (mean_ab - mean_a * mean_b)
    c1, c2 = 0.01**2, 0.03**2
    over = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    under = (mean_a**2 + mean_b**2 + c1) * (variances + c2)
    edge = window // 2
    inside = (slice(edge, mask.shape[0] - edge), slice(edge, mask.shape[1] - edge))
    return float((over / under)[inside].mean())


def hausdorff(mask: Mask, region: Mask) -> float:
    """Average Hausdorff distance in pixels: the mean of d(mask, region) and d(region, mask), where d(A, B) is the mean
    over the foreground pixels of A of the distance to the nearest one of B.

    As all Hausdorff distances here: over all foreground pixels of two masks (H, W), between pixel centres; 0 if both
    are empty, the diagonal of the image if one is (sections 3.8 and 8 of the method specification).
    """
    there, back = _distances(mask, region)
    return float(there.mean() + back.mean()) / 2


def hausdorff_max(mask: Mask, region: Mask) -> float:
    """Modified Hausdorff distance (Dubuisson and Jain 1994) in pixels: the larger one of the two means."""
    there, back = _distances(mask, region)
    return float(max(there.mean(), back.mean()))


def hausdorff_classical(mask: Mask, region: Mask) -> float:
    """Hausdorff distance in pixels: of all distances to the nearest pixel of the other mask the largest."""
    there, back = _distances(mask, region)
    return float(max(there.max(), back.max()))


def _distances(mask: Mask, region: Mask) -> tuple[Floats, Floats]:
    """Distance of each foreground pixel of one mask to the nearest of the other, both ways."""
    if not (mask.any() and region.any()):
        alone = np.array([math.hypot(*mask.shape) if mask.any() or region.any() else 0.0])
        return alone, alone
    from scipy import ndimage

    both = mask | region
    rows, columns = np.flatnonzero(both.any(axis=1)), np.flatnonzero(both.any(axis=0))
    around = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    a, b = mask[around], region[around]
    return ndimage.distance_transform_edt(~b)[a], ndimage.distance_transform_edt(~a)[b]


@dataclass(frozen=True, kw_only=True)
class MapMetric(LevelMetric):
    """A metric of the masks themselves, which are compared one by one: it is reported at thresholds that another metric
    chose.

    Attributes:
        compare: a mask with a region, (H, W) bool each, to a number.
    """

    evidence: ClassVar[str] = "maps"
    compare: Callable[[Mask, Mask], float]
    function: Callable[..., Floats] = np.asarray
    one_sided: str = "its masks are compared one by one, so that no threshold can be solved for"

    def statistics_at(self, evidence: Sweep, row_levels: NDArray[np.int64]) -> tuple[Counted, ...]:
        """The values themselves; a pair is looked at once for each of its distinct positions."""
        if not isinstance(evidence, Maps):
            raise ValueError(f"{self.name} needs evidence of kind maps, got {evidence.kind}")
        out = np.zeros(row_levels.shape)
        for row, levels in enumerate(row_levels):
            quantised, region = evidence.cut(row)
            distinct, place = np.unique(levels, return_inverse=True)
            values = [self.compare(binarise(quantised, int(each)), region) for each in distinct]
            out[row] = np.array(values)[place]
        return (out,)


MAP_METRICS = (
    MapMetric(name="ssim", title="SSIM of masks (window 7, mean over images)", compare=ssim, span=(-1.0, 1.0)),
    MapMetric(
        name="hausdorff",
        title="Average Hausdorff distance (pixels, mean over images)",
        compare=hausdorff,
        direction="minimize",
        span=(0.0, math.inf),
    ),
    MapMetric(
        name="hausdorff_max",
        title="Modified Hausdorff distance (larger of both means, pixels, mean over images)",
        compare=hausdorff_max,
        direction="minimize",
        span=(0.0, math.inf),
    ),
    MapMetric(
        name="hausdorff_classical",
        title="Hausdorff distance (largest, pixels, mean over images)",
        compare=hausdorff_classical,
        direction="minimize",
        span=(0.0, math.inf),
    ),
)
