"""What the work that trials share would take: each of it is probed on a few training images, and counted by how often
the search would do it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
import torch
from numpy.typing import NDArray

from raysearch.method import Outcome, Training, upstream_plan
from raysearch.search._grid import grid_points
from raysearch.space import settings_of
from raysearch.study._config import GRID
from raysearch.study._journal import quiet_optuna
from raysearch.study._prepare import Prepared
from raysearch.study._upstream import shared_work
from raysearch.training import Assignment
from raysearch.training._upstream import UpstreamTrainer, encode_outcome

DRAWS = 1000
"""Configurations that are drawn, at most, to count how many share their upstream work."""
BATCHES = 4
"""Of the largest batch that anything trains with: so many images a probe has."""
LEAST_IMAGES = 32


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Upstream work of one name.

    Attributes:
        times: how often the search would do it.
        seconds: that it takes each time, on one slot.
        bytes: of one outcome.
    """

    name: str
    times: int
    seconds: float
    bytes: int


def count_work(prepared: Prepared) -> dict[str, int]:
    """By name, how many different upstream works as many trials as the budget has come to, of the grid or drawn at
    random."""
    quiet_optuna()
    method, space, samples = prepared.method, prepared.space, prepared.config.budget.samples
    if prepared.config.sampler == GRID and space.searched:
        settings = [settings_of(space, point)[0] for point in grid_points(space)[:samples]]
    else:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=prepared.config.seed))
        settings = [space.split(space.defaults())[0]]
        settings += [space.split(space.sample(study.ask()))[0] for _ in range(min(samples, DRAWS) - 1)]
    keys: dict[str, set[str]] = {}
    for one in settings:
        for work in shared_work(method, one, prepared.config.seed):
            keys.setdefault(work["name"], set()).add(work["key"])
    return {name: len(found) for name, found in keys.items()}


def probe_rows(trainings: list[Training], assignment: Assignment) -> NDArray[np.int64]:
    """Rows for a probe: spread over the training images, and among them some that are annotated and labelled."""
    largest = max((batch for t in trainings for batch in _batches(t, assignment.epochs)), default=1)
    wanted = max(LEAST_IMAGES, BATCHES * largest)
    some = [rows[: wanted // 4] for rows in (assignment.annotated, assignment.labelled) if rows is not None]
    places = np.linspace(0, len(assignment.train) - 1, min(wanted, len(assignment.train))).astype(np.int64)
    return np.unique(np.concatenate([assignment.train[places], *some]))


def probe_upstream(
    prepared: Prepared, assignment: Assignment, *, steps: int, device: str
) -> tuple[Assignment, dict[str, Outcome], list[Shared]]:
    """Does the upstream work of the default configuration for a few images.

    Args:
        steps: that are timed.

    Returns the assignment cut down to these images, the outcomes for them that the method reads, and what all of
    it costs.
    """
    method = prepared.default_method()
    kinds = prepared.method.upstream(method.config)
    upstream = [kind(method.config, method.task) for kind in kinds]
    rows = probe_rows([method, *upstream], assignment)
    small = replace(assignment, train=rows, annotated=_within(assignment.annotated, rows),
                    labelled=_within(assignment.labelled, rows))  # fmt: skip
    times = count_work(prepared)
    outcomes: dict[str, Outcome] = {}
    shared = []
    for one, work in zip(upstream, upstream_plan(prepared.method, method.config, assignment.seed), strict=True):
        one.outcomes = {name: outcomes[name] for name in one.inputs}
        trainer = UpstreamTrainer(one, small, key=work["key"], device=device)
        seconds = 0.0
        if trainer.epochs:
            trainer.train_steps(1)
            begun = time.perf_counter()
            trainer.train_steps(steps)
            seconds = (time.perf_counter() - begun) / steps * trainer.steps * trainer.epochs
            seconds *= len(assignment.train) / len(rows) / prepared.config.resources.workers
        half = _timed(trainer, rows[::2])
        whole = _timed(trainer, rows)
        outcomes[work["name"]] = whole[0]
        part = len(rows[::2]), len(rows), len(assignment.train)
        shared.append(
            Shared(
                name=work["name"],
                times=times.get(work["name"], 1),
                seconds=seconds + _extended(half[1], whole[1], part),
                bytes=round(_extended(half[2], whole[2], part)),
            )
        )
    return small, {name: outcomes[name] for name in prepared.method.inputs(method.config)}, shared


def _timed(trainer: UpstreamTrainer, rows: NDArray[np.int64]) -> tuple[Outcome, float, int]:
    """The outcome for some images, the seconds that it took, and its bytes."""
    begun = time.perf_counter()
    outcome = trainer.outcome(rows)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return outcome, time.perf_counter() - begun, len(encode_outcome(outcome, trainer.key))


def _extended(half: float, whole: float, images: tuple[int, int, int]) -> float:
    """What grows with the number of images, at a third number, from its values at two; it does not shrink."""
    first, second, third = images
    slope = max(0.0, whole - half) / max(1, second - first)
    return whole + slope * (third - second)


def _batches(training: Training, epochs: int) -> list[int]:
    """Images a step of each stage and stream; none of work that trains nothing."""
    stages = training.stages(epochs)
    return [batch for s in stages for batch in [stream.batch for stream in s.streams] or [training.batch_size]]


def _within(shown: NDArray[np.int64] | None, rows: NDArray[np.int64]) -> Any:
    return None if shown is None else np.intersect1d(shown, rows)
