"""What a searched parameter may be: a range of floats or integers, or a choice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from raysearch.space._decimal import nearest_on_grid, on_grid
from raysearch.space._types import Scalar, same

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


LARGEST = 1e300
"""End of a range of floats, at most: of two that are twice as far apart as floats reach, the width overflows."""

SMALLEST = 1e-300
"""Width of a range of floats, or its lower end on a logarithmic scale, at least: below it floats lose their digits."""

FINEST = 1e-7
"""Step of a range of floats, at least, as a share of its larger end: Optuna takes a finer one's own values for values
beside its grid."""

LARGEST_WHOLE = 2**53
"""End of a range of whole numbers, at most: Optuna keeps what is drawn as a float, which tells no larger ones apart."""

MOST_CHOICES = 10_000


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
        _check_floats(self.low, self.high, self.step, self.log)
        _check_step(self.low, self.high, self.step)

    @property
    def single(self) -> bool:
        """Whether it holds one value alone."""
        return self.low == self.high

    def contains(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        return self.step is None or on_grid(value, self.low, self.step)

    def nearest(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return inside if self.step is None else nearest_on_grid(inside, self.low, self.step)

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
        step = None if self.step == 1 else self.step
        for part, value in (("low", self.low), ("high", self.high), ("step", self.step)):
            if abs(value) > LARGEST_WHOLE:
                raise ValueError(
                    f"{part} is {value}, expected a whole number from -{LARGEST_WHOLE} to {LARGEST_WHOLE}; search a"
                    " smaller range, or its exponent"
                )
        _check_range(self.low, self.high, step, self.log)
        _check_step(self.low, self.high, step)

    @property
    def single(self) -> bool:
        """Whether it holds one value alone."""
        return self.low == self.high

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
        if len(self.choices) > MOST_CHOICES:
            raise ValueError(f"choices has {len(self.choices)} values, expected at most {MOST_CHOICES}")
        seen = set()
        for one in self.choices:
            if not isinstance(one, None | bool | int | float | str):
                raise ValueError(f"{one!r} cannot be searched: a choice is text, a number, true, false or null")
            key = isinstance(one, bool), one  # True is not 1 here, but equal to it
            if key in seen:
                raise ValueError(f"choices names {one!r} twice")
            seen.add(key)

    @property
    def single(self) -> bool:
        """Whether it holds one value alone."""
        return len(self.choices) == 1

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


def check_drawable(distribution: BaseDistribution) -> None:
    """ValueError if one of Optuna's distributions is a range that could not be searched here."""
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(distribution, FloatDistribution | IntDistribution):
        kind: Any = FloatRange if isinstance(distribution, FloatDistribution) else IntRange
        kind(low=distribution.low, high=distribution.high, step=distribution.step, log=distribution.log)


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


def _check_floats(low: float, high: float, step: float | None, log: bool) -> None:
    """Ranges within which floats, and those who draw from them, keep their digits."""
    for end, value in (("low", low), ("high", high)):
        if abs(value) > LARGEST:
            raise ValueError(
                f"{end} is {value:g}, expected numbers from {-LARGEST:g} to {LARGEST:g}; search a smaller range"
            )
    if log and low < SMALLEST:
        raise ValueError(f"low is {low:g} on a logarithmic scale, expected at least {SMALLEST:g}; write a larger one")
    if 0 < high - low < SMALLEST:
        raise ValueError(
            f"low is {low:g} and high {high:g}, expected them at least {SMALLEST:g} apart; search a wider range"
        )
    finest = FINEST * max(abs(low), abs(high))
    if step is not None and 0 < step < finest:
        raise ValueError(
            f"step is {step:g}, too fine for numbers up to {max(abs(low), abs(high)):g}; write at least {finest:g}, or"
            " leave out the step"
        )


def _check_step(low: float, high: float, step: float | None) -> None:
    if step is not None and not on_grid(high, low, step):
        raise ValueError(f"high is {high:g}, expected low plus a multiple of step: {low:g} + n x {step:g}")


def _range_text(low: float, high: float, step: float | None, log: bool) -> str:
    extra = f" step {step:g}" if step is not None else " log" if log else ""
    return f"[{low:g}, {high:g}]{extra}"
