"""``KIND:PATH,option=value``, or ``cls=...,seg=...``: what data is asked for."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import cast

from raysearch.data._fit import FitMode
from raysearch.data.kinds import OptionValue, all_kinds, get_kind
from raysearch.data.kinds._base import BITS
from raysearch.errors import DataError, nearest

LABELS, REGIONS = "cls", "seg"
SOURCES = (LABELS, REGIONS)
"""Names of sources that are joined, in their order: of one the image labels are used, of the other the regions."""
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
            DataError: unknown kind or option, an option given twice or a value that it refuses, a folder missing or not
                wanted.
        """
        name, _, rest = text.strip().partition(":")
        kind = get_kind(name.strip())
        path, given = _split(rest)
        if kind.needs_path and not path:
            raise DataError(f"data '{text}' names no folder; expected {kind.name}:FOLDER[,option=value...]")
        if path and not kind.needs_path:
            raise DataError(f"data '{text}': {kind.name} takes no folder, found '{path}'; expected option=value")
        values: dict[str, OptionValue] = {option.name: option.default for option in kind.all_options}
        known = {option.name: option for option in kind.all_options}
        for option, value in given:
            if option not in known:
                raise DataError(f"data '{text}': {kind.name} has no option '{option}'; {nearest(option, known)}")
            values[option] = known[option].parse(value, f"data '{text}'")
        if len(dict(given)) < len(given):
            twice = next(option for at, (option, _) in enumerate(given) if option in dict(given[:at]))
            raise DataError(f"data '{text}': option '{twice}' is given twice; leave out one")
        if path:
            path = os.path.abspath(os.path.expanduser(path))
        return cls(kind.name, path or None, tuple(values.items()))

    def __getitem__(self, name: str) -> OptionValue:
        return dict(self.options)[name]

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return int(self["size"])

    @property
    def fit(self) -> FitMode:
        """How its pictures become square."""
        return cast(FitMode, dict(self.options).get("fit", "pad"))

    @property
    def bits(self) -> int | None:
        """Of the values in 16-bit files, where they are given."""
        bits = dict(self.options).get(BITS.name, BITS.default)
        return None if bits == BITS.default else int(bits)

    @property
    def needs_path(self) -> bool:
        """Whether it lies in a folder, and is not computed."""
        return get_kind(self.kind).needs_path

    def __str__(self) -> str:
        """Canonical spelling: `parse` of it gives the same spec. Options at their defaults are left out."""
        defaults = {option.name: option.default for option in get_kind(self.kind).all_options}
        parts = [self.path] if self.path else []
        parts += [f"{name}={value}" for name, value in self.options if value != defaults[name]]
        return f"{self.kind}:{','.join(parts)}" if parts else self.kind


@dataclass(frozen=True)
class JoinedSpec:
    """Sources that are asked for together, of one size and fit.

    Attributes:
        sources: (name, spec) of each, in the order of `SOURCES`.
    """

    sources: tuple[tuple[str, DataSpec], ...]

    @classmethod
    def parse(cls, text: str) -> JoinedSpec:
        """Of ``cls=phantom:images=300,seg=phantom:task=lungs,images=100`` or ``seg=montgomery:FOLDER``.

        A source begins where a name of `SOURCES`, or any name before the name of a kind, is given a value; what follows
        belongs to it.

        Raises:
            DataError: as `DataSpec.parse`; an unknown source, one that is named twice, or two sizes or fits.
        """
        found: dict[str, DataSpec] = {}
        for name, spec in _named(text):
            if name not in SOURCES:
                raise DataError(f"data '{text}': unknown source '{name}'; {nearest(name, SOURCES)}")
            if name in found:
                raise DataError(f"data '{text}': source '{name}' is named twice; leave out one")
            found[name] = DataSpec.parse(spec)
        joined = cls(tuple((name, found[name]) for name in SOURCES if name in found))
        if len({spec.size for _, spec in joined.sources}) > 1:
            sizes = " and ".join(f"{name} of size {spec.size}" for name, spec in joined.sources)
            raise DataError(f"data '{text}' is {sizes}; expected one size: give both the same option size=")
        if len({spec.fit for _, spec in joined.sources if spec.needs_path}) > 1:
            fits = " and ".join(f"{name} with fit={spec.fit}" for name, spec in joined.sources)
            raise DataError(f"data '{text}' is {fits}; expected one: give both the same option fit=")
        return joined

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.sources)

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.sources[0][1].size

    @property
    def fit(self) -> FitMode:
        """How pictures become square."""
        return next((spec.fit for _, spec in self.sources if spec.needs_path), "pad")

    @property
    def bits(self) -> int | None:
        """Of the values in 16-bit files, where all sources that lie in folders give the same."""
        bits = {spec.bits for _, spec in self.sources if spec.needs_path}
        return bits.pop() if len(bits) == 1 else None

    @property
    def needs_path(self) -> bool:
        """Whether any of it lies in a folder."""
        return any(spec.needs_path for _, spec in self.sources)

    def __str__(self) -> str:
        """Canonical spelling: `parse` of it gives the same spec."""
        return ",".join(f"{name}={spec}" for name, spec in self.sources)


AnySpec = DataSpec | JoinedSpec


def parse_data(text: str) -> AnySpec:
    """What ``--data`` says: one source, or several by name; raises as the `parse` of either."""
    begins_with_name = _ASSIGNMENT.fullmatch(text.partition(",")[0])
    return JoinedSpec.parse(text) if begins_with_name else DataSpec.parse(text)


def _named(text: str) -> list[tuple[str, str]]:
    """(name, spec) of each source in a text that begins with a name."""
    kinds = {kind.name for kind in all_kinds()}
    found: list[tuple[str, list[str]]] = []
    for piece in text.split(","):
        match = _ASSIGNMENT.fullmatch(piece)
        name, value = (match[1].lower(), match[2]) if match else ("", piece)
        if match and (not found or name in SOURCES or value.partition(":")[0].strip() in kinds):
            found.append((name, [value]))
        else:
            found[-1][1].append(piece)
    return [(name, ",".join(pieces)) for name, pieces in found]


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
