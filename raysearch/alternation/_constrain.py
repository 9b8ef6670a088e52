"""Domains and constraints of loss thresholds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raysearch.errors import MethodError

if TYPE_CHECKING:
    from raysearch.method import LossThreshold

Thresholds = dict[str, dict[str, float]]
"""Value of each loss threshold (by name) of each class (by name)."""

GAP = 1e-4
"""Least distance of a threshold from the one that it stays under: less than a cell of a grid of 100 by 100."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a round of weight training.

    Attributes:
        thresholds: that it trained under.
        value: localization after it, the larger the better; NaN if it has no value.
        kept: whether the next round built on it.
    """

    thresholds: Thresholds
    value: float
    kept: bool


def constrain(
    thresholds: Mapping[str, Mapping[str, float]], specs: Sequence[LossThreshold], classes: Sequence[str]
) -> Thresholds:
    """The thresholds moved into their domains, and strictly under those that they stay below, class by class.

    Values that fit are not touched. One that does not goes to the nearest end of its domain, and where it stays below
    another one to `GAP` under that; the other one is raised only where the domains leave no room under it.

    Raises:
        ValueError: a value is NaN, or no values can satisfy the domains.
    """
    floors = {spec.name: _floor(spec, specs) for spec in specs}
    by_name = {spec.name: spec for spec in specs}

    def settle(spec: LossThreshold, label: str) -> float:
        value, low = float(thresholds[spec.name][label]), floors[spec.name]
        above = math.inf if spec.below is None else settle(by_name[spec.below], label)
        if math.isnan(value) or low > spec.high or low >= above:
            raise ValueError(
                f"{spec.name} of {label}: {value:g} cannot be put into [{low:g}, {min(spec.high, above):g}]"
            )
        if low <= value <= spec.high and value < above:
            return value
        return min(max(value, low), spec.high, max(above - GAP, low))

    return {spec.name: {label: settle(spec, label) for label in classes} for spec in specs}


def _floor(spec: LossThreshold, specs: Sequence[LossThreshold]) -> float:
    """The least value that leaves room for all that stay below."""
    return max([spec.low, *(_floor(other, specs) + GAP for other in specs if other.below == spec.name)])


def check_thresholds(
    thresholds: Mapping[str, Mapping[str, float]], specs: Sequence[LossThreshold], classes: Sequence[str]
) -> None:
    """MethodError, one line, unless every threshold has a value in its domain for every class, under those that it
    stays below."""
    for spec in specs:
        values = thresholds.get(spec.name, {})
        if set(values) != set(classes):
            found = ", ".join(values) or "none"
            raise MethodError(f"{spec.name}: values of {found}; expected one for each of {', '.join(classes)}")
        for label in classes:
            value = values[label]
            if not spec.low <= value <= spec.high:  # written so that NaN fails it
                raise MethodError(
                    f"{spec.name} of {label} is {value:g}; expected a number in [{spec.low:g}, {spec.high:g}]: "
                    f"set another with --fix {spec.name}=VALUE"
                )
    for spec in specs:
        for label in classes if spec.below is not None else ():
            value, above = thresholds[spec.name][label], thresholds[str(spec.below)][label]
            if value >= above:
                raise MethodError(
                    f"{spec.name} of {label} is {value:g}, not under {spec.below} ({above:g}): "
                    f"lower it with --fix {spec.name}=VALUE, or raise {spec.below}"
                )
