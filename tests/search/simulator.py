"""A search without Ray: the real book, searcher, scheduler and trainable, in the order in which Tune calls them, around
a worker group that computes `toy.value_of`. One slot, a clock of its own, and a machine that can be switched off at any
write."""

from __future__ import annotations

import builtins
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from raysearch import _signals
from raysearch.alternation import Next, Outcome, Proposal, StepRule, Thresholds, facts
from raysearch.method import LossThreshold
from raysearch.search import _clock, _trainable
from raysearch.search._alternating import AlternatingScheduler
from raysearch.search._events import Events
from raysearch.search._planner import RoundPlanner
from raysearch.search._rules import Rules
from raysearch.search._scheduler import StudyScheduler, rules_of
from raysearch.search._searcher import StudySearcher
from raysearch.search._trainable import SlotTrial
from raysearch.slots._client import Lease, TrialFailedError
from raysearch.study._book import Assigned, Book
from raysearch.study._journal import StudyJournal
from raysearch.study._ledger import Ledger
from raysearch.study._study import Study
from raysearch.study._trial_record import TrialRecord
from raysearch.training import decode, encode
from search.toy import value_of

Result = dict[str, Any]


class Log:
    """A display that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def started(self, number: int) -> None:
        self.lines.append(("started", number))

    def reported(self, number: int, row: Result) -> None:
        self.lines.append(("reported", number, row["epoch"]))

    def ended(self, number: int, state: str, reason: str) -> None:
        self.lines.append(("ended", number, state, reason))

    def noted(self, number: int, text: str) -> None:
        self.lines.append(("noted", number, text))

    def told(self, text: str) -> None:
        self.lines.append(("told", text))


class TuneTrial:
    """What Tune's controller knows of a trial, as far as it is asked."""

    def __init__(self, trial_id: str, config: dict[str, Any] | None = None) -> None:
        self.trial_id = trial_id
        self.status = Trial.PENDING
        self.config = config or {}

    def set_config(self, config: dict[str, Any]) -> None:
        self.config = config or {}


class Controller:
    """Tune's loop, with one trial at a time on one process that is used again."""

    def __init__(self, searcher: StudySearcher, scheduler: TrialScheduler) -> None:
        self._searcher = searcher
        self._scheduler = scheduler
        self._trials: list[TuneTrial] = []
        self._thin: SlotTrial | None = None

    def run(self) -> None:
        """Until nothing is left, or the search is interrupted."""
        with suppress(KeyboardInterrupt):
            self._run()
            assert all(trial.status == Trial.TERMINATED for trial in self._trials)
        if self._thin is not None:
            self._thin.cleanup()

    def _run(self) -> None:
        for name in map("tune{}".format, itertools.count()):
            config = self._searcher.suggest(name)
            if config == Searcher.FINISHED:
                break
            if config is not None:
                self._trials.append(TuneTrial(name, config))
                self._scheduler.on_trial_add(self, self._trials[-1])
                assert self._searcher.suggest("another") is None, "the slot is taken"
            chosen = self._scheduler.choose_trial_to_run(self)
            assert chosen is not None, "nothing runs and nothing starts"
            self._turn(chosen)

    def get_trials(self) -> list[TuneTrial]:
        return self._trials

    def get_live_trials(self) -> list[TuneTrial]:
        return [trial for trial in self._trials if trial.status != Trial.TERMINATED]

    def pause_trial(self, trial: TuneTrial, should_checkpoint: bool = True) -> None:
        trial.status = Trial.PAUSED

    def stop_trial(self, trial: TuneTrial) -> None:
        self._scheduler.on_trial_remove(self, trial)
        self._searcher.on_trial_complete(trial.trial_id)
        trial.status = Trial.TERMINATED

    def _turn(self, trial: TuneTrial) -> None:
        """Runs a trial until it ends or is paused."""
        trial.status = Trial.RUNNING
        if self._thin is None:
            self._thin = object.__new__(SlotTrial)
            self._thin.setup(trial.config)
        else:
            assert self._thin.reset_config(trial.config)
        while trial.status == Trial.RUNNING:
            result = self._thin.step()
            decision = "STOP" if result["done"] else self._scheduler.on_trial_result(self, trial, result)
            if decision == "STOP":
                result["done"] = True
                trial.status = Trial.TERMINATED
                self._scheduler.on_trial_complete(self, trial, result)
                self._searcher.on_trial_complete(trial.trial_id, result=result)
                return
            self._searcher.on_trial_result(trial.trial_id, result)
            if decision == "PAUSE":
                self.pause_trial(trial)


