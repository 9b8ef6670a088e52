"""A search-space file and the files that it extends.

An entry replaces the whole entry of the same name in the file that is extended, so that what holds stands in one
place; `budget` and `preset` likewise. `extends` names a file of the method's package by its stem.
"""

from __future__ import annotations

import importlib.resources
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raysearch.errors import SpaceError, nearest
from raysearch.space._entry import parse_entry
from raysearch.space._parameter import KINDS, Parameter
from raysearch.space._yaml import Node, check_keys, read

if TYPE_CHECKING:
    from raysearch.method import Method

_KEYS = ["method", "preset", "extends", "budget", *KINDS]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a study may spend where the command line does not say.

    Attributes:
        epochs: a trial, all stages together.
        samples: trials.
        labelled, annotated: what a method may see of the training split, as ``--labelled`` and ``--annotated`` say it;
            None hides nothing.
    """

    epochs: int
    samples: int
    source: str = ""
    labelled: float | None = None
    annotated: float | None = None


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A file with all that it extends."""

    file: str
    preset: str
    budget: Budget
    parameters: dict[str, Parameter]


@dataclass(frozen=True)
class _Part:
    preset: str | None
    budget: Budget | None
    parameters: dict[str, Parameter]


def package_stems(method: type[Method]) -> list[str]:
    """Stems of the search-space files in the method's package; SpaceError if the package cannot be imported."""
    try:
        folder = importlib.resources.files(method.spaces)
    except ImportError as error:
        raise SpaceError(
            f"{method.name}: its search spaces are in the package {method.spaces}, which cannot be imported ({error})"
        ) from error
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def package_text(method: type[Method], stem: str) -> str:
    return (importlib.resources.files(method.spaces) / f"{stem}.yaml").read_text(encoding="utf-8")


def user_text(path: Path) -> str:
    """Text of a user's file; SpaceError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpaceError(f"--space {path}: cannot be read ({error.strerror}); give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise SpaceError(f"--space {path}: not a text file, expected YAML in UTF-8") from None


def contents(text: str, file: str, method: type[Method]) -> Contents:
    """Reads a file with all that it extends."""
    root = read(text, file)
    part = _part(root, method, chain=(file,), own=True)
    if part.budget is None:
        root.fail("no budget here nor in what it extends; add 'budget: {epochs: N, samples: N}'")
    if part.preset is None:
        root.fail("no preset here nor in what it extends; add 'preset: NAME'")
    ordered = sorted(part.parameters.values(), key=lambda parameter: KINDS.index(parameter.kind))
    return Contents(
        file=file, preset=part.preset, budget=part.budget, parameters={entry.name: entry for entry in ordered}
    )


def _part(root: Node, method: type[Method], chain: tuple[str, ...], own: bool) -> _Part:
    top = root.items("the file")
    check_keys(top, _KEYS, "key")
    # a file may build on that of another method with the same settings
    if own and "method" in top and top["method"].value() != method.name:
        top["method"].fail(f"method is {top['method'].value()}, but the study's is {method.name}; change one of them")
    base = _extended(top["extends"], method, chain) if "extends" in top else _Part(None, None, {})
    parameters = dict(base.parameters)
    seen: dict[str, Parameter] = {}
    for kind in KINDS:
        if kind not in top:
            continue
        for name, node in top[kind].items(kind).items():
            entry = parse_entry(name, kind, node, method)
            if name in seen:
                node.fail(f"{name} is given twice (first at {seen[name].origin}); leave out one")
            if name in parameters and parameters[name].kind != kind:
                node.fail(f"{name} is of kind '{parameters[name].kind}' at {parameters[name].origin}; move it there")
            parameters[name] = seen[name] = entry
    preset = _text(top["preset"]) if "preset" in top else base.preset
    return _Part(preset, _budget(top["budget"]) if "budget" in top else base.budget, parameters)


def _extended(node: Node, method: type[Method], chain: tuple[str, ...]) -> _Part:
    stem = _text(node)
    stems = package_stems(method)
    if stem not in stems:
        node.fail(f"extends '{stem}': no such search space in {method.spaces}; {nearest(stem, stems)}")
    file = f"{method.spaces}/{stem}.yaml"
    if file in chain:
        node.fail(f"extends '{stem}' leads back to itself: {' -> '.join((*chain, file))}; break the circle")
    return _part(read(package_text(method, stem), file), method, (*chain, file), own=False)


def _budget(node: Node) -> Budget:
    items = node.items("budget")
    check_keys(items, ["epochs", "samples", "labelled", "annotated", "source"], "key of budget:")
    for key in ("epochs", "samples"):
        if key not in items:
            node.fail(f"budget has no '{key}'; expected 'budget: {{epochs: N, samples: N}}'")
        value = items[key].value()
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            items[key].fail(f"{key} is {value!r}, expected a whole number of at least 1")
    return Budget(
        epochs=items["epochs"].value(),
        samples=items["samples"].value(),
        source=_text(items["source"]) if "source" in items else "",
        labelled=_amount(items["labelled"], "labelled") if "labelled" in items else None,
        annotated=_amount(items["annotated"], "annotated") if "annotated" in items else None,
    )


def _amount(node: Node, key: str) -> float:
    value = node.value()
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and (0 < value <= 1 or (1 < value < math.inf and value % 1 == 0))):
        node.fail(f"{key} is {value!r}, expected a share in (0, 1] or a whole number of images")
    return float(value)


def _text(node: Node) -> str:
    value = node.value()
    if not isinstance(value, str) or not value:
        node.fail(f"{value!r} found, expected a name")
    return value
