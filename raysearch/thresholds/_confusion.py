"""Pixel counts of pairs at several masks each: what every metric of masks is a function of."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._sweep import Sweep


@dataclass(frozen=True)
class Confusion:
    """Pixel counts (R, L) int64 of R pairs at L masks: true/false positives and negatives."""

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    tn: NDArray[np.int64]

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return iter((self.tp, self.fp, self.fn, self.tn))

    def __getitem__(self, index: Any) -> Confusion:
        """The same numpy index into all four."""
        return Confusion(*(count[index] for count in self))


@dataclass(frozen=True, kw_only=True)
class MaskSweep(Sweep):
    """Evidence of masks: pixel counts of every pair at every position of the rule that makes them."""

    @abc.abstractmethod
    def confusion(self) -> Confusion:
        """(R, L), pixel for pixel what comparing the masks themselves with the regions would count."""
