"""Evidence of kind ``ranks``: pixel counts at the percentiles of each map's own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._confusion import Confusion, MaskSweep
from raysearch.thresholds._counts import Counts, at_least
from raysearch.thresholds._evidence import Column
from raysearch.thresholds._pairs import FromMaps, MapPairs

PERCENTILES = 101
"""Positions of a percentile rule: 0, 1, ... 100 percent."""


@dataclass(frozen=True, kw_only=True)
class Ranks(MaskSweep, FromMaps):
    """What a percentile rule makes of R known pairs, at 101 percentiles.

    The rule of paper 001 (its code; spec 1.6): at percentile q the threshold is the map's value of rank round(n q), the
    smallest being rank 1, halves rounded to even; the mask takes the pixels that have at least this value, or, where it
    is the map's least value, those above it. Rank 0 is read as rank 1. Ties are taken whole, so a mask can be larger
    than the share asked for; a constant map gives an empty mask at every percentile.

    Maps are quantised, so their ranks follow from their histograms: evidence of kind ``counts`` is enough to make this.

    Attributes:
        tp: (R, 101) uint32, pixels of the mask inside the region; zero for ABSENT pairs.
        fp: (R, 101) uint32, pixels of the mask outside it.
        region: (R,) uint32, pixels inside the region.
        outside: (R,) uint32, the others.
    """

    kind: ClassVar[str] = "ranks"
    positions: ClassVar[int] = PERCENTILES
    parameter: ClassVar[str] = "percentile"
    columns: ClassVar[dict[str, Column]] = {
        **MaskSweep.columns,
        "tp": (np.uint32, (PERCENTILES,)),
        "fp": (np.uint32, (PERCENTILES,)),
        "region": (np.uint32, ()),
        "outside": (np.uint32, ()),
    }

    tp: NDArray[np.uint32]
    fp: NDArray[np.uint32]
    region: NDArray[np.uint32]
    outside: NDArray[np.uint32]

    @staticmethod
    def setting(position: int) -> float:
        """The percentile as a share, in [0, 1]."""
        if not 0 <= position < PERCENTILES:
            raise ValueError(f"a percentile must lie in 0..100, got {position}")
        return position / 100

    @staticmethod
    def position(setting: float) -> int:
        """The nearest percentile of a share in [0, 1]."""
        if not 0 <= setting <= 1:
            raise ValueError(f"a percentile as a share must lie in [0, 1], got {setting}")
        return round(100 * setting)

    def check(self) -> None:
        super().check()
        if self.region[~self.present].any():
            raise ValueError("an absent pair has no region, but pixels were counted in one")
        if (self.tp > self.region[:, None]).any() or (self.fp > self.outside[:, None]).any():
            raise ValueError("a mask has more pixels inside, or outside, the region than there are")

    @classmethod
    def from_pairs(cls, pairs: MapPairs) -> Self:
        return cls.from_counts(Counts.from_pairs(pairs))

    @classmethod
    def from_counts(cls, counts: Counts) -> Self:
        """Of the same pairs."""
        levels = rank_levels(counts.foreground + counts.background)
        tp, fp = (
            np.take_along_axis(at_least(histogram), levels, axis=1).astype(np.uint32)
            for histogram in (counts.foreground, counts.background)
        )
        return cls(
            classes=counts.classes,
            image=counts.image,
            label=counts.label,
            patient=counts.patient,
            present=counts.present,
            tp=tp,
            fp=fp,
            region=counts.foreground.sum(axis=1, dtype=np.uint32),
            outside=counts.background.sum(axis=1, dtype=np.uint32),
        )

    def confusion(self) -> Confusion:
        """At all 101 percentiles."""
        tp, fp = self.tp.astype(np.int64), self.fp.astype(np.int64)
        return Confusion(tp, fp, self.region[:, None] - tp, self.outside[:, None] - fp)


def rank_levels(histogram: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(R, 256) histograms of maps -> (R, 101) level 0..256 that each percentile stands for on each map."""
    below = np.cumsum(histogram, axis=1, dtype=np.int64)
    ranks = np.maximum(1, np.rint(below[:, -1:] * np.arange(PERCENTILES) / 100))
    values = np.zeros(ranks.shape, np.int64)
    for out, own, rank in zip(values, below, ranks, strict=True):
        out[:] = np.searchsorted(own, rank)
    least = np.argmax(histogram > 0, axis=1)[:, None]
    levels: NDArray[np.int64] = (values + (values == least)).astype(np.int64)
    return levels
