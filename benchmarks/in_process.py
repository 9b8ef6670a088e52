"""A configuration trained in this process as a study's worker would train it, without Ray."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from raysearch.data import guard
from raysearch.method import Method, Outcome, upstream_plan
from raysearch.study import Cluster, Prepared, Request, prepare
from raysearch.training import Assignment, Rule
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
    config, train, tuning = prepared.config, prepared.annotation.train, prepared.split.tuning
    collection = guard(prepared.collection, np.concatenate([train, tuning]))
    assignment = Assignment(
        collection=collection,
        train=train,
        tuning=tuning,
        annotated=prepared.annotation.annotated,
        labelled=prepared.labelling.labelled,
        seed=config.seed,
        epochs=config.budget.epochs,
        rule=Rule(metric=config.metric, per_class=config.per_class, evidence=tuple(config.evidence), seed=config.seed),
    )
    settings, _ = prepared.space.split(prepared.space.defaults())
    task = training_task(collection, prepared.labelling.labelled)
    return Job(prepared, prepared.method(prepared.method.Config(**settings), task), assignment)


def do_upstream(method: Method, assignment: Assignment) -> dict[str, Outcome]:
    """The outcomes of all of the method's upstream work, by name."""
    outcomes: dict[str, Outcome] = {}
    plan = upstream_plan(type(method), method.config, assignment.seed)
    for kind, work in zip(type(method).upstream(method.config), plan, strict=True):
        upstream = kind(method.config, method.task)
        upstream.outcomes = {name: outcomes[name] for name in kind.inputs}
        trainer = UpstreamTrainer(upstream, assignment, key=work["key"])
        while trainer.epoch < trainer.epochs:
            trainer.train_epoch()
        outcomes[kind.name] = trainer.outcome()
    return outcomes
