"""The book of a study: which trials there are, what they reported, which of them still have to run.

The ledger, an Optuna storage of our own, is the truth about trials, their parameters and values; the trial folders hold
their files. Opening the book after a crash reconciles the two.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from raysearch.errors import SpaceError, StudyError
from raysearch.method import load_method
from raysearch.search._sampler import sampler_of
from raysearch.space import space_from_dict
from raysearch.study._enqueued import outside_the_space, refusal
from raysearch.study._journal import StudyJournal, quiet_optuna
from raysearch.study._judge import judge
from raysearch.study._outside import RESULT_ATTR
from raysearch.study._outside import judge as judge_entry
from raysearch.study._spent import spent_seconds, working_interval
from raysearch.study._study import Study
from raysearch.study._trial_record import Ended, State, TrialRecord, begun_records, best_of, ended_of, record_of
from raysearch.study._upstream import worked_on

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


class Settled(NamedTuple):
    """A trial that ended without having been trained."""

    number: int
    state: State
    reason: str


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
        self._notes: list[str] = []
        self._settled: list[Settled] = []
        self._untrained: list[int] = []
        self._journal = StudyJournal(
            study.ledger,
            study.journal,
            judge=lambda line: judge_entry(line, lambda point: refusal(point, self._space, config.sampler)),
            say=self._notes.append,
        )
        self._optuna = self._open_optuna(sampler_of(config.sampler, config.seed, self._space))
        self._open: dict[int, optuna.Trial] = {}
        self._rows: dict[int, list[dict[str, Any]]] = {}
        self._queue: deque[Assigned] = deque()
        self._begun = 0
        self._kept: list[tuple[float, int]] = []
        self._intervals: list[tuple[float, float]] = [*worked_on(study.path)]
        self._keys: dict[int, str] = {}
        """Configuration of each open trial that has one."""
        self._first: dict[str, int] = {}
        """Configuration -> the trial that has, or had, it first."""
        self._same: dict[int, list[int]] = {}
        """Trial -> open ones with its configuration, which wait for its record."""
        self.reports: list[Report] = []
        """Every epoch of the study, by earlier runs too, in the order of their recording."""
        self._reconcile()

    def _open_optuna(self, sampler: BaseSampler) -> optuna.Study:
        """The one study of the ledger: under the name that it was begun with, even in a folder that was copied."""
        storage = JournalStorage(self._journal)
        begun = storage.get_all_studies()
        if begun:
            return optuna.load_study(study_name=begun[0].study_name, storage=storage, sampler=sampler)
        self._refuse_strays(0)  # before anything is written
        name, direction = self._folders.name, self._folders.config.direction
        return optuna.create_study(study_name=name, storage=storage, sampler=sampler, direction=direction)

    @property
    def path(self) -> Path:
        """Folder of the study."""
        return self._folders.path

    # -- what is left to do

    @property
    def remaining(self) -> int:
        """Trials that are still to be handed out."""
        return len(self._queue) + max(0, self._folders.config.budget.samples - self._begun)

    def next(self, lets_go: Callable[[int], bool] = lambda number: True) -> Assigned | None:
        """The next trial: one that was interrupted, the first that may go on, or else a new one from the sampler.

        Trials that need no training are settled on the way (`settled`); None if no other was left, or if all that are
        left wait for the record of one that runs.
        """
        for assigned in self._queue:
            if lets_go(assigned.number):
                self._queue.remove(assigned)
                return assigned
        while self._begun < self._folders.config.budget.samples:
            self._journal.look()
            trial = self._optuna.ask()
            self._begun += 1
            new = self._assign(trial)
            if new is not None and not self._answered(new):
                return new
        return None

    def heard(self) -> list[str]:
        """What is to be said of what others have written to the journal, once."""
        self._journal.look()
        notes, self._notes[:] = list(self._notes), []
        return notes

    def settled(self) -> list[Settled]:
        """Trials that have ended without having been trained, once."""
        settled, self._settled = self._settled, []
        return settled

    def untrained(self) -> list[int]:
        """Numbers of trials that will never report: they have ended, or wait for the record of another; once."""
        numbers, self._untrained = self._untrained, []
        return numbers

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
        """Numbers of the trials that report nothing any more."""
        waiting = {number for numbers in self._same.values() for number in numbers}
        return [number for number in range(self._begun) if number not in self._open or number in waiting]

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
        ended = Ended(state, reason, kept, len(rows), configuration=self._keys.pop(number, None))
        self._tell(trial, ended)
        self._keep_checkpoints(number, ended.value)
        self._answer_all(number)
        return state, reason

    def _tell(self, trial: optuna.Trial, ended: Ended) -> None:
        self._keys.pop(trial.number, None)
        trial.set_user_attr(RESULT_ATTR, asdict(ended))
        if ended.value is not None:
            self._optuna.tell(trial, ended.value)
        else:
            self._optuna.tell(trial, state=TrialState.PRUNED if ended.state == "pruned" else TrialState.FAIL)

    # -- what was asked before

    def _answered(self, new: Assigned) -> bool:
        """Whether another trial has the configuration of a new one, which is then answered from that one's record, now
        or when there is one. That its worker groups died says nothing of its configuration."""
        if self._folders.config.scheduler == "pbt":
            return False  # whose trials change their settings on their way
        key = self._keys[new.number]
        first = self._first.setdefault(key, new.number)
        if first not in self._open and first != new.number and self.record(first).state == "crashed":
            first = self._first[key] = new.number
        if first == new.number:
            return False
        self._untrained.append(new.number)
        self._same.setdefault(first, []).append(new.number)
        if first not in self._open:
            self._answer_all(first)
        return True

    def _answer_all(self, first: int) -> None:
        """Answers the trials that wait for the record of `first`."""
        for number in self._same.pop(first, []):
            self._answer(self._open.pop(number), self.record(first))

    def _answer(self, trial: optuna.Trial, record: TrialRecord) -> None:
        reason = f"same configuration as trial {record.number}, not trained again"
        if record.reason:
            reason += f" ({record.state}: {record.reason})"
        self._end_untrained(trial, Ended(record.state, reason, record.result or None, 0, same_as=record.number))

    def _end_untrained(self, trial: optuna.Trial, ended: Ended) -> None:
        self._tell(trial, ended)
        self._settled.append(Settled(trial.number, ended.state, ended.reason))

    # -- what is known

    def records(self) -> list[TrialRecord]:
        return begun_records(self._optuna.get_trials(deepcopy=False))

    def record(self, number: int) -> TrialRecord:
        return record_of(self._frozen(number))

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
        self._refuse_strays(len(trials))
        if not trials and self._space.searched and self._folders.config.defaults is not None:
            self._optuna.enqueue_trial(self._space.first_point())
        recorded: list[tuple[float, Report]] = []
        for frozen in trials:
            if frozen.state == TrialState.WAITING:
                continue  # a point that was not asked for yet
            self._begun += 1
            rows = self._settle(frozen)
            self._intervals += map(working_interval, rows)
            times = accumulate((float(row["time"]) for row in rows), max)  # clocks may be set back
            reports = (Report(frozen.number, int(row["epoch"]), float(row["value"])) for row in rows)
            recorded += zip(times, reports, strict=True)
        self.reports = [report for _, report in sorted(recorded)]
        queued = sorted(self._queue, key=lambda assigned: assigned.number)
        trained = [assigned for assigned in queued if assigned.rows or not self._answered(assigned)]
        self._queue = deque(sorted(trained, key=_place_in_queue))
        self._journal.look()

    def _refuse_strays(self, known: int) -> None:
        """StudyError if there is a folder of a trial that the ledger does not know: its parameters are lost."""
        stray = self._folders.trial(known)
        if stray.config is not None:
            raise StudyError(
                f"{stray.path} holds trial {known}, and {self._folders.ledger} knows {known} trials only: restore the"
                " ledger or the journal beside it from a copy, or start a new study"
            )

    def _settle(self, frozen: FrozenTrial) -> list[dict[str, Any]]:
        """Brings a trial and its folder into agreement; all its rows."""
        number = frozen.number
        folder = self._folders.trial(number)
        rows = folder.rows()
        ended = ended_of(frozen)
        if frozen.state.is_finished():
            if ended is not None and ended.configuration is not None:
                self._first[ended.configuration] = number
            self._keep_checkpoints(number, frozen.value if frozen.state == TrialState.COMPLETE else None)
            return rows
        rows = self._recover_row(number, rows)
        self._open[number] = optuna.Trial(self._optuna, frozen._trial_id)
        for row in rows:
            self._take(number, row, told=row["epoch"] in frozen.intermediate_values)
        stored = folder.config
        if stored is not None:
            key = self._keys[number] = _configuration(stored)
            if rows or key not in self._first:
                self._first[key] = number
        if ended is not None and ended.configuration is None:
            self._tell(self._open.pop(number), ended)
        elif ended is not None:
            self.close(number, ended.state, ended.reason)
        elif rows and rows[-1]["finished"]:
            self.close(number, "complete")
        else:
            assigned = self._assign(self._open[number])
            if assigned is not None:
                self._queue.append(assigned)
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

    def _assign(self, trial: optuna.Trial) -> Assigned | None:
        """A trial with its settings; None if there are none for it, and it has failed."""
        self._open[trial.number] = trial
        folder = self._folders.trial(trial.number)
        stored = folder.config
        if stored is None:
            try:
                stored = self._sample(trial)
            except SpaceError as error:
                self._untrained.append(trial.number)
                self._end_untrained(self._open.pop(trial.number), Ended("failed", str(error), None, 0))
                return None
            folder.create(stored)
        self._keys[trial.number] = _configuration(stored)
        return Assigned(
            number=trial.number,
            config=stored["config"],
            thresholds=stored["thresholds"],
            rows=self._rows.get(trial.number, []),
        )

    def _sample(self, trial: optuna.Trial) -> dict[str, dict[str, Any]]:
        """What a new trial is trained with; SpaceError if the space has nothing for it."""
        config, thresholds = self._space.split(self._space.sample(trial))
        refused = outside_the_space(self._frozen(trial.number))
        if refused:
            raise SpaceError(f"the point that was enqueued: {refused}")
        return {"config": config, "thresholds": thresholds}

    def _frozen(self, number: int) -> FrozenTrial:
        storage, study = self._optuna._storage, self._optuna._study_id
        return storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study, number))

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


def _configuration(stored: dict[str, Any]) -> str:
    """Digest of what a trial is trained with: equal for trials that would be trained alike."""
    trained = [stored["config"], stored["thresholds"]]
    return hashlib.sha256(json.dumps(trained, sort_keys=True).encode()).hexdigest()[:16]


def _place_in_queue(assigned: Assigned) -> tuple[bool, float]:
    """Trials that were training when the study was interrupted go on first, then those that waited between two rounds
    of an alternation, the one that waited for longest at the front: the order in which an undisturbed study goes on."""
    last = assigned.rows[-1] if assigned.rows else None
    waited = last is not None and "alternation" in last and last["alternation"]["ends"]
    return bool(waited), float(last["time"]) if last is not None and waited else float(assigned.number)
