"""Changes of a search space on the command line: ``--set NAME=SPEC`` searches, ``--fix NAME=VALUE`` fixes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raysearch.errors import SpaceError, nearest
from raysearch.space._domain import Choice, Domain
from raysearch.space._entry import as_sampled, make_range, setting_types
from raysearch.space._fraction import default_of
from raysearch.space._parameter import Parameter, settled
from raysearch.space._quoted import Field, split_at_commas
from raysearch.space._types import Value, conform
from raysearch.space._yaml import scalar

if TYPE_CHECKING:
    from raysearch.method import Method

_SPEC = "NAME=log:LOW:HIGH, NAME=float:LOW:HIGH[:STEP], NAME=int:LOW:HIGH[:STEP] or NAME=choice:A,B"


def apply_overrides(
    parameters: Mapping[str, Parameter], sets: Iterable[str], fixes: Iterable[str], method: type[Method]
) -> dict[str, Parameter]:
    """Parameters after ``--set`` and ``--fix``; kind and condition stay.

    A newly searched parameter keeps its default if the new range holds it, else gets the nearest value of the range,
    or the first choice. A number typed here is the value itself, also where the file has a fraction.

    Raises:
        SpaceError: one line that names the option.
    """
    out = dict(parameters)
    seen: dict[str, str] = {}
    hints = setting_types(method)
    for option, texts in (("--set", sets), ("--fix", fixes)):
        for text in texts:
            said = f"{option} {text}"
            name, equals, spec = text.partition("=")
            if not equals or not spec:
                raise SpaceError(f"{said}: expected {_SPEC if option == '--set' else 'NAME=VALUE'}")
            if name not in out:
                raise SpaceError(f"{said}: unknown parameter '{name}' of {method.name}; {nearest(name, out)}")
            if name in seen:
                raise SpaceError(f"{said}: {seen[name]} already says what {name} is; leave out one")
            seen[name] = said
            try:
                stated = replace(out[name], default=default_of(out, name), fraction_of=None)
                out[name] = (_searched if option == "--set" else _fixed)(stated, spec, hints[name])
            except ValueError as error:
                raise SpaceError(f"{said}: {error}") from None
            out[name] = replace(out[name], source="the command line", origin=said)
    return out


def _fixed(parameter: Parameter, text: str, hint: Any) -> Parameter:
    value = typed(text, hint)
    if parameter.kind == "decision" and not 0 <= float(value) <= 1:  # type: ignore[arg-type]
        raise ValueError(f"{value} is no decision threshold, expected a number in [0, 1]")
    return replace(parameter, default=value, domain=None, when={}, per_class=False)


def _searched(parameter: Parameter, spec: str, hint: Any) -> Parameter:
    form, _, rest = spec.partition(":")
    domain = _domain(form, rest, hint)
    if parameter.kind == "decision" and (isinstance(domain, Choice) or domain.low < 0 or domain.high > 1):
        raise ValueError("a decision threshold is searched within float:0:1")
    default = parameter.default
    if not domain.contains(default):
        number = isinstance(default, int | float) and not isinstance(default, bool)
        if isinstance(domain, Choice):
            default = domain.choices[0]
        else:
            default = domain.nearest(float(default)) if number else domain.low  # type: ignore[arg-type]
    return settled(replace(parameter, default=as_sampled(default, domain), domain=domain))


def _domain(form: str, rest: str, hint: Any) -> Domain:
    if form == "choice":
        return Choice(choices=tuple(_chosen(field, hint) for field in split_at_commas(rest)))  # type: ignore[misc]
    parts = [scalar(part) for part in rest.split(":")]
    if form not in ("log", "float", "int") or not 2 <= len(parts) <= (2 if form == "log" else 3):
        raise ValueError(f"expected {_SPEC}")
    whole = form == "int" or (form == "log" and hint is int)
    low, high, *step = (conform(part, int if whole else float) for part in parts)
    conform(1 if whole else 0.5, hint)
    return make_range("int" if whole else "float", low, high, step[0] if step else None, form == "log")


def _chosen(field: Field, hint: Any) -> Value:
    """One choice: text as it is if it is quoted and the setting may be text, else as `typed`."""
    try:
        if field.quoted:
            return conform(field.text, hint)
    except ValueError:
        pass
    return typed(field.text, hint)


def typed(text: str, hint: Any) -> Value:
    """A value typed on the command line: what a file would hold, or the text itself where the setting is text.

    Raises:
        ValueError: it is not of the type.
    """
    try:
        return conform(scalar(text), hint)
    except ValueError:
        try:
            return conform(text, hint)
        except ValueError:
            pass
        raise
