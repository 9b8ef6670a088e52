"""YAML whose every part knows its file and line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from raysearch.errors import SpaceError, nearest

_LIMIT = 1 << 20
"""Characters of a file: a search space has a few thousand."""


_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "bool", "int", "float", "null", "seq", "map")}


class _Loader(yaml.SafeLoader):
    """Plain scalars as in YAML 1.2: ``1e-3`` is a number, ``no`` and ``12:30`` are text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own attribute


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    # the first resolver that fits wins: integers come before floats
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))


@dataclass(frozen=True)
class Node:
    """A part of a YAML file."""

    file: str
    raw: yaml.Node

    @property
    def origin(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.raw.start_mark.line + 1}"

    def fail(self, message: str) -> NoReturn:
        raise SpaceError(f"{self.origin}: {message}")

    def items(self, what: str) -> dict[str, Node]:
        """Keys and values of a mapping; SpaceError if it is none, or if a key is repeated."""
        if not isinstance(self.raw, yaml.MappingNode):
            self.fail(f"{what} is {_word(self.raw)}, expected a mapping of names to values")
        out: dict[str, Node] = {}
        for key, value in self.raw.value:
            name = Node(self.file, key).value()
            if not isinstance(name, str):
                Node(self.file, key).fail(f"{what} has the key {name!r}, expected a name")
            if name in out:
                Node(self.file, key).fail(f"{name} is given twice (first at {out[name].origin}); leave out one")
            out[name] = _At(self.file, value, key.start_mark.line)
        return out

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.raw, yaml.MappingNode)

    def value(self) -> Any:
        """A scalar, or a flat list of scalars."""
        parts = self.raw.value if isinstance(self.raw, yaml.SequenceNode) else [self.raw]
        for part in parts:
            if not isinstance(part, yaml.ScalarNode) or part.tag not in _TAGS:
                Node(self.file, part).fail(f"{_word(part)} found, expected a value or a flat list of values")
        try:
            return _Loader("").construct_object(self.raw, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            self.fail(f"not a value: {' '.join(str(error).split())}")


@dataclass(frozen=True)
class _At(Node):
    """A value that stands at the line of its key."""

    line: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line + 1}"


def read(text: str, file: str) -> Node:
    """Parses a file; SpaceError with the line if it is not YAML or empty."""
    if len(text) > _LIMIT:
        raise SpaceError(f"{file}: {len(text)} characters are too many for a search space, at most {_LIMIT}")
    try:
        raw = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}" if mark else file
        raise SpaceError(
            f"{place}: not YAML: {error.problem or error.context}; check indentation and brackets"
        ) from None
    except yaml.YAMLError as error:
        raise SpaceError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SpaceError(f"{file}: not a search space: brackets nest too deep") from None
    if raw is None:
        raise SpaceError(f"{file}: the file is empty, expected a search space")
    return Node(file, raw)


def scalar(text: str) -> Any:
    """A value typed on the command line, as it would be read in a file; text without quotes around it stays as it is,
    also where a file would end it at a ``#``."""
    bare = text.strip()
    try:
        value = yaml.load(bare, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):  # of numbers with thousands of digits, of nested brackets
        return bare
    if isinstance(value, str):
        return value if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"" else bare
    return value if value is None or isinstance(value, bool | int | float | list | dict) else bare


def check_keys(nodes: dict[str, Node], known: list[str], what: str) -> None:
    """SpaceError for the first key that is not known."""
    for name, node in nodes.items():
        if name not in known:
            node.fail(f"unknown {what} '{name}'; {nearest(name, known)}")


def _word(node: yaml.Node) -> str:
    if node.tag not in _TAGS:
        return f"the tag {node.tag}"
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value)
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
