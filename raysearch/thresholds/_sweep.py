"""One decision parameter swept: the evidence that knows its pairs at every value of it, the metrics that judge that."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds._evidence import Evidence
from raysearch.thresholds._pairs import Pairs
from raysearch.thresholds._quantise import LEVELS, level, threshold

Floats = NDArray[np.float64]
Counted = NDArray[Any]
Direction = Literal["maximize", "minimize"]
Average = Literal["pairs", "classes"]
"""What a metric of regions is a mean over: all pairs that enter, whatever their class, or classes, of each one's mean
over its own pairs (the "Mean" of paper 001, in which a scarce class counts as much as a frequent one)."""


@dataclass(frozen=True, kw_only=True)
class Sweep(Pairs):
    """Evidence of pairs at L positions of one decision parameter: all that an exact optimum needs.

    Class attributes:
        positions: L. Position n stands for the parameter's value ``setting(n)``.
        parameter: its name. Positions of two kinds with the same parameter mean the same.
    """

    positions: ClassVar[int] = LEVELS
    parameter: ClassVar[str] = "threshold"

    @staticmethod
    def setting(position: int) -> float:
        """The value of the parameter at a position."""
        return threshold(position)

    @staticmethod
    def position(setting: float) -> int:
        """The position of a value; ``position(setting(n)) == n``."""
        return level(setting)


@dataclass(frozen=True, kw_only=True)
class LevelMetric(abc.ABC):
    """A metric that pairs have a value of at a given position of the decision parameter.

    Attributes:
        name: on the command line.
        title: with the unit, for tables.
        function: of what `statistics_at` gives, arrays of one shape, to values of that shape.
        direction: which way is better.
        pairs: the pairs that it is a mean over: ``present`` (GT-known localization), ``absent``, or ``known``, both.
        average: what the mean is over.
        pooled: statistics are added up over the images of a class before the function is applied, and the mean is over
            classes that have a present pair, whatever `average` says; otherwise the function is applied to each pair.
        one_sided: why it cannot be a study's only objective; empty if it can.
        span: the least and the highest value that it can have.

    Class attributes:
        evidence: kind of the evidence that it needs.
    """

    evidence: ClassVar[str]
    name: str
    title: str
    function: Callable[..., Floats]
    direction: Direction = "maximize"
    pairs: Literal["present", "absent", "known"] = "present"
    average: Average = "pairs"
    pooled: bool = False
    one_sided: str = ""
    span: tuple[float, float] = (0.0, 1.0)

    @abc.abstractmethod
    def statistics_at(self, evidence: Sweep, row_levels: NDArray[np.int64]) -> tuple[Counted, ...]:
        """Arrays (R, B) of the pairs, each at its own positions (R, B); ValueError if the evidence is of another
        kind."""

    def judges(self, evidence: Evidence) -> bool:
        """Whether the metric can be computed from this evidence."""
        return isinstance(evidence, Sweep) and evidence.kind == self.evidence

    @property
    def needs(self) -> Literal["present", "absent"]:
        """The pairs without which the metric has no value."""
        return "absent" if self.pairs == "absent" else "present"


@dataclass(frozen=True, kw_only=True)
class SweepMetric(LevelMetric):
    """A metric whose threshold can be solved for: a function of statistics that pairs have at each position."""

    @abc.abstractmethod
    def statistics(self, evidence: Sweep) -> tuple[Counted, ...]:
        """Arrays (R, L) of the pairs at every position; ValueError if the evidence is of another kind."""

    def statistics_at(self, evidence: Sweep, row_levels: NDArray[np.int64]) -> tuple[Counted, ...]:
        rows = np.arange(len(evidence))[:, None]
        return tuple(each[rows, row_levels] for each in self.statistics(evidence))


def present_pairs(pairs: Pairs) -> NDArray[np.bool_]:
    """(R,) rows of PRESENT pairs, all that enters the plain metrics of regions."""
    return pairs.present


@dataclass(frozen=True, kw_only=True)
class PlainMetric:
    """A metric without a threshold: reported, never solved for.

    Attributes:
        evidence: kind of the evidence that it needs.
        function: of that evidence, weights (B, R) of its rows, not negative (times drawn by a bootstrap), and one class
            (index) or None for all, to (B,) values; NaN where nothing is known that it could judge.
        enters: of that evidence to (R,) bool, the rows that `function` looks at: the others say nothing, whatever their
            weight.
        average: over ``classes``, the function is applied to each class and its values are averaged; over ``pairs``, to
            all at once.
        span: the least and the highest value that it can have.
    """

    name: str
    title: str
    evidence: str
    function: Callable[[Any, Floats, int | None], Floats]
    enters: Callable[[Any], NDArray[np.bool_]]
    direction: Direction = "maximize"
    average: Average = "pairs"
    one_sided: str = ""
    span: tuple[float, float] = (0.0, 1.0)

    def judges(self, evidence: Evidence) -> bool:
        """Whether the metric can be computed from this evidence."""
        return evidence.kind == self.evidence


Metric = LevelMetric | PlainMetric
