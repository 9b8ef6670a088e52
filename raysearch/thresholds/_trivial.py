"""A result beside what every map gives at its lowest level, a mask of the whole picture: a model has to be better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from raysearch.thresholds._average import class_levels, class_values, entering, statistics_at
from raysearch.thresholds._quantise import LEVELS
from raysearch.thresholds._registry import find_metric

if TYPE_CHECKING:
    from raysearch.thresholds._average import ClassValues, Levels
    from raysearch.thresholds._sweep import Direction, Sweep, SweepMetric

EVERYTHING = 0
"""The position at which a mask is the whole picture, and a box goes around it."""

NEAR = 1e-9
"""Values closer than this are equal: one was averaged over the halves of a cross-fit, the other one was not."""


@dataclass(frozen=True, kw_only=True)
class AgainstTrivial:
    """A metric with a threshold beside its value for masks of the whole picture, on the same pairs.

    Attributes:
        metric: name.
        value: of the result.
        trivial: of masks of the whole picture.
        by_class, trivial_by_class: likewise, for each class that has a value.
    """

    metric: str
    value: float
    trivial: float
    by_class: dict[str, float]
    trivial_by_class: dict[str, float]

    @property
    def direction(self) -> Direction:
        """Which way is better."""
        return find_metric(self.metric).direction

    @property
    def better(self) -> bool:
        """Whether the result is better than masks of the whole picture."""
        return _better(self.value, self.trivial, self.direction)

    @property
    def no_better(self) -> tuple[str, ...]:
        """Classes in which it is not."""
        pairs = ((name, value, self.trivial_by_class[name]) for name, value in self.by_class.items())
        return tuple(name for name, value, trivial in pairs if not _better(value, trivial, self.direction))


def against_trivial(
    evidence: Sweep, metric: SweepMetric, value: float, by_class: Mapping[str, float]
) -> AgainstTrivial:
    """A value that the metric has on some evidence, beside that of masks of the whole picture."""
    part, weights = entering(evidence, metric, np.ones((1, len(evidence))))
    everything = np.full(len(part), EVERYTHING, np.int64)
    found: ClassValues = class_values(part, statistics_at(part, metric, everything), metric, weights)
    values = dict(zip(evidence.classes, found.values[0, :, 0].tolist(), strict=True))
    return AgainstTrivial(
        metric=metric.name,
        value=value,
        trivial=float(found.mean()[0, 0]),
        by_class=dict(by_class),
        trivial_by_class={name: values[name] for name in by_class},
    )


class Blank(NamedTuple):
    """Classes whose masks are all alike, whatever the image: the whole picture, or nothing."""

    everything: tuple[str, ...]
    nothing: tuple[str, ...]


def blank_masks(evidence: Sweep, metric: SweepMetric, levels: Levels) -> Blank:
    """What the masks of these levels are, as far as a metric can tell them apart: no map need reach down to 0, so that
    levels above it can mask everything too. A class without a pair that enters is judged by its level alone."""
    chosen = class_levels(evidence, levels)
    part, _ = entering(evidence, metric, np.ones((1, len(evidence))))
    found = statistics_at(part, metric, chosen[part.label])
    out = []
    for end in (EVERYTHING, evidence.positions - 1):
        ends = statistics_at(part, metric, np.full(len(part), end, np.int64))
        same = np.logical_and.reduce([(one == other)[:, 0] for one, other in zip(found, ends, strict=True)])
        own = ((name, same[part.label == k], chosen[k]) for k, name in enumerate(evidence.classes))
        out.append(tuple(name for name, rows, at in own if (rows.all() if len(rows) else at == end)))
    return Blank(*out)


def blank_levels(levels: Mapping[str, int]) -> Blank:
    """`blank_masks` where there is no evidence, of levels of thresholds by class."""
    ends = (EVERYTHING, LEVELS - 1)
    return Blank(*(tuple(name for name, at in levels.items() if at == end) for end in ends))


def degenerate(
    against: AgainstTrivial, blank: Blank, classes: Sequence[str], *, low: float = math.nan, high: float = math.nan
) -> tuple[str, ...]:
    """What makes a result look like one that it is not, one line each; nothing of a sound one.

    Args:
        blank: its masks that are all alike.
        classes: all that have a mask.
        low, high: 95 % interval of the value; NaN where there is none.
    """
    notes = []
    if blank.everything:
        notes.append(
            f"at the mask threshold{_of(blank.everything, classes)} the whole picture is taken, in every image"
        )
    if blank.nothing:
        notes.append(f"at the mask threshold{_of(blank.nothing, classes)} nothing is taken, in any image")
    name, trivial = against.metric, f"{against.trivial:.4f}"
    than = "above" if against.direction == "maximize" else "below"
    worse = against.no_better
    if not against.better:
        notes.append(f"{name} {against.value:.4f} is not {than} the {trivial} of a mask of the whole picture")
    elif low - NEAR <= against.trivial <= high + NEAR:
        notes.append(
            f"the 95% interval of {name}, {low:.4f} to {high:.4f}, includes the {trivial} of a mask of the whole"
            " picture: these images cannot tell the two apart"
        )
    if worse and len(against.by_class) > 1:
        notes.append(f"{name} is not {than} that of a mask of the whole picture in {_list(worse, [*against.by_class])}")
    return tuple(notes)


def _better(value: float, trivial: float, direction: Direction) -> bool:
    return value > trivial + NEAR if direction == "maximize" else value < trivial - NEAR


def _of(names: Sequence[str], known: Sequence[str]) -> str:
    return "" if len(names) == len(known) else f" of {_list(names, known)}"


def _list(names: Sequence[str], known: Sequence[str], most: int = 5) -> str:
    """``a, b, c, d, e and 3 others of 12 classes``."""
    if len(names) == len(known):
        return f"all of {len(known)} classes"
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} others of {len(known)} classes"
