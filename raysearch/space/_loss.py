"""Whether a search space keeps the thresholds inside a method's loss where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from raysearch.errors import SpaceError
from raysearch.space._check import extremes
from raysearch.space._parameter import Parameter

if TYPE_CHECKING:
    from raysearch.method import Method

Span = tuple[float, float]


def check_loss_thresholds(parameters: Mapping[str, Parameter], method: type[Method]) -> None:
    """Every loss threshold stays in its domain, and under the one that it has to stay under, whatever is drawn.

    Args:
        parameters: complete, every fraction that of a number.

    Raises:
        SpaceError: a value or an end of a range is outside the domain, or two ranges meet.
    """
    for spec in method.loss_thresholds:
        parameter = parameters[spec.name]
        for label in _labels(parameters, [spec.name]):
            low, high = _span(parameters, spec.name, label)
            for value in (low, high):
                if not spec.low <= value <= spec.high:
                    raise SpaceError(
                        f"{parameter.origin}: {spec.name} may become {value:g}, outside the domain"
                        f" [{spec.low:g}, {spec.high:g}] of this loss threshold; narrow it"
                    )
        if spec.below is not None:
            _check_below(parameters, parameter, spec.below)


def _check_below(parameters: Mapping[str, Parameter], parameter: Parameter, upper: str) -> None:
    for label in _labels(parameters, [parameter.name, upper]):
        low, _ = _span(parameters, upper, label)
        if parameter.fraction_of == upper:
            # the two move together: only a fraction of 1, or of nothing, is not under the whole
            apart = max(_numbers(parameter, label)) < 1 and low > 0
            remedy = f"search {upper} above 0 and {parameter.name} as a fraction below 1"
        else:
            apart = _span(parameters, parameter.name, label)[1] < low
            remedy = f"narrow one of them, or search {parameter.name} with 'fraction_of: {upper}' in a file"
        if not apart:
            high = _span(parameters, parameter.name, label)[1]
            raise SpaceError(
                f"{parameter.origin}: {parameter.name} may become {high:g} and {upper} {low:g}, but it has to stay"
                f" under {upper}; {remedy}"
            )


def _labels(parameters: Mapping[str, Parameter], names: Iterable[str]) -> list[str]:
    """Classes that differ in one of the parameters; one empty label if none does."""
    return sorted({label for name in names for label in _own_labels(parameters, name)}) or [""]


def _own_labels(parameters: Mapping[str, Parameter], name: str) -> Iterator[str]:
    default, whole = parameters[name].default, parameters[name].fraction_of
    if isinstance(default, Mapping):
        yield from default
    if whole is not None:
        yield from _own_labels(parameters, whole)


def _span(parameters: Mapping[str, Parameter], name: str, label: str) -> Span:
    """Smallest and largest number that a parameter may become for a class."""
    numbers, whole = _numbers(parameters[name], label), parameters[name].fraction_of
    if whole is not None:
        numbers = [number * end for number in numbers for end in _span(parameters, whole, label)]
    return min(numbers), max(numbers)


def _numbers(parameter: Parameter, label: str) -> list[float]:
    """Default and both ends of a range, or every choice, as they are written."""
    values = (parameter.default, *extremes(parameter))
    return [_of(value, label) for value in values]


def _of(value: object, label: str) -> float:
    if isinstance(value, Mapping):
        # a class that only the other of two parameters names is reported once the classes are known
        return float(value[label] if label in value else next(iter(value.values())))
    assert isinstance(value, int | float)
    return value
