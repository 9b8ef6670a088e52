"""A result by class, and beside masks of the whole picture, in lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raysearch.study import Beside
    from raysearch.thresholds import AgainstTrivial

MOST = 20
"""Classes that have a line each; of more, notes name those that are no better."""


def trial_lines(beside: Beside | None) -> list[str]:
    """`against_lines` of a trial on the tuning split; none where no region is known."""
    return [] if beside is None else against_lines(beside.against, beside.notes)


def against_lines(against: AgainstTrivial | None, notes: Iterable[str], *, classes: bool = True) -> list[str]:
    """What a mask of the whole picture has, unless left out by class too where there are several, and the notes."""
    said = [f"  note: {note}" for note in notes]
    if against is None:
        return said
    return [
        f"  {against.metric} {against.value:.4f}; mask of the whole picture {against.trivial:.4f}",
        *(_by_class(against) if classes else ()),
        *said,
    ]


def class_lines(metric: str, by_class: Mapping[str, float]) -> list[str]:
    """A table by class of a metric that a mask of the whole picture has no value of; none for a single class, or for
    more than fit."""
    if not 1 < len(by_class) <= MOST:
        return []
    width = max(len("by class"), *map(len, by_class))
    return [f"  {'by class':<{width}}  {metric}", *(f"  {name:<{width}}  {by_class[name]:.4f}" for name in by_class)]


def _by_class(against: AgainstTrivial) -> list[str]:
    """A table; none for a single class, or for more than fit."""
    if not 1 < len(against.by_class) <= MOST:
        return []
    width = max(len("by class"), *map(len, against.by_class))
    worse = against.no_better
    than = "not above" if against.direction == "maximize" else "not below"
    return [
        f"  {'by class':<{width}}   value  whole picture",
        *(
            f"  {name:<{width}}  {value:.4f}  {against.trivial_by_class[name]:.4f}"
            + (f"  {than}" if name in worse else "")
            for name, value in against.by_class.items()
        ),
    ]
