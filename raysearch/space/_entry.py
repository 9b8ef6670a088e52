"""One entry of a search-space file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from raysearch.errors import nearest
from raysearch.space._domain import TYPES, Choice, Domain, FloatRange, IntRange
from raysearch.space._parameter import Kind, Parameter, settled
from raysearch.space._types import Value, conform, field_types, takes_mapping
from raysearch.space._yaml import Node, check_keys

if TYPE_CHECKING:
    from raysearch.method import Method

_FIXED = ["value", "source"]
_RANGE = ["type", "low", "high", "step", "log", "default", "when", "per_class", "fraction_of", "source"]
_CHOICE = ["type", "choices", "default", "when", "per_class", "source"]


def setting_types(method: type[Method]) -> dict[str, Any]:
    """Every name that a search space of the method may hold, with its type: settings, then decision thresholds."""
    return field_types(method.Config) | dict.fromkeys(method.decision_thresholds, float)


def expected_kind(method: type[Method], name: str, kind: Kind) -> Kind:
    """The kind that a name must have: `kind` unless it is a threshold, or claims to be one."""
    if name in method.decision_thresholds:
        return "decision"
    if any(name == threshold.name for threshold in method.loss_thresholds):
        return "loss"
    return "train" if kind in ("decision", "loss") else kind


def parse_entry(name: str, kind: Kind, node: Node, method: type[Method]) -> Parameter:
    """Reads the entry of one name; SpaceError with its line for anything that cannot be meant."""
    hints = setting_types(method)
    if name not in hints:
        node.fail(f"unknown parameter '{name}' of {method.name}; {nearest(name, hints)}")
    right = expected_kind(method, name, kind)
    if right != kind:
        node.fail(f"{name} is listed under '{kind}', but {method.name} has it as '{right}'; move it there")
    items = node.items(name)
    if "value" in items:
        check_keys(items, _FIXED, f"key of the fixed parameter {name}:")
        value = _conform(items["value"], name, hints[name])
        return Parameter(name=name, kind=kind, default=value, source=_source(items), origin=node.origin)
    if "type" not in items:
        node.fail(f"{name} has neither 'value' (fixed) nor 'type' (searched: {', '.join(TYPES)}); add one of them")
    type_name = items["type"].value()
    if type_name not in TYPES:
        items["type"].fail(f"unknown type '{type_name}' of {name}; {nearest(str(type_name), TYPES)}")
    check_keys(items, _CHOICE if type_name == "choice" else _RANGE, f"key of {name} ({type_name}):")
    domain = _domain(name, type_name, items, node, hints[name])
    if "default" not in items:
        node.fail(f"{name} has no default; add 'default', the value it has where it is not searched")
    default = as_sampled(_conform(items["default"], name, hints[name]), domain)
    if isinstance(default, Mapping):
        items["default"].fail(f"default of {name} is a mapping, expected one value; by class it can only be fixed")
    if not domain.contains(default):
        items["default"].fail(f"default {default} of {name} is outside {domain}; widen the range or change the default")
    if kind == "decision" and not (isinstance(domain, FloatRange) and domain.low >= 0 and domain.high <= 1):
        node.fail(f"{name} is a decision threshold, expected type float within [0, 1]")
    per_class = _flag(items, "per_class")
    if per_class and kind != "decision" and not (kind == "loss" and takes_mapping(hints[name])):
        items["per_class"].fail(f"per_class of {name}: only thresholds can differ by class, and this one cannot")
    parameter = Parameter(
        name=name,
        kind=kind,
        default=default,
        domain=domain,
        when=_when(items["when"], hints) if "when" in items else {},
        per_class=per_class,
        fraction_of=_fraction_of(items["fraction_of"], name, domain, hints) if "fraction_of" in items else None,
        source=_source(items),
        origin=node.origin,
    )
    return settled(parameter)


def _domain(name: str, type_name: str, items: Mapping[str, Node], node: Node, hint: Any) -> Domain:
    needed = ["choices"] if type_name == "choice" else ["low", "high"]
    for key in needed:
        if key not in items:
            node.fail(f"{name} is searched as {type_name} but has no '{key}'; add it, or fix it with 'value'")
    try:
        if type_name == "choice":
            choices = items["choices"].value()
            if not isinstance(choices, list):
                items["choices"].fail(f"choices of {name} is {choices!r}, expected a list such as [1, 2]")
            return Choice(choices=tuple(conform(choice, hint) for choice in choices))  # type: ignore[misc]
        number: Any = float if type_name == "float" else int
        low, high = (conform(items[key].value(), number) for key in needed)
        step = conform(items["step"].value(), number) if "step" in items else None
        log = _flag(items, "log")
        # a range of floats may stand where a float fits, one of whole numbers also where an int does
        conform(0.5 if type_name == "float" else 1, hint)
        return make_range(type_name, low, high, step, log)
    except ValueError as error:
        node.fail(f"{name}: {error}")


def as_sampled(value: Value, domain: Domain) -> Value:
    """The value in the type that the domain gives: a setting may tell 1 from 1.0, and a range of floats has 1.0."""
    return float(value) if isinstance(domain, FloatRange) and isinstance(value, int) else value


def make_range(type_name: str, low: Any, high: Any, step: Any, log: bool) -> FloatRange | IntRange:
    """A range of the named type; ValueError if its parts contradict each other."""
    if type_name == "float":
        return FloatRange(low=float(low), high=float(high), step=step if step is None else float(step), log=log)
    return IntRange(low=low, high=high, step=1 if step is None else step, log=log)


def _conform(node: Node, name: str, hint: Any) -> Value:
    if takes_mapping(hint) and node.is_mapping:
        value: Any = {key: item.value() for key, item in node.items(name).items()}
    else:
        value = node.value()
    try:
        return conform(value, hint)
    except ValueError as error:
        node.fail(f"{name}: {error}")


def _when(node: Node, hints: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    out = {}
    for parent, values in node.items("when").items():
        if parent not in hints:
            values.fail(f"when: unknown parameter '{parent}'; {nearest(parent, hints)}")
        found = values.value()
        found = found if isinstance(found, list) else [found]
        if not found:
            values.fail(f"when: {parent} has no value to hold for; name one or more")
        try:
            out[parent] = tuple(conform(value, hints[parent]) for value in found)
        except ValueError as error:
            values.fail(f"when: {parent}: {error}")
    return out


def _fraction_of(node: Node, name: str, domain: Domain, hints: Mapping[str, Any]) -> str:
    other = node.value()
    if other not in hints:
        node.fail(f"fraction_of of {name}: unknown parameter '{other}'; {nearest(str(other), hints)}")
    if not isinstance(domain, FloatRange) or domain.low < 0 or domain.high > 1:
        node.fail(f"{name} is a fraction of {other}, expected type float within [0, 1], found {domain}")
    return str(other)


def _flag(items: Mapping[str, Node], key: str) -> bool:
    if key not in items:
        return False
    value = items[key].value()
    if not isinstance(value, bool):
        items[key].fail(f"{key} is {value!r}, expected true or false")
    return value


def _source(items: Mapping[str, Node]) -> str:
    if "source" not in items:
        return ""
    value = items["source"].value()
    if not isinstance(value, str):
        items["source"].fail(f"source is {value!r}, expected text")
    return value
