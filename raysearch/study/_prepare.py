"""From what the user asked for to a study with every default filled in, or to one line that says what is wrong."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from raysearch import __version__
from raysearch.data import Annotation, AnySpec, Collection, Labelling, Split
from raysearch.data._pool import pool_of
from raysearch.errors import UserError
from raysearch.method import Method, Task, load_method
from raysearch.search._grid import narrowed
from raysearch.search._hyperband import check_hyperband
from raysearch.search._pbt import check_mutable, check_population
from raysearch.search._sampler import check_sampler, check_samples, most_trials
from raysearch.space import AnySpace, Space, load_space, settings_by_file
from raysearch.study._alternate import alternation, loss_mode
from raysearch.study._check_method import check_method
from raysearch.study._cluster import Cluster
from raysearch.study._config import GRID, Budget, SchedulerName, StudyConfig
from raysearch.study._data import boundless, check_batch, data_spec, limits, read_data, task_of
from raysearch.study._evidence import evidence_kinds
from raysearch.study._mutable import mutable_numbers
from raysearch.study._request import Request, parse_duration
from raysearch.study._resources import fit
from raysearch.study._study import Study, check_name, open_study, refuse_taken, studies_root
from raysearch.thresholds import Metric, PlainMetric, objective

VERSIONED = ("ray", "torch", "torchvision", "timm", "optuna", "numpy")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study that could be run: nothing is written yet."""

    name: str | None
    """As it was asked for; None for the method's and a number."""
    config: StudyConfig
    method: type[Method]
    space: AnySpace
    collection: Collection
    split: Split
    annotation: Annotation
    labelling: Labelling
    warnings: tuple[str, ...]

    @property
    def task(self) -> Task:
        return task_of(self.collection)

    def default_method(self) -> Method:
        """The method with its default settings."""
        return self.method_with(self.space.split(self.space.defaults())[0])

    def method_with(self, settings: Mapping[str, Any]) -> Method:
        return self.method(self.method.Config(**settings), self.task)


def prepare(request: Request, cluster: Cluster) -> Prepared:
    """Checks everything that can be checked before the first process starts.

    Cheap checks come first: what can be refused is refused before the data is read.

    Raises:
        UserError: one line that says what was found, where, what was expected and how to put it right.
    """
    if request.name is not None:
        check_name(request.name)
    method = load_method(request.method)
    metric = objective(request.metric or method.metric)
    kinds = evidence_kinds(method, metric.name, request.keep_evidence)
    check_sampler(request.sampler)
    seconds = parse_duration(request.time_budget)
    trial_seconds = parse_duration(request.trial_time, "--trial-time")
    step_seconds = parse_duration(request.step_time, "--step-time")
    assert step_seconds is not None
    spec = data_spec(method.data if request.data is None else request.data, method)
    preset = request.preset or ("paper" if spec.needs_path else "small")
    space = load_space(method, preset, request.space).override(sets=request.sets, fixes=request.fixes)
    seen = limits(
        method,
        labelled=space.budget.labelled if request.labelled is None else request.labelled,
        annotated=space.budget.annotated if request.annotated is None else request.annotated,
        unannotated=request.unannotated,
    )
    space = space.with_modes(
        loss_thresholds=loss_mode(request.loss_thresholds, space, method),
        decision_thresholds=request.decision_thresholds,
    )
    epochs = request.epochs or space.budget.epochs
    alternating = alternation(request, space, method, epochs)
    if request.per_class:
        if request.decision_thresholds == "fixed":
            raise UserError("--per-class: --decision-thresholds is fixed, so nothing is chosen by class; leave it out")
        space = decide_per_class(space)
    if request.sampler == GRID:
        space = narrowed(space, request.sets)
    most = most_trials(request.sampler, space)
    samples = request.samples or most or space.budget.samples
    if not space.searched:
        samples = 1  # of more than that a warning tells
    check_samples(samples, most)
    _check_compared(request.scheduler, space, metric)
    _check_scheduler(request.scheduler, space, epochs, samples, alternating.round_epochs)
    resources = fit(
        cluster.machine(),
        workers=request.workers_per_trial,
        cpus=request.cpus_per_worker,
        gpus=request.gpus_per_worker,
        slots=request.slots,
        samples=samples,
    )
    root = studies_root()
    if request.name is not None and (root / request.name / "study.yaml").exists():
        _refuse_if_taken(open_study(request.name, root), request.method, spec, space, metric.name)
    data = read_data(spec, method, request.split, request.split_seed, seen, needs_regions=metric.evidence != "logits")
    collection = data.collection
    space = space.for_classes(collection.classes)
    check_batch(space, len(data.annotation.train), collection)
    prepared = Prepared(
        name=request.name,
        config=StudyConfig(
            method=request.method,
            preset=preset,
            space=space.to_dict(),
            space_digest=space.digest(),
            data=str(spec),
            fingerprint=collection.fingerprint,
            classes=list(collection.classes),
            view=collection.view,
            split={"how": request.split, "seed": request.split_seed, "digest": data.split.digest},
            labelled=seen.labelled,
            annotated=seen.annotated,
            unannotated=seen.unannotated,
            metric=metric.name,
            direction=metric.direction,
            evidence=kinds,
            select=request.select,
            decision_thresholds=request.decision_thresholds,
            loss_thresholds=space.loss_thresholds,
            **vars(alternating),
            per_class=any(p.kind == "decision" and p.per_class for p in space.parameters.values()),
            scheduler=request.scheduler,
            mutable=[],
            sampler=request.sampler,
            seed=request.seed,
            keep_checkpoints=request.keep_checkpoints,
            budget=Budget(
                samples=samples,
                epochs=epochs,
                seconds=seconds,
                trial_seconds=trial_seconds,
                step_seconds=step_seconds,
            ),
            resources=resources,
            versions={"raysearch": __version__, **{name: importlib.metadata.version(name) for name in VERSIONED}},
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        ),
        method=method,
        space=space,
        collection=collection,
        split=data.split,
        annotation=data.annotation,
        labelling=data.labelling,
        warnings=(
            *data.notes,
            *boundless(method, collection, data.annotation),
            *_unsearched(space, request.samples),
        ),
    )
    pool = pool_of(collection, data.annotation.train, data.annotation.annotated, data.labelling.labelled)
    variants = [prepared.method_with(settings) for settings in settings_by_file(space)]
    padded = collection.areas_of(np.arange(len(collection))) is not None
    notes = check_method(
        prepared.default_method(), variants, pool, collection.size, epochs, request.seed, padded=padded
    )
    # after that: a method that cannot be trained at all has no number that may change either
    mutable = _mutable(request.scheduler, space, method, prepared.task, epochs)
    return replace(prepared, config=replace(prepared.config, mutable=mutable), warnings=(*prepared.warnings, *notes))


