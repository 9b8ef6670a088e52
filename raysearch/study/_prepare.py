"""From what the user asked for to a study with every default filled in, or to one line that says what is wrong."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import time
from dataclasses import dataclass, replace

from raysearch.data import Annotation, AnySpec, Collection, Labelling, Split
from raysearch.data._augment import check_augmentation
from raysearch.data._pool import pool_of
from raysearch.errors import StudyError, UserError
from raysearch.method import Method, Task, load_method, upstream_plan
from raysearch.search._grid import check_grid_samples, grid_points, narrowed
from raysearch.search._hyperband import check_hyperband
from raysearch.search._pbt import check_mutable, check_population
from raysearch.search._sampler import GRID, check_sampler
from raysearch.space import AnySpace, Space, load_space, space_from_dict
from raysearch.study._alternate import alternation, loss_mode
from raysearch.study._cluster import Cluster
from raysearch.study._config import Budget, DecisionMode, LossMode, Proposer, SchedulerName, Select, StudyConfig
from raysearch.study._data import boundless, check_batch, data_spec, limits, read_data, task_of
from raysearch.study._evidence import evidence_kinds
from raysearch.study._mutable import mutable_numbers
from raysearch.study._resources import fit
from raysearch.study._split_file import write_parts
from raysearch.study._study import (
    Study,
    check_name,
    create_study,
    free_name,
    open_study,
    refuse_taken,
    studies_root,
    unwritable,
)
from raysearch.thresholds import objective

VERSIONED = ("raysearch", "ray", "torch", "torchvision", "timm", "optuna", "numpy")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for; None and empty mean the default."""

    method: str
    name: str | None = None
    preset: str | None = None
    space: str | None = None
    sets: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    data: str | None = None
    split: str = "random"
    split_seed: int = 0
    labelled: float | None = None
    annotated: float | None = None
    unannotated: float | None = None
    metric: str | None = None
    keep_evidence: str | None = None
    select: Select = "best"
    decision_thresholds: DecisionMode = "solve"
    loss_thresholds: LossMode | None = None
    alternate: Proposer | None = None
    round_epochs: int | None = None
    slack_weight: float | None = None
    per_class: bool = False
    samples: int | None = None
    epochs: int | None = None
    time_budget: str | None = None
    seed: int = 0
    scheduler: SchedulerName = "fifo"
    sampler: str = "tpe"
    workers_per_trial: int = 1
    cpus_per_worker: int = 1
    gpus_per_worker: float | None = None
    slots: int | None = None
    keep_checkpoints: int = 3


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study that could be run: nothing is written yet."""

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
        settings, _ = self.space.split(self.space.defaults())
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
    samples = request.samples or space.budget.samples
    if not space.searched:
        samples = 1
    elif request.sampler == GRID:
        samples = check_grid_samples(request.samples, grid_points(space))
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
        config=StudyConfig(
            name=request.name or free_name(request.method, root),
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
            mutable=_mutable(request.scheduler, space, method, task_of(collection), epochs),
            sampler=request.sampler,
            seed=request.seed,
            keep_checkpoints=request.keep_checkpoints,
            budget=Budget(samples=samples, epochs=epochs, seconds=seconds),
            resources=resources,
            versions={name: importlib.metadata.version(name) for name in VERSIONED},
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
    default = prepared.default_method()
    upstream_plan(method, default.config, request.seed)
    pool = pool_of(collection, data.annotation.train, data.annotation.annotated, data.labelling.labelled)
    notes = tuple(default.check(pool))
    _check_networks(default)
    _check_augmentations(default, collection, epochs)
    return replace(prepared, warnings=(*prepared.warnings, *notes))


def save_study(prepared: Prepared) -> Study:
    """Writes a prepared study's folder.

    Raises:
        StudyError: the name is taken, or the folder cannot be written.
        StorageError: the disk is full.
    """
    study = create_study(prepared.config, studies_root())
    try:
        write_parts(study, prepared.collection, prepared.split, prepared.annotation, prepared.labelling)
    except OSError as error:
        raise unwritable(study.path, error) from None
    return study


def extend(study: Study, *, samples: int | None = None, time_budget: str | None = None) -> Study:
    """A study with a larger budget, written to its study.yaml.

    Raises:
        UserError: more trials than the grid of the study has points.
        StudyError: fewer trials than before, or study.yaml cannot be written.
        StorageError: the disk is full.
    """
    from raysearch.study._trial_folder import write_atomically

    budget = study.config.budget
    if samples is not None and samples < budget.samples:
        raise StudyError(
            f"--samples {samples}: study '{study.config.name}' was begun with {budget.samples}; give at least as many"
        )
    if samples is not None and study.config.sampler == GRID:
        check_grid_samples(samples, grid_points(space_from_dict(study.config.space, load_method(study.config.method))))
    seconds = parse_duration(time_budget)
    wanted = replace(budget, samples=samples or budget.samples, seconds=seconds or budget.seconds)
    if wanted == budget:
        return study
    extended = Study(study.path, replace(study.config, budget=wanted))
    try:
        write_atomically(study.path / "study.yaml", extended.config.to_yaml().encode())
    except OSError as error:
        raise unwritable(study.path, error) from None
    return extended


def parse_duration(text: str | None) -> float | None:
    """Seconds of ``2h``, ``30m``, ``90s`` or ``1h30m``.

    >>> parse_duration("1h30m")
    5400.0

    Raises:
        UserError: it is none of these, or no time at all.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    if not text.strip() or match is None:
        raise UserError(f"--time '{text}': expected a duration such as 2h, 30m or 90s")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if not total:
        raise UserError(f"--time {text}: no time to search in; expected a duration above 0, or leave --time out")
    return total


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


def _check_networks(method: Method) -> None:
    """Builds the networks of a method and of its upstream work: an unknown backbone or a weights file that is none is
    found here."""
    method.build()
    for kind in type(method).upstream(method.config):
        with contextlib.suppress(KeyError):  # it begins with an outcome, of which there are none yet
            kind(method.config, method.task).build()


def _check_augmentations(method: Method, collection: Collection, epochs: int) -> None:
    """Refuses a padding, a crop or a turn that no image of this size can go through."""
    upstream = (kind(method.config, method.task) for kind in type(method).upstream(method.config))
    for training, length in ((method, epochs), *((work, work.epochs) for work in upstream)):
        masks = training.supervision in ("pixel", "region")
        for stage in training.stages(length):
            for stream in stage.streams:
                check_augmentation(stream.augmentation, *collection.size, masks=masks)
                if stream.strong is not None:
                    check_augmentation(stream.strong, *collection.size, masks=False)
            if not stage.streams:
                check_augmentation(training.augmentation(), *collection.size, masks=masks)


def _unsearched(space: AnySpace, samples: int | None) -> list[str]:
    if space.searched or samples in (None, 1):
        return []
    return [f"--samples {samples}: nothing is searched, so every trial would be the same one; 1 is run"]
