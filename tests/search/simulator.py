"""A search without Ray: the real book, searcher, scheduler and trainable, in the order in which Tune calls them, around
a worker group that computes `toy.value_of`. One slot, a clock of its own, and a machine that can be switched off at any
write."""

from __future__ import annotations

import builtins
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from optuna.storages.journal import JournalFileBackend
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from raysearch.search import _trainable
from raysearch.search._events import Events
from raysearch.search._scheduler import StudyScheduler, inner_scheduler
from raysearch.search._searcher import StudySearcher
from raysearch.search._trainable import SlotTrial
from raysearch.slots._client import Lease, TrialFailedError
from raysearch.study._book import Assigned, Book, TrialRecord
from raysearch.study._study import Study
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


class TuneTrial:
    """What Tune's controller knows of a trial, as far as it is asked."""

    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id
        self.status = Trial.PENDING


class Client:
    """`SlotClient` over a group in this process; `trained` counts the epochs of each trial that were computed."""

    def __init__(self, epochs: int, trained: list[tuple[int, int]], clock: Iterator[int]) -> None:
        self._epochs = epochs
        self._trained = trained
        self._clock = clock
        self.leased = 0

    def lease(self) -> Lease:
        self.leased += 1
        assert self.leased == 1, "there is one slot"
        return Lease(0, "g")

    def release(self, lease: Lease) -> None:
        self.leased -= 1

    def call(self, lease: Lease, name: str, payload: Any = None) -> Any:
        assert self.leased == 1, "a command without a lease"
        return getattr(self, name)(payload)

    def start(self, payload: dict[str, Any]) -> None:
        self._trial, self._config = payload["number"], payload["config"]
        checkpoint = payload["checkpoint"]
        self._epoch = 0 if checkpoint is None else decode(checkpoint, "test")["trainer"]["epoch"]

    def epoch(self, thresholds: dict[str, Any]) -> dict[str, Any]:
        if self._config["depth"] == 1 and self._config["mode"] == "gated":
            raise TrialFailedError("error", "ValueError: no gate is so shallow", "Traceback ...")
        self._epoch += 1
        self._trained.append((self._trial, self._epoch))
        value = value_of(self._config, self._epoch)
        row = {
            "time": float(next(self._clock)),
            "epoch": self._epoch,
            "value": value,
            "metrics": {"f1_plus": value},
            "thresholds": thresholds,
            "losses": {"loss": 0.5, "train_seconds": 0.5},
            "evaluate_seconds": 0.25,
            "finished": self._epoch >= self._epochs,
        }
        trainer = {"epoch": self._epoch, "model": {"weight": torch.tensor([float(self._epoch)])}}
        return {"row": row, "evidence": b"%d" % self._epoch, "checkpoint": encode({"trainer": trainer, "row": row})}

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
        patch.setattr(os, "fsync", lambda descriptor: None)  # no test here pulls the plug
        self._patch = patch

    def run(self, study: Study) -> Book:
        """A whole search, or what is left of one."""
        book = Book(study)
        log = Log()
        self.events = log.lines
        events = Events(log)
        client = Client(study.config.budget.epochs, self.trained, self._clock)
        self._patch.setattr(_trainable, "SlotClient", lambda pool: client)
        while book.remaining:
            searcher = StudySearcher(book, slots=1, make_config=lambda t: trial_config(study, t), events=events)
            inner = inner_scheduler(
                study.config.scheduler,
                epochs=study.config.budget.epochs,
                maximise=study.config.direction == "maximize",
            )
            scheduler = StudyScheduler(inner, searcher)
            scheduler.replay(book.reports)
            tuner(searcher, scheduler)
        assert client.leased == 0
        return book


def trial_config(study: Study, trial: Assigned) -> dict[str, Any]:
    return {
        "pool": "pool",
        "number": trial.number,
        "config": trial.config,
        "thresholds": trial.thresholds,
        "folder": str(study.trial(trial.number).path),
        "judge": {"select": study.config.select, "maximise": study.config.direction == "maximize"},
    }


def tuner(searcher: StudySearcher, scheduler: StudyScheduler) -> None:
    """Tune's loop, with one trial at a time on one process that is used again."""
    thin: SlotTrial | None = None
    for name in map("tune{}".format, itertools.count()):
        config = searcher.suggest(name)
        if config == Searcher.FINISHED:
            break
        trial = TuneTrial(name)
        scheduler.on_trial_add(None, trial)
        assert scheduler.choose_trial_to_run(None) is trial
        assert searcher.suggest("another") is None, "the slot is taken"
        trial.status = Trial.RUNNING
        if thin is None:
            thin = object.__new__(SlotTrial)
            thin.setup(config)
        else:
            assert thin.reset_config(config)
        while True:
            result = thin.step()
            if not result["done"] and scheduler.on_trial_result(None, trial, result) != "STOP":
                searcher.on_trial_result(name, result)
                continue
            result["done"] = True
            trial.status = Trial.TERMINATED
            scheduler.on_trial_complete(None, trial, result)
            searcher.on_trial_complete(name, result=result)
            break
    if thin is not None:
        thin.cleanup()


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
    real_replace, real_link, real_append = os.replace, os.link, JournalFileBackend.append_logs

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

    def append_logs(backend: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        def half() -> None:
            real_append(backend, logs)
            size = os.path.getsize(backend._file_path)
            os.truncate(backend._file_path, size - 17)

        tick("journal", half)
        real_append(backend, logs)

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
    patch.setattr(JournalFileBackend, "append_logs", append_logs)
    patch.setattr("raysearch.study._trial_folder.open", lambda path, mode: Appending(path), raising=False)
    try:
        yield seen
    finally:
        for owner, name, real in (
            (Path, "write_bytes", real_write), (Path, "unlink", real_unlink), (os, "replace", real_replace),
            (os, "link", real_link), (JournalFileBackend, "append_logs", real_append),
        ):  # fmt: skip
            patch.setattr(owner, name, real)
        patch.delattr("raysearch.study._trial_folder.open")


def outcome(records: list[TrialRecord]) -> list[tuple[Any, ...]]:
    """What two runs of one study have in common, whatever happened to them."""
    return [(r.number, r.state, r.value, r.params, r.epochs, r.reason, r.result.get("epoch")) for r in records]


def epochs_of(study: Study) -> dict[int, list[int]]:
    folders = {int(path.name): study.trial(int(path.name)) for path in (study.path / "trials").iterdir()}
    return {number: [row["epoch"] for row in folder.rows()] for number, folder in sorted(folders.items())}