def _refuse_if_taken(existing: Study, method: str, spec: AnySpec, space: AnySpace, metric: str) -> None:
    wanted = replace(
        existing.config,
        method=method,
        space=space.to_dict(),
        space_digest=space.digest(),
        data=str(spec),
        metric=metric,
    )
    refuse_taken(wanted, existing)


def decide_per_class(space: AnySpace) -> AnySpace:
    """The space with a decision threshold a class where it has a shared one.

    Raises:
        UserError: the space is a function, which names its own thresholds, or all of them are fixed.
    """
    if not isinstance(space, Space):
        raise UserError("--per-class: a search space that is a function decides by itself what it asks for by class")
    if not any(p.kind == "decision" and p.domain is not None for p in space.parameters.values()):
        raise UserError("--per-class: all decision thresholds are fixed, so nothing is chosen by class; leave it out")
    changed = {
        name: replace(p, per_class=p.domain is not None) if p.kind == "decision" else p
        for name, p in space.parameters.items()
    }
    return replace(space, parameters=changed)


def _check_compared(scheduler: SchedulerName, space: AnySpace, metric: Metric) -> None:
    """Whoever compares trials before their end has to compare configurations."""
    if scheduler == "fifo" or space.decision_thresholds != "sample" or isinstance(metric, PlainMetric):
        return
    drawn = (name in space.searched for name, parameter in space.parameters.items() if parameter.kind == "decision")
    if isinstance(space, Space) and not any(drawn):
        return
    raise UserError(
        f"--scheduler {scheduler}: with --decision-thresholds sample an early value tells whether the threshold was a"
        " good draw, not whether the configuration is good, so that trials would be stopped, or replaced, for their"
        " thresholds; leave --decision-thresholds out (they are solved), or pass --scheduler fifo"
    )


def _check_scheduler(scheduler: SchedulerName, space: AnySpace, epochs: int, samples: int, interval: int) -> None:
    """Schedulers for which trials wait for one another need some."""
    if scheduler in ("hyperband", "pbt") and not space.searched:
        raise UserError(
            f"--scheduler {scheduler}: nothing is searched, so there is one trial and none to compare it with; search"
            " something with --set NAME=SPEC, or leave --scheduler out"
        )
    if scheduler == "hyperband":
        check_hyperband(epochs=epochs, samples=samples)
    elif scheduler == "pbt":
        check_population(epochs=epochs, samples=samples, interval=interval)


def _mutable(scheduler: SchedulerName, space: AnySpace, method: type[Method], task: Task, epochs: int) -> list[str]:
    if scheduler != "pbt":
        return []
    mutable = mutable_numbers(space, method, task, epochs)
    check_mutable(mutable)
    return mutable


def _unsearched(space: AnySpace, samples: int | None) -> list[str]:
    if space.searched or samples in (None, 1):
        return []
    return [f"--samples {samples}: nothing is searched, so every trial would be the same one; 1 is run"]
