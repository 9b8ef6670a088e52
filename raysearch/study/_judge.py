"""By which of its epochs a trial is judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from raysearch.alternation import last_kept, rounds_of


def judge(rows: Sequence[dict[str, Any]], *, maximise: bool, select: str) -> dict[str, Any] | None:
    """The row that a trial is judged by: its last one, or its best one (of equal ones the later, as in paper 004).

    The best one is sought in the last stage of the training, once the trial has got there: before it, part of what the
    settings say is not trained yet, and a good value is none of theirs.
    The last one of an alternating trial is that of its last kept round: what was taken back is not where it ended.
    Rows without a finite value do not count; None if there is no other.
    """
    sign = 1.0 if maximise else -1.0
    return max(eligible(rows, select=select), key=lambda row: (sign * row["value"], row["epoch"]), default=None)


def eligible(rows: Sequence[dict[str, Any]], *, select: str) -> list[dict[str, Any]]:
    """The rows among which `judge` takes the best one: none, one, or all that count."""
    usable = [row for row in rows if math.isfinite(row["value"])]
    if not usable:
        return []
    if select == "last":
        last = _last(rows, usable)
        return [] if last is None else [last]
    return [row for row in usable if row["last_stage"]] or usable


def _last(rows: Sequence[dict[str, Any]], usable: list[dict[str, Any]]) -> dict[str, Any] | None:
    if "alternation" not in rows[-1]:
        return usable[-1]
    kept = last_kept(rounds_of(rows))
    before = [row for row in usable if kept is None or row["epoch"] <= kept.last]
    return before[-1] if before else None
