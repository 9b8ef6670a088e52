"""Trials that differ in nothing but one parameter, such as a random subset, taken together: mean and interval."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from raysearch.errors import StudyError, nearest
from raysearch.study._trial_record import TrialRecord


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Trials with the same parameters but one.

    Attributes:
        params: the parameters that they share.
        numbers: of the trials.
        mean: over the values of the one parameter; of trials that agree in it too, their mean counts once.
        low, high: 95 % interval of the mean by Student's t; None of a single value of the parameter.
    """

    params: dict[str, Any]
    numbers: tuple[int, ...]
    mean: float
    low: float | None
    high: float | None


def mean_over(records: Sequence[TrialRecord], name: str, *, maximise: bool) -> list[Repeats]:
    """Groups complete trials by all of their parameters but `name`, the best mean first.

    The interval is ``mean +- t s / sqrt(n)``, with s the standard deviation of the n values (n - 1 in its denominator)
    and t the 97.5 % quantile of Student's t with n - 1 degrees of freedom (paper 002: three subsets). A sampler may
    draw the same subset again: two trainings on it are no second subset, and enter by their mean.

    Raises:
        StudyError: no trial is complete, or none of them has a parameter of that name.
    """
    complete = [r for r in records if r.state == "complete" and r.value is not None and r.same_as is None]
    if not complete:
        raise StudyError(f"--mean-over {name}: no trial is complete yet; 'raysearch status' shows how far they are")
    known = {key for record in complete for key in record.params}
    if name not in known:
        raise StudyError(f"--mean-over {name}: no trial was drawn a parameter of that name; {nearest(name, known)}")
    groups: dict[str, list[TrialRecord]] = {}
    for record in complete:
        shared = {key: value for key, value in record.params.items() if key != name}
        groups.setdefault(json.dumps(shared, sort_keys=True, default=str), []).append(record)
    found = [_repeats(group, name) for group in groups.values()]
    return sorted(found, key=lambda each: (-each.mean if maximise else each.mean, each.numbers))


def _repeats(group: Sequence[TrialRecord], name: str) -> Repeats:
    by_value: dict[str, list[float]] = {}
    for record in group:
        assert record.value is not None
        by_value.setdefault(repr(record.params.get(name)), []).append(record.value)
    values = np.array([np.mean(same) for same in by_value.values()], np.float64)
    low, high = student_interval(values)
    return Repeats(
        params={key: value for key, value in group[0].params.items() if key != name},
        numbers=tuple(record.number for record in group),
        mean=float(values.mean()),
        low=low,
        high=high,
    )


def student_interval(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float | None, float | None]:
    """95 % interval of the mean of independent values, (n,); None for one alone."""
    from scipy.special import stdtrit

    if len(values) < 2:
        return None, None
    margin = float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - margin, float(values.mean()) + margin
