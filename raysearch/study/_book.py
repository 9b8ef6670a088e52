"""The book of a study: which trials there are, what they reported, which of them still have to run.

Optuna's storage is the truth about trials, their parameters and values; the trial folders hold their files. Opening the
book after a crash reconciles the two.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, NamedTuple

import optuna
from optuna.trial import FrozenTrial, TrialState

from raysearch.errors import StudyError
from raysearch.method import load_method
from raysearch.search._journal import open_journal, quiet_optuna
from raysearch.search._sampler import sampler_of
from raysearch.space import space_from_dict
from raysearch.study._judge import judge
from raysearch.study._spent import spent_seconds, working_interval
from raysearch.study._study import Study
from raysearch.study._upstream import worked_on

State = Literal["running", "complete", "pruned", "failed", "crashed"]
"""``failed``: the trial's own work could not go on (non-finite loss, an error in the method). ``crashed``: its worker
groups died under it, time after time. ``pruned``: the scheduler stopped it."""

RESULT_ATTR = "result"
"""User attribute of an Optuna trial: how it ended, and the row that it is judged by."""

INFLUENCE = "influence"
"""What patients add to an epoch's value: in metrics.jsonl alone, the journal is read too often for so much."""


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """A trial to be run: its number, the method's settings, the decision thresholds where they are not solved."""

    number: int
    config: dict[str, Any]
    thresholds: dict[str, float]
    rows: list[dict[str, Any]]
    """What it has reported already."""


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial as the book shows it."""

    number: int
    state: State
    value: float | None
    params: dict[str, Any]
    """That it was trained with when it reached this value: what was drawn for it, or what it took over later."""
    epochs: int
    reason: str
    result: dict[str, Any]
    """Row of metrics.jsonl that the trial is judged by; empty if it has none."""
    seconds: float | None


class Report(NamedTuple):
    """An epoch as the scheduler needs to know it."""

    number: int
    epoch: int
    value: float


class Book:
    """Open for writing: one process at a time (`Study.hold`)."""

    def __init__(self, study: Study) -> None:
        quiet_optuna()
        config = study.config
        self._folders = study
        self._space = space_from_dict(config.space, load_method(config.method))
        self._maximise = config.direction == "maximize"
        self._optuna = optuna.create_study(
            study_name=config.name,
            storage=open_journal(study.journal),
            sampler=sampler_of(config.sampler, config.seed, self._space),
            direction=config.direction,
            load_if_exists=True,
        )
        self._open: dict[int, optuna.Trial] = {}
        self._rows: dict[int, list[dict[str, Any]]] = {}
        self._queue: deque[Assigned] = deque()
        self._begun = 0
        self._kept: list[tuple[float, int]] = []
        self._intervals: list[tuple[float, float]] = [*worked_on(study.path)]
        self.reports: list[Report] = []
        """Every epoch of the study, by earlier runs too, in the order of their recording."""
        self._reconcile()

    @property
    def path(self) -> Path:
        """Folder of the study."""
        return self._folders.path

    # -- what is left to do

    @property
    def remaining(self) -> int:
        """Trials that are still to be handed out."""
        return len(self._queue) + max(0, self._folders.config.budget.samples - self._begun)

    def next(self, lets_go: Callable[[int], bool] = lambda number: True) -> Assigned:
        """The next trial: one that was interrupted, the first that may go on, or else a new one from the sampler."""
        for assigned in self._queue:
            if lets_go(assigned.number):
                self._queue.remove(assigned)
                return assigned
        trial = self._optuna.ask()
        self._begun += 1
        return self._assign(trial)

    @property
    def queued(self) -> tuple[Assigned, ...]:
        """Interrupted trials that wait to go on."""
        return tuple(self._queue)

    def end_queued(self, number: int, state: State) -> None:
        """Ends an interrupted trial that the scheduler had stopped, or would have, when the crash came."""
        self._queue = deque(assigned for assigned in self._queue if assigned.number != number)
        self.close(number, state)

    def params(self, number: int) -> dict[str, Any]:
        """What was drawn for an open trial."""
        return dict(self._open[number].params)

    @property
    def ended(self) -> list[int]:
        """Numbers of the trials that have ended."""
        return [number for number in range(self._begun) if number not in self._open]

    def rows(self, number: int) -> list[dict[str, Any]]:
        """What an open trial has reported so far, one row an epoch."""
        return self._rows.get(number, [])

    # -- what trials report

    def report(self, number: int, row: dict[str, Any]) -> None:
        """An epoch that the trial's folder already holds."""
        rows = self._rows.setdefault(number, [])
        if any(r["epoch"] == row["epoch"] for r in rows):
            return
        self.reports.append(Report(number, int(row["epoch"]), float(row["value"])))
        self._take(number, row)

    def close(self, number: int, state: State, reason: str = "") -> tuple[State, str]:
        """Ends a trial and keeps the checkpoints that the study has room for.

        Returns the state and the reason that are recorded: a trial whose last value is not finite has failed.
        """
        trial = self._open.pop(number)
        rows = self._rows.pop(number, [])
        if rows and not math.isfinite(rows[-1]["value"]) and state in ("complete", "pruned"):
            state, reason = "failed", f"non-finite {self._folders.config.metric} in epoch {rows[-1]['epoch']}"
        judged = judge(rows, maximise=self._maximise, select=self._folders.config.select)
        kept = None if judged is None else {name: value for name, value in judged.items() if name != INFLUENCE}
        trial.set_user_attr(RESULT_ATTR, {"state": state, "reason": reason, "row": kept, "epochs": len(rows)})
        value = float(judged["value"]) if state == "complete" and judged is not None else None
        if value is not None:
            self._optuna.tell(trial, value)
        else:
            self._optuna.tell(trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)
        self._keep_checkpoints(number, value)
        return state, reason

    # -- what is known

    def records(self) -> list[TrialRecord]:
        return [record_of(t) for t in self._optuna.get_trials(deepcopy=False)]

    def record(self, number: int) -> TrialRecord:
        storage, study = self._optuna._storage, self._optuna._study_id
        return record_of(storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study, number)))

    def best(self) -> TrialRecord | None:
        return best_of(self.records(), maximise=self._maximise)

    @property
    def spent(self) -> float:
        """Seconds of work that the study had behind it when the book was opened."""
        return spent_seconds(self._intervals)

    # -- opening

    def _reconcile(self) -> None:
        """Finishes what a crash left between two writes: a finished trial is told, an interrupted one queued."""
        trials = self._optuna.get_trials(deepcopy=False)
        stray = self._folders.trial(len(trials))
        if stray.config is not None:
            raise StudyError(
                f"{stray.path} holds trial {len(trials)}, and {self._folders.journal} knows {len(trials)} trials only:"
                " restore the journal from a copy, or start a new study"
            )
        if not trials and self._space.searched and self._folders.config.defaults is not None:
            self._optuna.enqueue_trial(self._space.first_point())
        recorded: list[tuple[float, Report]] = []
        for frozen in trials:
            if frozen.state == TrialState.WAITING:
                continue  # the defaults, not asked for yet
            self._begun += 1
            rows = self._settle(frozen)
            self._intervals += map(working_interval, rows)
            times = accumulate((float(row["time"]) for row in rows), max)  # clocks may be set back
            reports = (Report(frozen.number, int(row["epoch"]), float(row["value"])) for row in rows)
            recorded += zip(times, reports, strict=True)
        self.reports = [report for _, report in sorted(recorded)]
        self._queue = deque(sorted(self._queue, key=_place_in_queue))

    def _settle(self, frozen: FrozenTrial) -> list[dict[str, Any]]:
        """Brings a trial and its folder into agreement; all its rows."""
        number = frozen.number
        folder = self._folders.trial(number)
        rows = folder.rows()
        if frozen.state.is_finished():
            self._keep_checkpoints(number, frozen.value if frozen.state == TrialState.COMPLETE else None)
            return rows
        rows = self._recover_row(number, rows)
        self._open[number] = optuna.Trial(self._optuna, frozen._trial_id)
        for row in rows:
            self._take(number, row, told=row["epoch"] in frozen.intermediate_values)
        ended = frozen.user_attrs.get(RESULT_ATTR)
        if ended is not None:
            self.close(number, ended["state"], ended["reason"])
        elif rows and rows[-1]["finished"]:
            self.close(number, "complete")
        else:
            self._queue.append(self._assign(self._open[number]))
        return rows

    def _recover_row(self, number: int, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Completes the epoch whose checkpoint was written just before the crash, and its line not yet."""
        folder = self._folders.trial(number)
        if not folder.last.exists():
            if rows:
                folder.set_aside()  # its weights were deleted: it begins again
            return []
        from raysearch.training import decode

        state = decode(folder.last.read_bytes(), str(folder.last))
        if "row" not in state:
            raise StudyError(f"{folder.last} is no checkpoint of a trial (no row in it); delete it")
        row = state["row"]
        if not rows or rows[-1]["epoch"] < row["epoch"]:
            rows = [*rows, row]
            judged = judge(rows, maximise=self._maximise, select=self._folders.config.select)
            folder.complete(row, best=judged is row)
        return rows

    def _take(self, number: int, row: dict[str, Any], *, told: bool = False) -> None:
        """Remembers an epoch, and tells Optuna unless it was `told` before."""
        self._rows.setdefault(number, []).append(row)
        if math.isfinite(row["value"]) and not told:
            self._open[number].report(float(row["value"]), int(row["epoch"]))

    def _assign(self, trial: optuna.Trial) -> Assigned:
        self._open[trial.number] = trial
        folder = self._folders.trial(trial.number)
        stored = folder.config
        if stored is None:
            config, thresholds = self._space.split(self._space.sample(trial))
            stored = {"config": config, "thresholds": thresholds}
            folder.create(stored)
        return Assigned(
            number=trial.number,
            config=stored["config"],
            thresholds=stored["thresholds"],
            rows=self._rows.get(trial.number, []),
        )

    def _keep_checkpoints(self, number: int, value: float | None) -> None:
        """At most `keep_checkpoints` finished trials keep their weights, the best ones, and beside them the one with
        the defaults, which the best one is compared with at the end."""
        if value is not None:
            bisect.insort(self._kept, (-value if self._maximise else value, number))
        dropped = {n for _, n in self._kept[self._folders.config.keep_checkpoints :]}
        del self._kept[self._folders.config.keep_checkpoints :]
        dropped -= {self._folders.config.defaults}
        if value is None:
            dropped.add(number)
        for other in dropped | {number}:
            self._folders.trial(other).drop_checkpoints(keep_best=other not in dropped)


def _place_in_queue(assigned: Assigned) -> tuple[bool, float]:
    """Trials that were training when the study was interrupted go on first, then those that waited between two rounds
    of an alternation, the one that waited for longest at the front: the order in which an undisturbed study goes on."""
    last = assigned.rows[-1] if assigned.rows else None
    waited = last is not None and "alternation" in last and last["alternation"]["ends"]
    return bool(waited), float(last["time"]) if last is not None and waited else float(assigned.number)


def record_of(frozen: FrozenTrial) -> TrialRecord:
    """What Optuna's storage says of a trial."""
    result = frozen.user_attrs.get(RESULT_ATTR, {})
    state: State = result.get("state", "failed") if frozen.state.is_finished() else "running"
    row = result.get("row") or {}
    values = frozen.intermediate_values
    value = frozen.value if frozen.state == TrialState.COMPLETE else row.get("value")
    return TrialRecord(
        number=frozen.number,
        state=state,
        value=value,
        params=dict(row["exploited"]["params"] if "exploited" in row else frozen.params),
        epochs=result.get("epochs", len(values)),
        reason=result.get("reason", ""),
        result=row,
        seconds=frozen.duration.total_seconds() if frozen.duration else None,
    )


def best_of(records: list[TrialRecord], *, maximise: bool) -> TrialRecord | None:
    """The best complete trial; of equal ones the earlier."""
    complete = [r for r in records if r.state == "complete" and r.value is not None]
    sign = 1.0 if maximise else -1.0
    return max(complete, key=lambda r: (sign * (r.value or 0.0), -r.number), default=None)
