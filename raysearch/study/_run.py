"""The main flow: a study's search, from an open book to its end or to the reason why it stopped."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from raysearch import _signals
from raysearch.data import reopen_collection
from raysearch.errors import RaysearchError, StorageError
from raysearch.method import load_method
from raysearch.search._events import TIME_IS_UP, Events, Listener, Stop
from raysearch.study._book import Assigned, Book
from raysearch.study._cluster import Cluster
from raysearch.study._scratch import scratch_folder
from raysearch.study._study import Study, disk_full, is_disk_full
from raysearch.study._upstream import shared_work
from raysearch.study._workload_spec import workload_spec

if TYPE_CHECKING:
    from raysearch.search._rules import Rules


def run_study(study: Study, cluster: Cluster, listen: Callable[[Book], Listener]) -> Stop | None:
    """Runs what is left of a study's budget; None if it ended by itself.

    Everything that was reported is on disk when this returns or raises, and `run_study` again goes on from there. The
    caller holds the study (`Study.hold`).

    Args:
        cluster: where to run.
        listen: makes the display that is told what happens.

    Raises:
        DataError: the data is not there, or not what it was when the study was made.
        StorageError: the disk is full.
        RaysearchError: no worker group can be started.
    """
    study.stop_file.unlink(missing_ok=True)
    try:
        book = Book(study)
        events = Events(listen(book))
        for text in book.heard():
            events.told(text)
        for ended in book.settled():
            events.ended(*ended)
        if not book.remaining:
            return None
        limit = study.config.budget.seconds
        left = None if limit is None else limit - book.spent
        if left is not None and left <= 0:
            return Stop("time", TIME_IS_UP)
        try:
            try:
                events.watch(study.stop_file)
                _search(study, cluster, book, events, left)
            finally:
                events.close()
        except KeyboardInterrupt:
            events.stop = events.stop or Stop("interrupt", _signals.reason())
    except OSError as error:
        if is_disk_full(error):
            raise disk_full(study.path) from None
        raise
    if events.stop is not None and events.stop.kind == "fatal":
        if events.stop.errno is not None and is_disk_full(OSError(events.stop.errno, "")):
            raise disk_full(study.path)
        cause = StorageError if events.stop.errno is not None else RaysearchError
        raise cause(f"{events.stop.reason}; 'raysearch resume {study.typed}' goes on")
    if events.stop is None and book.remaining:
        return Stop("time", TIME_IS_UP)
    return events.stop


def _search(study: Study, cluster: Cluster, book: Book, events: Events, seconds: float | None) -> None:
    """Ray Tune over the study's slots, as successive Tuners until the book has nothing left, or so many seconds after
    the first slot is up."""
    from ray import tune

    from raysearch.search._alternating import AlternatingScheduler
    from raysearch.search._planner import start_planner
    from raysearch.search._scheduler import StudyScheduler, rules_of
    from raysearch.search._searcher import StudySearcher
    from raysearch.search._trainable import SlotTrial
    from raysearch.slots import GroupSpec, start_slots

    config = study.config
    method = load_method(config.method)
    reopen_collection(config.data, method.view, config.fingerprint)  # no worker has to start to find it changed
    maximise = config.direction == "maximize"
    with scratch_folder() as scratch:
        spec = GroupSpec(
            workload=workload_spec(study),
            workers=config.resources.workers,
            cpus=config.resources.cpus,
            gpus=config.resources.gpus,
            storage=str(scratch),
            patience=config.budget.step_seconds,
        )
        with cluster.connect(scratch):
            slots = start_slots(spec, config.resources.slots)
            try:
                slots.wait_for_first()
                events.give(seconds)
                handed_out = itertools.count()
                planner = start_planner(study, events) if config.alternate else None

                def make_config(trial: Assigned, rules: Rules) -> dict[str, Any]:
                    renewed = rules.renewed(trial.number)
                    exploited = renewed.get("exploited")
                    return {
                        "pool": slots.pool,
                        "number": trial.number,
                        "config": trial.config,
                        "thresholds": trial.thresholds,
                        "study": str(study.path.resolve()),
                        "upstream": shared_work(method, trial.config, config.seed),
                        "folder": str(study.trial(trial.number).path.resolve()),
                        "judge": {"select": config.select, "maximise": maximise},
                        "epochs": config.budget.epochs,
                        "trial_seconds": config.budget.trial_seconds,
                        "deadline": events.deadline,
                        "grace": next(handed_out) == 0,
                        "pauses": rules.pauses(trial.number),
                        "exploited": None,
                        "round": planner.resume(trial, exploited) if planner else None,
                        **renewed,
                    }

                while book.remaining and not events.stopping:
                    rules = rules_of(study, book)
                    searcher = StudySearcher(
                        book, slots=config.resources.slots, make_config=partial(make_config, rules=rules), events=events
                    )
                    if planner:
                        for number in planner.prepare(book.queued):
                            searcher.ended_before(number, "complete")
                    scheduler = StudyScheduler(rules, searcher, slots=config.resources.slots)
                    scheduler.replay(book.reports, book.ended)
                    if planner:
                        scheduler = AlternatingScheduler(
                            scheduler, searcher, planner, slots=config.resources.slots, events=events
                        )
                    if not book.remaining:
                        break  # it was only left to stop what had been interrupted
                    tuner = tune.Tuner(
                        tune.with_resources(SlotTrial, cluster.beside_the_driver()),
                        tune_config=tune.TuneConfig(
                            search_alg=searcher,
                            scheduler=scheduler,
                            num_samples=-1,
                            reuse_actors=True,
                        ),
                        run_config=tune.RunConfig(
                            storage_path=str(scratch), name=f"tune-{time.time_ns()}", verbose=0, callbacks=[]
                        ),
                    )
                    with events.insisting():
                        tuner.fit()
            finally:
                if cluster.shared:
                    with _signals.deferred():
                        slots.stop()
