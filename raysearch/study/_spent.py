"""How long a study has run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from raysearch.study._trial_folder import TrialFolder
from raysearch.study._upstream import worked_on

if TYPE_CHECKING:
    from raysearch.study._study import Study


def working_interval(row: dict[str, Any]) -> tuple[float, float]:
    """When an epoch was trained and evaluated: (begin, end) in seconds since 1970, of its row in metrics.jsonl."""
    end = float(row["time"])
    return end - row["losses"]["train_seconds"] - row["evaluate_seconds"], end


def spent_seconds(intervals: Iterable[tuple[float, float]]) -> float:
    """Seconds within any of the intervals: time during which several trials ran counts once, time during which none ran
    (the study was stopped, or had crashed) not at all.

    >>> spent_seconds([(0, 10), (5, 12), (100, 101)])
    13.0
    """
    total, latest = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, latest))
        latest = max(latest, end)
    return total


def worked_seconds(rows: Iterable[dict[str, Any]]) -> float:
    """Seconds that a trial's epochs took, however long it was interrupted or waited between them."""
    return sum(end - begin for begin, end in map(working_interval, rows))


def more_time(limit: float, spent: float) -> float:
    """A larger time budget to propose: as much again as there was, in round numbers.

    >>> more_time(25, 92), more_time(3600, 3700)
    (120, 7320)
    """
    wanted = max(limit, spent) + limit
    unit = 10 if wanted < 100 else 60
    return -(-wanted // unit) * unit


def time_spent(study: Study) -> float:
    """Seconds of work that a study has behind it, from its folder alone. For whoever holds it."""
    folders = (TrialFolder(path) for path in (study.path / "trials").glob("*"))
    rows = (row for folder in folders for row in folder.rows())
    return spent_seconds([*worked_on(study.path), *map(working_interval, rows)])
