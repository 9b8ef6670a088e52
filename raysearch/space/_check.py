"""What can only be said of a search space as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from raysearch.errors import SpaceError, nearest
from raysearch.space._domain import Choice
from raysearch.space._entry import expected_kind
from raysearch.space._fraction import apply_fractions
from raysearch.space._parameter import Parameter, is_switch, threshold_parameter
from raysearch.space._types import Numbers, Value, conform, describe, field_defaults, field_types, same

if TYPE_CHECKING:
    from raysearch.method import Method


def complete(parameters: Mapping[str, Parameter], method: type[Method], file: str) -> dict[str, Parameter]:
    """Adds what no file mentions: settings at their defaults, decision thresholds over [0, 1].

    Raises:
        SpaceError: a setting without a default is not mentioned.
    """
    out = dict(parameters)
    defaults = field_defaults(method.Config)
    for name, hint in field_types(method.Config).items():
        if name in out:
            continue
        if name not in defaults:
            raise SpaceError(
                f"{file}: '{name}' ({describe(hint)}) of {method.name} has no default and no entry; add one, for "
                f"example under train: '{name}: {{value: ..., source: ...}}'"
            )
        kind = expected_kind(method, name, "train")
        out[name] = Parameter(name=name, kind=kind, default=defaults[name], source="the method", origin=file)
    for name, default in method.decision_thresholds.items():
        out.setdefault(name, threshold_parameter(name, default, file))
    return out


def parents_first(parameters: Mapping[str, Parameter]) -> tuple[str, ...]:
    """Names in an order in which every condition, and what a fraction is of, is known before it is needed, otherwise as
    given.

    Raises:
        SpaceError: a condition names an unknown parameter, one that is neither a choice nor fixed, a value that it
            cannot have, or leads back to itself; a fraction is of an unknown parameter, of no number, or of itself.
    """
    done: dict[str, bool] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if done.get(name):
            return
        parameter = parameters[name]
        if name in path:
            circle = (*path[path.index(name) :], name)
            key = "fraction_of" if any(parameters[n].fraction_of == m for n, m in pairwise(circle)) else "when"
            raise SpaceError(
                f"{parameter.origin}: {name}: its '{key}' leads back to itself ({' -> '.join(circle)});"
                " break the circle"
            )
        for parent, values in parameter.when.items():
            _check_condition(parameter, parent, values, parameters)
            visit(parent, (*path, name))
        if parameter.fraction_of is not None:
            _check_fraction(parameter, parameter.fraction_of, parameters)
            visit(parameter.fraction_of, (*path, name))
        done[name] = True

    for name in parameters:
        visit(name, ())
    return tuple(done)


def _check_condition(
    parameter: Parameter, parent: str, values: tuple[Value, ...], parameters: Mapping[str, Parameter]
) -> None:
    where = f"{parameter.origin}: {parameter.name}: when {parent}"
    if parent not in parameters:
        raise SpaceError(f"{where}: unknown parameter; {nearest(parent, parameters)}")
    other = parameters[parent]
    if not is_switch(other) or other.per_class:
        raise SpaceError(
            f"{where}: {parent} is searched over {other.domain}; a condition needs a choice or a fixed value"
        )
    if isinstance(other.domain, Choice) and not other.origin.startswith("--"):  # which may narrow what a file has
        for value in values:
            if not other.domain.contains(value):
                raise SpaceError(f"{where} is {value}: {parent} is never that, only one of {other.domain}")


def _check_fraction(parameter: Parameter, whole: str, parameters: Mapping[str, Parameter]) -> None:
    where = f"{parameter.origin}: {parameter.name}: fraction_of {whole}"
    if whole not in parameters:
        raise SpaceError(f"{where}: unknown parameter; {nearest(whole, parameters)}")
    for value in (parameters[whole].default, *extremes(parameters[whole])):
        try:
            conform(value, Numbers)
        except ValueError as error:
            raise SpaceError(f"{where}: {error}; a fraction is of a number") from None


def check_config(parameters: Mapping[str, Parameter], method: type[Method], file: str) -> None:
    """Builds the method's `Config` from the defaults, then with every choice and both ends of every range.

    Raises:
        SpaceError: the method refuses one of them.
    """
    ordered = {name: parameters[name] for name in parents_first(parameters) if parameters[name].kind != "decision"}
    defaults = {name: entry.default for name, entry in ordered.items()}
    refused = _refused(method, apply_fractions(ordered, defaults))
    if refused:
        changed = [entry.origin for entry in parameters.values() if entry.origin.startswith("--")]
        where = ", ".join(changed) or file
        raise SpaceError(f"{where}: {method.name} refuses the values: {refused}; change one of them")
    for name in defaults:
        for value in extremes(parameters[name]):
            values = apply_fractions(ordered, {**defaults, **_enabling(parameters, name), name: value})
            refused = _refused(method, values)
            if refused:
                raise SpaceError(
                    f"{parameters[name].origin}: {name} may become {values[name]}, which {method.name} refuses:"
                    f" {refused}; narrow the search"
                )


def _refused(method: type[Method], values: Mapping[str, Value]) -> str:
    try:
        method.Config(**values)
    except (ValueError, TypeError) as error:
        return " ".join(str(error).split())
    return ""


def extremes(parameter: Parameter) -> Iterator[Value]:
    """Every choice, or both ends of the range, of a searched parameter."""
    if isinstance(parameter.domain, Choice):
        yield from parameter.domain.choices
    elif parameter.domain is not None:
        yield from (parameter.domain.low, parameter.domain.high)


def _enabling(parameters: Mapping[str, Parameter], name: str) -> dict[str, Value]:
    """Values of other parameters under which this one is searched."""
    out: dict[str, Value] = {}
    for parent, values in parameters[name].when.items():
        if not any(same(parameters[parent].default, value) for value in values):
            out |= {**_enabling(parameters, parent), parent: values[0]}
    return out
