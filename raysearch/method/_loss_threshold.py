"""Thresholds inside a loss. Needs no torch: whoever only thinks about thresholds must not pay for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

PerClass = float | Mapping[str, float]
"""A number for all classes, or one by class name: what a loss threshold in a `Config` may be."""


def by_class(value: PerClass, classes: Sequence[str]) -> tuple[float, ...]:
    """A number for each class, in their order; ValueError if a class has none or is not one of `classes`."""
    if not isinstance(value, Mapping):
        return (float(value),) * len(classes)
    if set(value) != set(classes):
        raise ValueError(f"thresholds of {', '.join(value)}: expected one for each of {', '.join(classes)}")
    return tuple(float(value[name]) for name in classes)


@dataclass(frozen=True, kw_only=True)
class LossThreshold:
    """A constant inside the loss that says how large or how small a region has to be. It is no weight and no decision
    threshold: another value costs more training, and the weights may be kept.

    Attributes:
        name: field of the `Config`, of type `PerClass`.
        low, high: its domain, both ends included.
        bounds: what the loss compares it with, all shares in [0, 1] of the cells of `Prediction.grid`: ``inside`` (at
            least this mean of the map inside a known region), ``outside`` (at most this mean outside it), ``present``
            (at least this mean over the image where the class is present), ``absent`` (at most this mean where it is
            not). None for anything else, which only the proposer ``search`` can move.
        below: name of another loss threshold that it stays under, class by class.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    bounds: Literal["inside", "outside", "present", "absent"] | None = None
    below: str | None = None
