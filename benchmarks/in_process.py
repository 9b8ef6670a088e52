"""A configuration trained in this process as a study's worker would train it, without Ray."""

from __future__ import annotations

from typing import NamedTuple

from raysearch.method import Method, Outcome, upstream_plan
from raysearch.study import Cluster, Prepared, Request, prepare
from raysearch.study._assignment import assignment
from raysearch.training import Assignment
from raysearch.training._task import training_task
from raysearch.training._upstream import UpstreamTrainer


class Job(NamedTuple):
    """The default configuration of a request, and what it trains on."""

    prepared: Prepared
    method: Method
    assignment: Assignment


def job(request: Request) -> Job:
    """Settled as `raysearch tune` settles it."""
    prepared = prepare(request, Cluster(None))
    given = assignment(prepared)
    settings, _ = prepared.space.split(prepared.space.defaults())
    task = training_task(given.collection, prepared.labelling.labelled)
    return Job(prepared, prepared.method(prepared.method.Config(**settings), task), given)


def do_upstream(method: Method, given: Assignment) -> dict[str, Outcome]:
    """The outcomes of all of the method's upstream work, by name."""
    outcomes: dict[str, Outcome] = {}
    plan = upstream_plan(type(method), method.config, given.seed)
    for kind, work in zip(type(method).upstream(method.config), plan, strict=True):
        upstream = kind(method.config, method.task)
        upstream.outcomes = {name: outcomes[name] for name in kind.inputs}
        trainer = UpstreamTrainer(upstream, given, key=work["key"])
        while trainer.epoch < trainer.epochs:
            trainer.train_epoch()
        outcomes[kind.name] = trainer.outcome()
    return outcomes