class Steps:
    """`ThresholdSteps` in this process: `propose` makes the thresholds of the next round from the kept ones."""

    def __init__(self, propose: Callable[[int, Thresholds, int], Thresholds]) -> None:
        self._propose = propose

    def start(self, number: int, following: Next, history: tuple[Outcome, ...], evidence: Path) -> Any:
        assert following.thresholds is not None
        epoch = int(evidence.read_bytes())
        return lambda: self._propose(number, following.thresholds or {}, epoch)

    def ready(self, step: Any, *, seconds: float = 0.0) -> bool:
        return True

    def proposal(self, step: Any) -> Proposal:
        return Proposal(step(), ())


class Client:
    """`SlotClient` over a group in this process; `trained` counts the epochs of each trial that were computed."""

    def __init__(self, epochs: int, trained: list[tuple[int, int]], clock: Iterator[int], stage_ends: int) -> None:
        self._epochs = epochs
        self._stage_ends = stage_ends
        self._trained = trained
        self._clock = clock
        self.leased = 0

    def lease(self) -> Lease:
        self.leased += 1
        assert self.leased == 1, "there is one slot"
        return Lease(0, "g")

    def release(self, lease: Lease) -> None:
        self.leased -= 1

    def call(self, lease: Lease, name: str, payload: Any = None, *, seconds: float | None = None) -> Any:
        assert self.leased == 1, "a command without a lease"
        return getattr(self, name)(payload)

    def start(self, payload: dict[str, Any]) -> bool:
        if payload["epoch"] and payload["checkpoint"] is None:
            return False
        self._trial, self._config, self._round = payload["number"], payload["config"], payload["round"]
        self._epoch, self._weights = 0, 0.0
        if payload["checkpoint"] is not None:
            state = decode(payload["checkpoint"], "test")["trainer"]
            self._epoch, self._weights = state["epoch"], float(state["model"]["weight"])
        self._exploited = payload["exploited"]
        if self._exploited is not None and self._exploited["epoch"] == payload["epoch"]:
            self._epoch = payload["epoch"]
        assert self._epoch == payload["epoch"]
        if payload["kept"] is not None:
            self._weights = float(decode(payload["kept"], "test")["trainer"]["model"]["weight"])
        return True

    def epoch(self, thresholds: dict[str, Any]) -> dict[str, Any]:
        if self._config["depth"] == 1 and self._config["mode"] == "gated":
            raise TrialFailedError("error", "ValueError: no gate is so shallow", "Traceback ...")
        self._epoch += 1
        self._trained.append((self._trial, self._epoch))
        value = value_of(self._config, self._epoch)
        if self._round is not None:
            # what was learnt under which thresholds stays in the weights
            reachable = 1.0 - abs(self._round["thresholds"]["tau"]["a"] - TARGET)
            self._weights += 0.7 * (reachable - self._weights)
            value = round(self._weights, 3)
        elif value == value:
            self._weights += value
        row = {
            "time": float(next(self._clock)),
            "epoch": self._epoch,
            "value": value,
            "metrics": {"f1_plus": value},
            "thresholds": thresholds,
            "losses": {"loss": 0.5, "train_seconds": 0.5},
            "evaluate_seconds": 0.25,
            "last_stage": self._epoch > self._stage_ends,
            "finished": self._epoch >= self._epochs,
        }
        if self._round is not None:
            row["alternation"] = facts(
                self._round,
                epoch=self._epoch,
                finished=row["finished"],
                value=value,
                stage_ends=self._epoch == self._stage_ends,
            )
        if self._exploited is not None:
            row["exploited"] = self._exploited
        trainer = {"epoch": self._epoch, "model": {"weight": torch.tensor([self._weights], dtype=torch.float64)}}
        return {"row": row, "evidence": b"%d" % self._epoch, "checkpoint": encode({"trainer": trainer, "row": row})}

    def park(self, payload: None) -> None:
        del self._config

    def end(self, payload: None) -> None:
        del self._config


