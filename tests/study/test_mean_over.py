"""Trials that differ in one parameter alone, taken together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from raysearch.errors import StudyError
from raysearch.study import TrialRecord, mean_over


def trial(number: int, value: float | None, state: Any = "complete", **params: Any) -> TrialRecord:
    return TrialRecord(
        number=number, state=state, value=value, params=params, epochs=1, reason="", result={}, seconds=None
    )


def test_groups_their_means_and_intervals() -> None:
    values = {0.5: (0.31, 0.35, 0.33), 0.9: (0.42, 0.36, 0.45), 1.0: (0.5,)}
    records = [
        trial(10 * k + subset, value, p=p, subset=subset)
        for k, (p, row) in enumerate(values.items())
        for subset, value in enumerate(row)
    ]
    groups = mean_over(records[::-1], "subset", maximise=True)
    assert [group.params for group in groups] == [{"p": 1.0}, {"p": 0.9}, {"p": 0.5}]
    for group in groups:
        row = np.array(values[group.params["p"]])
        assert len(group.numbers) == len(row)
        assert group.mean == pytest.approx(row.mean())
        if len(row) > 1:
            expected = stats.t.interval(0.95, len(row) - 1, loc=row.mean(), scale=stats.sem(row))
            assert (group.low, group.high) == pytest.approx(expected)
        else:
            assert (group.low, group.high) == (None, None)
    assert [group.params["p"] for group in mean_over(records, "subset", maximise=False)] == [0.5, 0.9, 1.0]


def test_only_complete_trials_and_conditional_parameters() -> None:
    records = [
        trial(0, 0.4, subset=1, labels="irnet", walk=8),
        trial(1, 0.5, subset=2, labels="irnet", walk=8),
        trial(2, 0.6, subset=1, labels="grad_cam"),
        trial(3, 0.9, state="pruned", subset=2, labels="grad_cam"),
        trial(4, None, state="failed", subset=3, labels="grad_cam"),
        trial(5, 0.5, labels="grad_cam"),
    ]
    groups = {group.params["labels"]: group for group in mean_over(records, "subset", maximise=True)}
    assert groups["irnet"].numbers == (0, 1)
    assert groups["grad_cam"].numbers == (2, 5)
    assert groups["irnet"].high is not None
    assert math.isclose(groups["irnet"].high - groups["irnet"].mean, 12.706 * 0.05, rel_tol=1e-3)


def test_a_subset_that_was_drawn_again_is_no_second_subset() -> None:
    """Copies of a trial would make the interval as narrow as one likes."""
    records = [trial(n, value, subset=subset) for n, (subset, value) in enumerate([(0, 0.3), (0, 0.5), (1, 0.6)])]
    (group,) = mean_over(records, "subset", maximise=True)
    assert group.numbers == (0, 1, 2)
    assert group.mean == pytest.approx(0.5)
    assert group.high == pytest.approx(0.5 + 12.706 * 0.1, rel=1e-3)
    (alone,) = mean_over(records[:2], "subset", maximise=True)
    assert (alone.mean, alone.low) == (pytest.approx(0.4), None)


def test_refused() -> None:
    with pytest.raises(StudyError, match="--mean-over subset: no trial is complete yet"):
        mean_over([trial(0, None, state="running", subset=1)], "subset", maximise=True)
    with pytest.raises(StudyError, match=r"--mean-over subst: no trial was drawn .* did you mean 'subset'\?"):
        mean_over([trial(0, 0.1, subset=1)], "subst", maximise=True)
