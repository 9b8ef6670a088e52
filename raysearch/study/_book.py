"""The book of a study: which trials there are, what they reported, which of them still have to run.

Optuna's storage is the truth about trials, their parameters and values; the trial folders hold their files. Opening the
book after a crash reconciles the two.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from raysearch.method import load_method
from raysearch.search._journal import open_journal, quiet_optuna
from raysearch.search._sampler import sampler_named
from raysearch.space import AnySpace, space_from_dict
from raysearch.study._study import Study

State = Literal["running", "complete", "pruned", "failed", "crashed"]
"""``failed``: the trial's own work could not go on (non-finite loss, an error in the method). ``crashed``: its worker
groups died under it, time after time. ``pruned``: the scheduler stopped it."""

STATE_ATTR, REASON_ATTR, RESULT_ATTR = "state", "reason", "result"


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """A trial to be run: its number, the method's settings, the decision thresholds where they are not solved."""

    number: int
    config: dict[str, Any]
    thresholds: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial as the book shows it."""

    number: int
    state: State
    value: float | None
    params: dict[str, Any]
    epochs: int
    reason: str
    result: dict[str, Any]
    """Row of metrics.jsonl that the trial is judged by; empty if it has none."""
    seconds: float | None


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
            sampler=sampler_named(config.sampler, config.seed),
            direction=config.direction,
            load_if_exists=True,
        )
        self._open: dict[int, optuna.Trial] = {}
        self._rows: dict[int, list[dict[str, Any]]] = {}
        self._queue: deque[Assigned] = deque()
        self._begun = 0
        self._kept: list[tuple[float, int]] = []
        self.replay: list[tuple[int, dict[str, Any]]] = []
        """(number, row) of every epoch recorded before the book was opened, in the order of their recording."""
        self._reconcile()

    # -- what is left to do

    @property
    def remaining(self) -> int:
        """Trials that are still to be handed out."""
        return len(self._queue) + max(0, self._folders.config.budget.samples - self._begun)

    def next(self) -> Assigned:
        """The next trial: one that was interrupted, or a new one from the sampler."""
        if self._queue:
            return self._queue.popleft()
        trial = self._optuna.ask()
        self._begun += 1
        return self._assign(trial)

    # -- what trials report

    def report(self, number: int, row: dict[str, Any]) -> None:
        """An epoch that the trial's folder already holds."""
        rows = self._rows.setdefault(number, [])
        if any(r["epoch"] == row["epoch"] for r in rows):
            return
        rows.append(row)
        value = float(row["value"])
        if math.isfinite(value):
            self._open[number].report(value, int(row["epoch"]))

    def close(self, number: int, state: State, reason: str = "") -> None:
        """Ends a trial and keeps the checkpoints that the study has room for."""
        trial = self._open.pop(number)
        judged = judge(self._rows.get(number, []), maximise=self._maximise, select=self._folders.config.select)
        trial.set_user_attr(
            RESULT_ATTR, {"state": state, "reason": reason, "row": judged, "epochs": len(self._rows.get(number, []))}
        )
        value = float(judged["value"]) if state == "complete" and judged is not None else None
        if value is not None:
            self._optuna.tell(trial, value)
        else:
            self._optuna.tell(trial, state=TrialState.PRUNED if state == "pruned" else TrialState.FAIL)
        self._rows.pop(number, None)
        self._keep_checkpoints(number, value)

    # -- what is known

    def records(self) -> list[TrialRecord]:
        return [record_of(t) for t in self._optuna.get_trials(deepcopy=False)]

    def record(self, number: int) -> TrialRecord:
        return record_of(self._optuna.get_trials(deepcopy=False)[number])

    def best(self) -> TrialRecord | None:
        return best_of(self.records(), maximise=self._maximise)

    # -- opening

    def _reconcile(self) -> None:
        """Finishes what a crash left between two writes: a finished trial is told, an interrupted one queued."""
        default_wanted = not self._optuna.get_trials(deepcopy=False)
        if default_wanted and self._space.searched:
            self._optuna.enqueue_trial(searched_defaults(self._space))
        recorded: list[tuple[float, int, dict[str, Any]]] = []
        for frozen in self._optuna.get_trials(deepcopy=False):
            if frozen.state == TrialState.WAITING:
                continue  # the defaults, not asked for yet
            self._begun += 1
            folder = self._folders.trial(frozen.number)
            rows = folder.rows()
            if frozen.state == TrialState.COMPLETE:
                self._keep_checkpoints(frozen.number, frozen.value)
            elif not frozen.state.is_finished():
                rows = self._recover_row(frozen.number, rows)
                self._reopen(frozen, rows)
            recorded += [(r.get("time", 0.0), frozen.number, r) for r in rows]
        self.replay = [(number, row) for _, number, row in sorted(recorded, key=lambda x: (x[0], x[1]))]

    def _recover_row(self, number: int, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Adds the epoch whose checkpoint was written just before the crash, and its line not yet."""
        folder = self._folders.trial(number)
        if not folder.last.exists():
            return rows
        from raysearch.training import decode

        row = decode(folder.last.read_bytes(), str(folder.last))["row"]
        if not rows or rows[-1]["epoch"] < row["epoch"]:
            folder.append(row)
            rows = [*rows, row]
        return rows

    def _reopen(self, frozen: FrozenTrial, rows: list[dict[str, Any]]) -> None:
        number = frozen.number
        self._open[number] = optuna.Trial(self._optuna, frozen._trial_id)
        for row in rows:
            if row["epoch"] in frozen.intermediate_values:
                self._rows.setdefault(number, []).append(row)
            else:
                self.report(number, row)
        if rows and rows[-1]["finished"]:
            self.close(number, "complete")
        else:
            self._queue.append(self._assign(self._open[number]))

    def _assign(self, trial: optuna.Trial) -> Assigned:
        self._open[trial.number] = trial
        folder = self._folders.trial(trial.number)
        stored = folder.config
        if stored is None:
            config, thresholds = self._space.split(self._space.sample(trial))
            stored = {"config": config, "thresholds": thresholds}
            folder.create(stored)
        return Assigned(number=trial.number, config=stored["config"], thresholds=stored["thresholds"])

    def _keep_checkpoints(self, number: int, value: float | None) -> None:
        """At most `keep_checkpoints` finished trials keep their weights: the best ones."""
        if value is not None:
            bisect.insort(self._kept, (-value if self._maximise else value, number))
        dropped = {n for _, n in self._kept[self._folders.config.keep_checkpoints :]}
        del self._kept[self._folders.config.keep_checkpoints :]
        if value is None:
            dropped.add(number)
        for other in dropped | {number}:
            self._folders.trial(other).drop_checkpoints(keep_best=other not in dropped)


def searched_defaults(space: AnySpace) -> dict[str, Any]:
    """Default of everything that is searched, by its name in Optuna: the first trial of a study."""
    defaults = space.defaults()
    out = {}
    for asked in space.distributions():
        name, _, label = asked.partition("[")
        out[asked] = defaults[name][label[:-1]] if label else defaults[name]
    return out


def judge(rows: list[dict[str, Any]], *, maximise: bool, select: str) -> dict[str, Any] | None:
    """The row that a trial is judged by: its last one, or its best one (of equal ones the later, as in paper 004)."""
    usable = [r for r in rows if math.isfinite(r["value"])]
    if not usable:
        return None
    if select == "last":
        return usable[-1]
    sign = 1.0 if maximise else -1.0
    return max(usable, key=lambda r: (sign * r["value"], r["epoch"]))


def record_of(frozen: FrozenTrial) -> TrialRecord:
    """What Optuna's storage says of a trial."""
    result = frozen.user_attrs.get(RESULT_ATTR, {})
    state: State = result.get("state") or {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }.get(frozen.state, "running")
    row = result.get("row") or {}
    values = frozen.intermediate_values
    value = frozen.value if frozen.state == TrialState.COMPLETE else row.get("value")
    return TrialRecord(
        number=frozen.number,
        state=state,
        value=value,
        params=dict(frozen.params),
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
