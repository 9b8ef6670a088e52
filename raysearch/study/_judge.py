"""By which of its epochs a trial is judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def judge(rows: Sequence[dict[str, Any]], *, maximise: bool, select: str) -> dict[str, Any] | None:
    """The row that a trial is judged by: its last one, or its best one (of equal ones the later, as in paper 004).

    Rows without a finite value do not count; None if there is no other. ``judge([judge(a), b])`` is ``judge([*a, b])``,
    so that rows can be judged as they come.
    """
    usable = [row for row in rows if math.isfinite(row["value"])]
    if not usable:
        return None
    if select == "last":
        return usable[-1]
    sign = 1.0 if maximise else -1.0
    return max(usable, key=lambda row: (sign * row["value"], row["epoch"]))
