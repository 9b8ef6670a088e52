"""``KIND:PATH,option=value``: what data is asked for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from raysearch.data.kinds import OptionValue, get_kind
from raysearch.errors import DataError, nearest

_ASSIGNMENT = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class DataSpec:
    """A kind of data, where it lies, and every option of the kind with its value.

    Attributes:
        kind: name of a kind, see `raysearch.data.kinds`.
        path: absolute path of the folder; None for a kind that computes its images.
        options: (name, value) of all options, in the order in which the kind declares them.
    """

    kind: str
    path: str | None
    options: tuple[tuple[str, OptionValue], ...]

    @classmethod
    def parse(cls, text: str) -> DataSpec:
        """Of ``phantom``, ``phantom:images=400,size=64`` or ``chestxray14:FOLDER,task=normal-vs-pneumonia,size=128``.

        A folder's name may hold commas and colons. Options that are not given take the kind's defaults.

        Raises:
            DataError: unknown kind or option, a value that the option refuses, a folder missing or not wanted.
        """
        name, _, rest = text.strip().partition(":")
        kind = get_kind(name.strip())
        path, given = _split(rest)
        if kind.needs_path and not path:
            raise DataError(f"data '{text}' names no folder; expected {kind.name}:FOLDER[,option=value...]")
        if path and not kind.needs_path:
            raise DataError(f"data '{text}': {kind.name} takes no folder, found '{path}'; expected option=value")
        values: dict[str, OptionValue] = {option.name: option.default for option in kind.options}
        known = {option.name: option for option in kind.options}
        for option, value in given:
            if option not in known:
                raise DataError(f"data '{text}': {kind.name} has no option '{option}'; {nearest(option, known)}")
            values[option] = known[option].parse(value, f"data '{text}'")
        if path:
            path = os.path.abspath(os.path.expanduser(path))
        return cls(kind.name, path or None, tuple(values.items()))

    def __getitem__(self, name: str) -> OptionValue:
        return dict(self.options)[name]

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return int(self["size"])

    def __str__(self) -> str:
        """Canonical spelling: `parse` of it gives the same spec. Options at their defaults are left out."""
        defaults = {option.name: option.default for option in get_kind(self.kind).options}
        parts = [self.path] if self.path else []
        parts += [f"{name}={value}" for name, value in self.options if value != defaults[name]]
        return f"{self.kind}:{','.join(parts)}" if parts else self.kind


def _split(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The path and the options of what follows ``KIND:``."""
    pieces = text.split(",") if text.strip() else []
    first = next((i for i, piece in enumerate(pieces) if _ASSIGNMENT.fullmatch(piece)), len(pieces))
    options = []
    for piece in pieces[first:]:
        match = _ASSIGNMENT.fullmatch(piece)
        if match is None:
            raise DataError(f"data option '{piece}' in '{text}' has no value; expected option=value")
        options.append((match[1].lower(), match[2].strip()))
    return ",".join(pieces[:first]).strip(), options
