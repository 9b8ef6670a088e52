"""Whether a value fits the type of a `Config` field: typos in names of choices are found before a trial starts."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

Scalar = None | bool | int | float | str
"""What a choice may be, as in Optuna."""

Value = Scalar | tuple[Scalar, ...] | Mapping[str, float]
"""What a setting may be; a mapping is by class."""

Numbers = float | Mapping[str, float]
"""A number, or one by class."""


def field_types(config: type[Any]) -> dict[str, Any]:
    """Name and type of every field of a dataclass, in order."""
    hints = get_type_hints(config, include_extras=True)
    return {field.name: hints[field.name] for field in fields(config)}


def field_defaults(config: type[Any]) -> dict[str, Any]:
    """Defaults of the fields that have one."""
    out = {}
    for field in fields(config):
        if field.default is not MISSING:
            out[field.name] = field.default
        elif field.default_factory is not MISSING:
            out[field.name] = field.default_factory()
    return out


def conform(value: Any, hint: Any) -> Value:
    """The value as the field takes it (a list becomes a tuple, the path of a `NameOrPath` an absolute one); a whole
    number stands for a float as it is written.

    Raises:
        ValueError: "<value> (<type>), expected <type of the field>".
    """
    if hint is Any:
        return value  # type: ignore[no-any-return]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        value = conform(value, args[0])
        return _absolute(value) if may_be_path(hint) and isinstance(value, str) else value
    if origin in (Union, types.UnionType):
        for arm in args:
            try:
                return conform(value, arm)
            except ValueError:
                continue
    elif origin is Literal:
        for choice in args:
            if same(value, choice):
                return value  # type: ignore[no-any-return]
    elif origin is tuple and isinstance(value, list | tuple):
        arms = [args[0]] * len(value) if len(args) == 2 and args[1] is Ellipsis else args
        if len(arms) == len(value):
            return tuple(conform(item, arm) for item, arm in zip(value, arms, strict=True))  # type: ignore[misc]
    elif origin is Mapping and isinstance(value, Mapping):
        return {conform(name, args[0]): conform(item, args[1]) for name, item in value.items()}  # type: ignore[misc]
    elif _is_plain(value, hint):
        return value  # type: ignore[no-any-return]
    raise ValueError(f"{value!r} is {_kind(value)}, expected {describe(hint)}")


def takes_mapping(hint: Any) -> bool:
    """Whether a field of this type may hold a value by class."""
    return get_origin(hint) is Mapping or any(takes_mapping(arm) for arm in get_args(hint))


def may_be_path(hint: Any) -> bool:
    """Whether a field is of the type `NameOrPath`."""
    return get_origin(hint) is Annotated and Path in get_args(hint)


def _absolute(text: str) -> str:
    """A path made absolute; a word, which has neither suffix nor separator, stays."""
    return os.path.abspath(os.path.expanduser(text)) if Path(text).suffix or os.sep in text else text


def text_of(value: Value) -> str:
    """A value for people: ``0.5``, ``heart: 0.1, nodule: 0.02``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {item}" for name, item in value.items())
    return str(value)


def _is_plain(value: Any, hint: Any) -> bool:
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and not _too_large(value)
    if hint in (None, types.NoneType):
        return value is None
    return hint in (bool, str) and isinstance(value, hint)


def _too_large(value: int) -> bool:
    """Whether it has more than 64 bits."""
    return not -(2**63) <= value < 2**63


def same(one: Any, other: Any) -> bool:
    """Equality that tells ``True`` from 1, as `==` does not."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def describe(hint: Any) -> str:
    """A type in words: ``a number``, ``one of default, literal, released``."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return "a name or the path of a file" if may_be_path(hint) else describe(args[0])
    if origin in (Union, types.UnionType):
        return " or ".join(describe(arm) for arm in args)
    if origin is Literal:
        return "one of " + ", ".join(map(str, args))
    if origin is tuple:
        arm = describe(args[0])
        return f"a list, each {arm}" if args[-1] is Ellipsis else f"a list of {len(args)}, each {arm}"
    if origin is Mapping:
        return f"a mapping by class, each {describe(args[1])}"
    words = {float: "a finite number", int: "a whole number", bool: "true or false", str: "text"}
    return words.get(hint, "null" if hint in (None, types.NoneType) else str(hint))


def _kind(value: Any) -> str:
    kinds: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, int) and _too_large(value):
        return "a whole number of more than 64 bits"
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
