"""The scheduler that Tune sees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from raysearch.search._asha import Asha
from raysearch.search._hyperband import HyperBand
from raysearch.search._pbt import PopulationBasedTraining
from raysearch.search._rules import Rules, Verdict
from raysearch.search._searcher import StudySearcher
from raysearch.study._book import Book, Report
from raysearch.study._study import Study


def rules_of(study: Study, book: Book) -> Rules:
    """The rules that ``--scheduler`` names."""
    config = study.config
    maximise = config.direction == "maximize"
    epochs, samples = config.budget.epochs, config.budget.samples
    kept = () if config.defaults is None else (config.defaults,)
    match config.scheduler:
        case "hyperband":
            return HyperBand(epochs=epochs, samples=samples, maximise=maximise, kept=kept)
        case "pbt":
            return PopulationBasedTraining(study, book, kept=kept)
        case "asha" if epochs > 1:
            return Asha(epochs=epochs, maximise=maximise, kept=kept)
    return Rules(kept)


class StudyScheduler(TrialScheduler):  # type: ignore[misc]
    """Does with Tune's trials what the rules say, and stops a trial at its first value that is not finite (of which no
    rule could make anything: Tune's ASHA lets NaN live through every rung, since ``nan < cutoff`` is False).

    Trials are known by their number in the study, so that a resumed trial is the one that was known, and everything is
    rebuilt from the study's records: Tune never calls a scheduler's ``save``. A trial that pauses holds no place and no
    slot; it goes on before new trials, the one that pauses for longest first.
    """

    def __init__(self, rules: Rules, searcher: StudySearcher, *, slots: int) -> None:
        super().__init__()
        self._rules = rules
        self._searcher = searcher
        self._slots = slots
        self._stopped: set[int] = set()
        self.paused: dict[int, Trial] = {}
        """Trials that Tune holds PAUSED, by number, in the order of their pausing."""
        searcher.attach(self)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: see `StudySearcher`."""
        return {}

    def replay(self, reports: Sequence[Report], ended: Iterable[int] = ()) -> list[str]:
        """Tells the rules what trials reported before, in the order of their reporting, and which have ended; the
        decisions on these reports.

        A trial that was interrupted though it is to be stopped is closed: nothing of it runs again.
        """
        decisions = [self.decide(r.number, {"value": r.value, "epoch": r.epoch}) for r in reports]
        for number in ended:
            self._rules.end(number)
        self.refresh()
        return decisions

    def decide(self, number: int, result: dict[str, Any]) -> str:
        """STOP, PAUSE or CONTINUE, for the trial that reports."""
        if not math.isfinite(result["value"]):
            self._stopped.add(number)
            return str(TrialScheduler.STOP)
        self._rules.report(number, result["epoch"], result["value"])
        if self.verdict(number) == "stop":
            return str(TrialScheduler.STOP)
        pauses = result["epoch"] in self._rules.pauses(number)
        return str(TrialScheduler.PAUSE if pauses else TrialScheduler.CONTINUE)

    def verdict(self, number: int) -> Verdict:
        """What becomes of a trial after its latest report: no rule stops one that is kept."""
        if number in self._stopped:
            return "stop"
        verdict = self._rules.verdict(number)
        return "go" if verdict == "stop" and number in self._rules.kept else verdict

    def refresh(self) -> None:
        """Lets the rules do what is due, and ends interrupted trials that are to be stopped."""
        self._rules.settle()
        for trial in self._searcher.queued:
            if self.verdict(trial.number) == "stop":
                self.end_queued(trial.number, "pruned")

    def settle(self, tune_controller: Any) -> None:
        """Likewise, with trials that Tune holds paused."""
        self.refresh()
        for number in [number for number in self.paused if self.verdict(number) == "stop"]:
            tune_controller.stop_trial(self.paused[number])

    def end(self, number: int) -> None:
        """A trial trains no more, or never did."""
        self._rules.end(number)

    def end_queued(self, number: int, state: Literal["pruned", "complete"]) -> None:
        """Ends an interrupted trial that is still to be handed out."""
        self._searcher.ended_before(number, state)
        self._rules.end(number)

    def exploited(self, number: int) -> dict[str, Any] | None:
        """What a trial took over from another one, if it did."""
        return self._rules.renewed(number).get("exploited")

    def pause(self, tune_controller: Any, trial: Trial) -> str:
        """Pauses a trial; what `on_trial_result` then answers."""
        self.paused[self._searcher.number(trial.trial_id)] = trial
        # no checkpoint of Tune's: the trial's folder holds everything
        tune_controller.pause_trial(trial, should_checkpoint=False)
        return str(TrialScheduler.NOOP)

    def resume(self, number: int, **changes: Any) -> Trial:
        """A paused trial, for Tune to start; `changes` are to its trainable's config."""
        trial = self.paused.pop(number)
        trial.set_config({**trial.config, **self._rules.renewed(number), **changes})
        return trial

    # -- what the searcher asks

    def waiting(self) -> int:
        """Paused trials that count as under way."""
        return 0

    def held(self) -> int:
        """Paused trials that do not: they wait for others."""
        return len(self.paused)

    def due(self) -> int:
        """Paused trials that come before new ones."""
        return sum(map(self.lets_go, self.paused))

    def lets_go(self, number: int) -> bool:
        """Whether a trial that does not run may go on."""
        return self.verdict(number) == "go"

    # -- what Tune asks

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._searcher.track(trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        decision = self.decide(self._searcher.number(trial.trial_id), result)
        return self.pause(tune_controller, trial) if decision == TrialScheduler.PAUSE else decision

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        if result.get("state") == "halted":
            return  # it goes on in another run of the study
        number = self._searcher.number(trial.trial_id)
        if result.get("state") == "complete":  # a result on which the trial was stopped is known already
            self.decide(number, result)
        self._rules.end(number)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        self._rules.end(self._searcher.number(trial.trial_id))

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        number = self._searcher.number(trial.trial_id)
        self.paused.pop(number, None)
        self._rules.end(number)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        pending = self._searcher.pending()
        if pending is not None or self._searcher.live >= self._slots:
            return pending
        self.settle(tune_controller)
        if self._searcher.time_is_up:
            return None
        return next((self.resume(number) for number in self.paused if self.lets_go(number)), None)

    def debug_string(self) -> str:
        return f"{type(self._rules).__name__}, {len(self.paused)} trials paused"
