"""What a searched parameter may be: a range of floats or integers, or a choice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from raysearch.space._types import Scalar, same

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class Trial(Protocol):
    """What is asked of an Optuna trial."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class FloatRange:
    """[low, high]; with `step` the values low, low + step, ... high; `log` draws evenly in the logarithm."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, self.step, self.log)

    def contains(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        return self.step is None or _on_grid(value, self.low, self.step)

    def nearest(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def suggest(self, trial: Trial, name: str) -> float:
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution

        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def __str__(self) -> str:
        return _range_text(self.low, self.high, self.step, self.log)


@dataclass(frozen=True, kw_only=True)
class IntRange:
    """Whole numbers low, low + step, ... high, both ends included."""

    low: int
    high: int
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        _check_range(self.low, self.high, None if self.step == 1 else self.step, self.log)

    def contains(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def nearest(self, value: float) -> int:
        inside = min(max(round(value), self.low), self.high)
        return inside - (inside - self.low) % self.step

    def suggest(self, trial: Trial, name: str) -> int:
        return trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.log, step=self.step)

    def __str__(self) -> str:
        return _range_text(self.low, self.high, None if self.step == 1 else self.step, self.log)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of several values without order."""

    choices: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError("choices is empty, expected at least one")
        for place, one in enumerate(self.choices):
            if not isinstance(one, None | bool | int | float | str):
                raise ValueError(f"{one!r} cannot be searched: a choice is text, a number, true, false or null")
            if any(same(one, other) for other in self.choices[:place]):
                raise ValueError(f"choices names {one!r} twice")

    def contains(self, value: object) -> bool:
        return any(same(value, choice) for choice in self.choices)

    def suggest(self, trial: Trial, name: str) -> Scalar:
        return trial.suggest_categorical(name, list(self.choices))  # type: ignore[no-any-return]

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.choices)

    def __str__(self) -> str:
        return "{" + ", ".join(map(str, self.choices)) + "}"


Domain = FloatRange | IntRange | Choice

TYPES: dict[str, type[FloatRange] | type[IntRange] | type[Choice]] = {
    "float": FloatRange,
    "int": IntRange,
    "choice": Choice,
}


def type_name(domain: Domain) -> str:
    """``float``, ``int`` or ``choice``."""
    return next(name for name, kind in TYPES.items() if isinstance(domain, kind))


def _check_range(low: float, high: float, step: float | None, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"low is {low} and high {high}, expected finite numbers")
    if low > high:
        raise ValueError(f"low is {low:g}, above high {high:g}; swap them")
    if log and low <= 0:
        raise ValueError(f"low is {low:g} on a logarithmic scale; expected a number above 0, or leave out log")
    if step is None:
        return
    if log:
        raise ValueError("step and log exclude each other; leave out one")
    if step <= 0:
        raise ValueError(f"step is {step:g}, expected a number above 0")
    if not _on_grid(high, low, step):
        raise ValueError(f"high is {high:g}, expected low plus a multiple of step: {low:g} + n x {step:g}")


def _on_grid(value: float, low: float, step: float) -> bool:
    # in decimals as they are written: in binary 0.3 is no multiple of 0.1
    return (Decimal(str(value)) - Decimal(str(low))) % Decimal(str(step)) == 0


def _range_text(low: float, high: float, step: float | None, log: bool) -> str:
    extra = f" step {step:g}" if step is not None else " log" if log else ""
    return f"[{low:g}, {high:g}]{extra}"
