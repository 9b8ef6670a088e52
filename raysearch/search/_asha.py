"""ASHA, as Tune has it."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace

from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from raysearch.search._hyperband import REDUCTION
from raysearch.search._rules import Rules, Verdict


class Asha(Rules):
    """Keeps the best third of the trials that came to a rung so far; rungs at 1, 3, 9, ... epochs. No trial waits.

    Tune's scheduler sees trials by their number in the study, and looks at nothing of them or of the controller.
    """

    def __init__(self, *, epochs: int, maximise: bool, kept: Collection[int] = ()) -> None:
        super().__init__(kept)
        self._scheduler = ASHAScheduler(
            time_attr="epoch",
            metric="value",
            mode="max" if maximise else "min",
            max_t=epochs,
            grace_period=1,
            reduction_factor=REDUCTION,
        )
        self._stopped: dict[int, bool] = {}

    def report(self, number: int, epoch: int, value: float) -> None:
        proxy = SimpleNamespace(trial_id=str(number))
        if number not in self._stopped:
            self._scheduler.on_trial_add(None, proxy)
        decision = self._scheduler.on_trial_result(None, proxy, {"value": value, "epoch": epoch})
        self._stopped[number] = decision == TrialScheduler.STOP

    def verdict(self, number: int) -> Verdict:
        return "stop" if self._stopped.get(number) else "go"
