"""The scheduler that Tune sees: ours around one of Tune's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from raysearch.search._searcher import StudySearcher
from raysearch.study._book import Report
from raysearch.study._config import SchedulerName

REDUCTION = 3
"""ASHA keeps the best third at each rung; rungs at 1, 3, 9, ... epochs."""


def inner_scheduler(name: SchedulerName, *, epochs: int, maximise: bool) -> TrialScheduler:
    if name == "fifo" or epochs < 2:
        return FIFOScheduler()
    return ASHAScheduler(
        time_attr="epoch",
        metric="value",
        mode="max" if maximise else "min",
        max_t=epochs,
        grace_period=1,
        reduction_factor=REDUCTION,
    )


class StudyScheduler(TrialScheduler):  # type: ignore[misc]
    """Stops a trial at its first NaN (Tune's ASHA lets it live through every rung, since ``nan < cutoff`` is False) and
    otherwise does what the inner scheduler says.

    The inner scheduler sees trials by their number in the study, so that a resumed trial is the one that it knew, and
    is rebuilt from the study's records: Tune never calls a scheduler's ``save``.
    """

    def __init__(self, inner: TrialScheduler, searcher: StudySearcher) -> None:
        super().__init__()
        self._inner = inner
        self._searcher = searcher
        self._known: set[int] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: see `StudySearcher`."""
        return {}

    def replay(self, reports: Sequence[Report]) -> list[str]:
        """Gives the inner scheduler what trials reported before, in the order of their reporting; its decisions.

        A trial that was interrupted after a report by which it was stopped is closed: nothing of it runs again.
        """
        decisions = [self._decide(None, r.number, {"value": r.value, "epoch": r.epoch}) for r in reports]
        last = {report.number: decision for report, decision in zip(reports, decisions, strict=True)}
        for number, decision in last.items():
            if decision == TrialScheduler.STOP:
                self._searcher.stopped_before(number)
        return decisions

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._searcher.track(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self._decide(tune_controller, self._searcher.number(trial.trial_id), result)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        if result.get("state") == "complete":  # a result on which the trial was stopped is known already
            self._decide(tune_controller, self._searcher.number(trial.trial_id), result)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        pass

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        pass

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        del tune_controller  # it holds every trial that it has seen
        return self._searcher.pending()

    def debug_string(self) -> str:
        return str(self._inner.debug_string())

    def _decide(self, tune_controller: Any, number: int, result: dict[str, Any]) -> str:
        if not math.isfinite(result["value"]):
            return str(TrialScheduler.STOP)
        proxy = SimpleNamespace(trial_id=str(number))
        if number not in self._known:
            self._known.add(number)
            self._inner.on_trial_add(tune_controller, proxy)
        return str(self._inner.on_trial_result(tune_controller, proxy, result))
