"""A result beside what every map gives at its lowest level, a mask of the whole picture: a model has to be better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from raysearch.thresholds._average import class_values, entering, statistics_at
from raysearch.thresholds._quantise import LEVELS, level
from raysearch.thresholds._registry import find_metric

if TYPE_CHECKING:
    from raysearch.thresholds._average import ClassValues
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


def degenerate(
    against: AgainstTrivial,
    thresholds: Mapping[str, float],
    *,
    low: float = float("nan"),
    high: float = float("nan"),
) -> tuple[str, ...]:
    """What makes a result look like one that it is not, one line each; nothing of a sound one.

    Args:
        thresholds: of masks, by class.
        low, high: 95 % interval of the value; NaN where there is none.
    """
    levels = {name: level(value) for name, value in thresholds.items()}
    everything = [name for name, at in levels.items() if at == EVERYTHING]
    nothing = [name for name, at in levels.items() if at == LEVELS - 1]
    notes = []
    if everything:
        notes.append(f"the mask threshold{_of(everything, levels)} is 0: every pixel is masked, whatever the map says")
    if nothing:
        notes.append(f"the mask threshold{_of(nothing, levels)} is above 1: no pixel is masked, whatever the map says")
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
        notes.append(f"{name} is not {than} that of a mask of the whole picture in {_list(worse, against.by_class)}")
    return tuple(notes)


def _better(value: float, trivial: float, direction: Direction) -> bool:
    return value > trivial + NEAR if direction == "maximize" else value < trivial - NEAR


def _of(names: list[str], known: Mapping[str, object]) -> str:
    return "" if len(names) == len(known) else f" of {_list(names, known)}"


def _list(names: Iterable[str], known: Mapping[str, object], most: int = 5) -> str:
    """``a, b and 3 others of 12 classes``."""
    found = list(names)
    if len(found) == len(known):
        return f"all of {len(known)} classes"
    shown = ", ".join(found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} others of {len(known)} classes"
