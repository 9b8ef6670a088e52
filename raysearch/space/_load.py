"""Search spaces by method and preset, by file, or by function."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raysearch.errors import SpaceError, nearest
from raysearch.space._file import contents, package_stems, package_text, user_text
from raysearch.space._function import FunctionSpace
from raysearch.space._space import Space

if TYPE_CHECKING:
    from raysearch.method import Method

AnySpace = Space | FunctionSpace


def presets(method: type[Method]) -> tuple[str, ...]:
    """Presets that the method's package has: ``<name>.yaml`` is ``paper``, ``<name>.<preset>.yaml`` any other."""
    stems = package_stems(method)
    other = sorted(stem.removeprefix(f"{method.name}.") for stem in stems if stem.startswith(f"{method.name}."))
    return (*(("paper",) if method.name in stems else ()), *other)


def load_space(method: type[Method], preset: str, file: str | None = None) -> AnySpace:
    """The validated search space of a method.

    Args:
        preset: one of `presets`.
        file: ``--space``: a YAML file, which stands in place of the preset's (it may say ``extends:`` to build on it),
            or ``module:function``, on top of the preset's defaults.

    Raises:
        SpaceError: anything that cannot be meant, in one line with the place and the nearest known name.
    """
    if file is not None and not _is_function(file):
        return Space.from_contents(contents(user_text(Path(file)), file, method), method)
    known = presets(method)
    if preset not in known:
        raise SpaceError(f"--preset {preset}: {method.name} has no such preset; {nearest(preset, known)}")
    stem = method.name if preset == "paper" else f"{method.name}.{preset}"
    read = contents(package_text(method, stem), f"{method.spaces}/{stem}.yaml", method)
    if read.preset != preset:
        raise SpaceError(f"{read.file}: preset is {read.preset}, but the file's name says {preset}; change one of them")
    space = Space.from_contents(read, method)
    return space if file is None else FunctionSpace.load(file, space)


def space_from_dict(data: Mapping[str, Any], method: type[Method]) -> AnySpace:
    """Restores what `to_dict` of either kind of space gave."""
    return (FunctionSpace if "function" in data else Space).from_dict(data, method)


def _is_function(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text) is not None and not Path(text).exists()
