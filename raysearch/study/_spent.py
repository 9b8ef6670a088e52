"""How long a study has run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


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
