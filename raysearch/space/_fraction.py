"""Parameters that are drawn as a fraction of another one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from raysearch.space._parameter import Parameter


def apply_fractions(
    parameters: Mapping[str, Parameter], values: Mapping[str, Any], absolute: Collection[str] = ()
) -> dict[str, Any]:
    """Values in which every fraction has become what it is a fraction of, times itself.

    Args:
        parameters: in an order in which no parameter comes before what it is a fraction of.
        values: a number for each, or one by class: class by class if either of the two is.
        absolute: names whose values are no fractions this time.
    """
    out = dict(values)
    for name, parameter in parameters.items():
        if parameter.fraction_of is not None and name not in absolute:
            out[name] = _times(out[name], out[parameter.fraction_of])
    return out


def default_of(parameters: Mapping[str, Parameter], name: str) -> Any:
    """The default of one parameter, no fraction any more."""
    default, whole = parameters[name].default, parameters[name].fraction_of
    return default if whole is None else _times(default, default_of(parameters, whole))


def _times(fraction: Any, whole: Any) -> Any:
    if not isinstance(fraction, Mapping) and not isinstance(whole, Mapping):
        return fraction * whole
    names = fraction if isinstance(fraction, Mapping) else whole
    return {name: _of(fraction, name) * _of(whole, name) for name in names}


def _of(value: Any, name: str) -> Any:
    return value[name] if isinstance(value, Mapping) else value