class Machine:
    """Runs studies; a run that is switched off leaves only what is on disk.

    Attributes:
        trained: (trial, epoch) of every epoch that was computed, over all runs.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.trained: list[tuple[int, int]] = []
        self.events: list[tuple[Any, ...]] = []
        self._clock = itertools.count(1)
        patch.setattr(_trainable.ray, "get", lambda reference: reference)
        patch.setattr(_trainable.ray, "put", lambda value: value)
        patch.setattr(os, "fsync", lambda descriptor: None)  # no test here pulls the plug
        patch.setattr(_clock, "monotonic", lambda: float(len(self.trained)))
        patch.setattr(_signals, "wake", _interrupt)
        self._patch = patch

    def _planner(self, study: Study, events: Events) -> RoundPlanner | None:
        config = study.config
        if config.alternate is None:
            return None
        rule = StepRule(
            proposer=config.alternate,
            specs=(LossThreshold(name="tau"),),
            moved=("tau",),
            start={},
            classes=("a", "b"),
            slack_weight=0.5,
            seed=0,
            origin="",
        )
        return RoundPlanner(
            Steps(toward_target),  # type: ignore[arg-type]
            rule=rule,
            epochs=config.round_epochs,
            evidence=lambda number: study.trial(number).last_evidence,
            events=events,
        )

    def run(self, study: Study, *, epochs: int | None = None) -> Book:
        """A whole search, or what is left of one; or what of it begins until some epochs were computed."""
        book = Book(study)
        log = Log()
        self.events = log.lines
        events = Events(log)
        # where trials are compared too, stages end elsewhere than rounds
        stage_ends = 0 if study.config.scheduler == "fifo" else STAGE_ENDS
        client = Client(study.config.budget.epochs, self.trained, self._clock, stage_ends)
        self._patch.setattr(_trainable, "SlotClient", lambda pool: client)
        planner = self._planner(study, events)
        events.give(epochs)
        handed_out = itertools.count()
        while book.remaining and not events.stopping:
            rules = rules_of(study, book)
            make_config = partial(
                trial_config, study=study, rules=rules, planner=planner, events=events, handed_out=handed_out
            )
            searcher = StudySearcher(book, slots=1, make_config=make_config, events=events)
            for number in planner.prepare(book.queued) if planner else ():
                searcher.ended_before(number, "complete")
            scheduler = StudyScheduler(rules, searcher, slots=1)
            scheduler.replay(book.reports, book.ended)
            if planner is not None:
                scheduler = AlternatingScheduler(scheduler, searcher, planner, slots=1, events=events)
            Controller(searcher, scheduler).run()
        assert events.stop is None or events.stop.kind == "time"
        assert client.leased == 0
        return book


def _interrupt() -> None:
    raise KeyboardInterrupt


def trial_config(
    trial: Assigned, study: Study, rules: Rules, planner: RoundPlanner | None, events: Events, handed_out: Iterator[int]
) -> dict[str, Any]:
    renewed = rules.renewed(trial.number)
    return {
        "pool": "pool",
        "number": trial.number,
        "config": trial.config,
        "thresholds": trial.thresholds,
        "study": str(study.path),
        "upstream": [],
        "folder": str(study.trial(trial.number).path),
        "judge": {"select": study.config.select, "maximise": study.config.direction == "maximize"},
        "epochs": study.config.budget.epochs,
        "trial_seconds": study.config.budget.trial_seconds,
        "deadline": events.deadline,
        "grace": next(handed_out) == 0,
        "pauses": rules.pauses(trial.number),
        "exploited": None,
        "round": None if planner is None else planner.resume(trial, renewed.get("exploited")),
        **renewed,
    }


TARGET = 0.4
"""The threshold under which weights learn best."""


STAGE_ENDS = 3


def toward_target(number: int, kept: Thresholds, epoch: int) -> Thresholds:
    """Half-way to the target, but every third proposal goes far astray, and is to be taken back.

    Args:
        epoch: of which the evidence is.
    """
    astray = (number + (epoch + 1) // 2) % 3 == 2
    return {"tau": {label: 0.99 if astray else (value + TARGET) / 2 for label, value in kept["tau"].items()}}


class Killed(BaseException):
    """The machine was switched off."""


@contextmanager
def switched_off(patch: pytest.MonkeyPatch, write: int, *, torn: bool) -> Iterator[list[str]]:
    """Raises `Killed` at write number `write` (from 0) to anything on disk, before it or, `torn`, half-way through it;
    yields the list of writes so far. ``-1`` lets all of them pass."""
    seen: list[str] = []

    def tick(what: str, half: Callable[[], Any] | None = None) -> None:
        seen.append(what)
        if len(seen) - 1 == write:
            if torn and half is not None:
                half()
            raise Killed(what)

    real_write, real_unlink, real_open = Path.write_bytes, Path.unlink, builtins.open
    real_replace, real_link = os.replace, os.link
    real_append, real_publish = Ledger.append, StudyJournal._publish
    appended, published = itertools.count(), itertools.count()

    def write_bytes(path: Path, data: bytes) -> int:
        tick(f"write {path.name}", lambda: real_write(path, data[: len(data) // 2]))
        return real_write(path, data)

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.exists():
            tick(f"delete {path.name}")
        real_unlink(path, missing_ok)

    def replace(source: Path, target: Path) -> None:
        tick(f"rename {Path(target).name}")
        real_replace(source, target)

    def link(source: Path, target: Path) -> None:
        tick(f"link {target.name}")
        real_link(source, target)

    def append(ledger: Ledger, entry: bytes) -> bytes:
        def half() -> None:
            real_append(ledger, entry)
            os.truncate(ledger.path, os.path.getsize(ledger.path) - 17)

        if next(appended) % 2 == 0:  # every one of them would take long
            tick("ledger", half)
        return real_append(ledger, entry)

    def publish(journal: StudyJournal, lines: Sequence[bytes]) -> None:
        if next(published) % 5 == 0:
            tick("journal", lambda: real_publish(journal, [b"".join(lines)[:-17]]))
        real_publish(journal, lines)

    class Appending:
        def __init__(self, path: Path) -> None:
            self._path = path

        def __enter__(self) -> Appending:
            return self

        def __exit__(self, *exception: object) -> None:
            pass

        def write(self, data: bytes) -> None:
            with real_open(self._path, "ab") as file:
                tick("metrics", lambda: file.write(data[: len(data) // 2]))
                file.write(data)

    patch.setattr(Path, "write_bytes", write_bytes)
    patch.setattr(Path, "unlink", unlink)
    patch.setattr(os, "replace", replace)
    patch.setattr(os, "link", link)
    patch.setattr(Ledger, "append", append)
    patch.setattr(StudyJournal, "_publish", publish)
    patch.setattr("raysearch.study._trial_folder.open", lambda path, mode: Appending(path), raising=False)
    try:
        yield seen
    finally:
        for owner, name, real in (
            (Path, "write_bytes", real_write), (Path, "unlink", real_unlink), (os, "replace", real_replace),
            (os, "link", real_link), (Ledger, "append", real_append), (StudyJournal, "_publish", real_publish),
        ):  # fmt: skip
            patch.setattr(owner, name, real)
        patch.delattr("raysearch.study._trial_folder.open")


def outcome(records: list[TrialRecord]) -> list[tuple[Any, ...]]:
    """What two runs of one study have in common, whatever happened to them."""
    return [(r.number, r.state, r.value, r.params, r.epochs, r.reason, r.result.get("epoch")) for r in records]


def epochs_of(study: Study) -> dict[int, list[int]]:
    folders = {int(path.name): study.trial(int(path.name)) for path in (study.path / "trials").iterdir()}
    return {number: [row["epoch"] for row in folder.rows()] for number, folder in sorted(folders.items())}
