"""Evidence of kind ``counts``: histograms of the map inside and outside the region, of every known pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._confusion import Confusion, MaskSweep
from raysearch.thresholds._evidence import Column
from raysearch.thresholds._pairs import FromMaps, MapPairs
from raysearch.thresholds._quantise import BINS, LEVELS


@dataclass(frozen=True, kw_only=True)
class Counts(MaskSweep, FromMaps):
    """Histograms of R known pairs: enough for every pixel metric at every threshold, 2 KiB a pair before compression.

    Attributes:
        foreground: (R, 256) uint32, pixels inside the region by quantised map value; all zero for ABSENT pairs.
        background: (R, 256) uint32, pixels outside it.
    """

    kind: ClassVar[str] = "counts"
    columns: ClassVar[dict[str, Column]] = {
        **MaskSweep.columns,
        "foreground": (np.uint32, (BINS,)),
        "background": (np.uint32, (BINS,)),
    }

    foreground: NDArray[np.uint32]
    background: NDArray[np.uint32]

    def check(self) -> None:
        super().check()
        if self.foreground[~self.present].any():
            raise ValueError("an absent pair has no foreground, but foreground was counted for one")

    @classmethod
    def from_pairs(cls, pairs: MapPairs) -> Self:
        histograms = np.zeros((len(pairs), 2, BINS), np.uint32)
        for out, (quantised, region) in zip(histograms, pairs, strict=True):
            if region is None:
                out[0] = np.bincount(quantised.ravel(), minlength=BINS)
                continue
            # both histograms in one pass over the pixels
            codes = quantised | (region.astype(np.uint16) << 8)
            out[:] = np.bincount(codes.ravel(), minlength=2 * BINS).reshape(2, BINS)
        return cls(**pairs.index, foreground=histograms[:, 1], background=histograms[:, 0])

    def confusion(self) -> Confusion:
        """At all 257 levels: what `binarise` at that level would count."""
        fn, tn = below(self.foreground), below(self.background)
        return Confusion(fn[:, -1:] - fn, tn[:, -1:] - tn, fn, tn)


def below(histogram: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(R, 256) -> (R, 257): how many pixels have less than each value, and how many there are."""
    out = np.zeros((len(histogram), LEVELS), np.int64)
    out[:, 1:] = histogram  # first, since sums are slower where they also have to convert
    np.cumsum(out, axis=1, out=out)
    return out


def at_least(histogram: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(R, 256) -> (R, 257): how many pixels have at least each value; none has 256."""
    less = below(histogram)
    return less[:, -1:] - less
