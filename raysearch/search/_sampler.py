"""An Optuna sampler whose draws depend on (study seed, trial number, parameter) alone, at a bounded cost."""

from __future__ import annotations

import copy
import heapq
import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from raysearch._random import derive
from raysearch.errors import UserError, nearest
from raysearch.search._grid import GridSampler, grid_points
from raysearch.space import AnySpace
from raysearch.space._decimal import nearest_on_grid
from raysearch.study._config import GRID

HISTORY = 500
"""Finished trials that the sampler looks at: the better half and the latest half of these. TPE's own time grows with
every trial that it sees (about 9 ms at 1,000 and 100 ms at 10,000)."""

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""States of trials that a sampler learns from."""

STARTUP = 8
"""Random trials before TPE models anything."""

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True),
    "random": lambda seed: RandomSampler(seed=seed),
}


def sampler_of(name: str, seed: int, space: AnySpace) -> BaseSampler:
    """The sampler of a study; UserError for an unknown name, and as `grid_points`."""
    return GridSampler(grid_points(space)) if name == GRID else sampler_named(name, seed)


def sampler_named(name: str, seed: int) -> BaseSampler:
    """A sampler of the study `seed` that draws; UserError for an unknown name."""
    check_sampler(name)
    return KeyedSampler(SAMPLERS[name], seed)


def check_sampler(name: str) -> None:
    """UserError with the nearest name unless it is one of `SAMPLERS`, or the grid."""
    if name not in SAMPLERS and name != GRID:
        raise UserError(f"--sampler {name}: unknown sampler; {nearest(name, (*SAMPLERS, GRID))}")


def most_trials(sampler: str, space: AnySpace) -> int | None:
    """How many trials have settings of their own: 1 where nothing is searched, the points of a grid, or None where
    every trial draws anew; UserError as `grid_points`."""
    if not space.searched:
        return 1
    return len(grid_points(space)) if sampler == GRID else None


def check_samples(samples: int, most: int | None) -> None:
    """UserError for more trials than `most_trials`."""
    if most is None or samples <= most:
        return
    if most == 1:
        raise UserError(
            f"--samples {samples}: nothing is searched, so every trial would be the same one; leave --samples out"
        )
    raise UserError(f"--samples {samples}: the grid has {most} points; leave --samples out for all of them")


class KeyedSampler(BaseSampler):
    """Seeds a fresh inner sampler for each trial and each independent parameter.

    A search that was killed and resumed draws what an undisturbed one draws, wherever it was cut: nothing of the
    sampler needs to be stored.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._view: tuple[int, Study] | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        self._relative = self._make(self._key(trial.number))
        return self._relative.infer_relative_search_space(self._recent(study, trial), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        drawn = self._relative.sample_relative(self._recent(study, trial), trial, search_space)
        return {name: in_decimals(value, search_space[name]) for name, value in drawn.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        inner = self._make(self._key(trial.number, zlib.crc32(param_name.encode())))
        drawn = inner.sample_independent(self._recent(study, trial), trial, param_name, param_distribution)
        return in_decimals(drawn, param_distribution)

    def _recent(self, study: Study, trial: FrozenTrial) -> Study:
        """The window on the history, the same for all parameters of a trial: making it takes time."""
        if self._view is None or self._view[0] != trial.number:
            self._view = trial.number, _RecentStudy(study)  # type: ignore[assignment]  # samplers use what it passes on
        assert self._view is not None
        return self._view[1]

    def _key(self, *parts: int) -> int:
        return derive(self._seed, *parts) % 2**32  # what NumPy's RandomState takes

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        del study, trial, state, values


def in_decimals(value: Any, distribution: BaseDistribution) -> Any:
    """What was drawn from a range with a step, as its decimals are written: Optuna draws 0.30000000000000004."""
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return value
    return nearest_on_grid(value, distribution.low, distribution.step)


class _RecentStudy:
    """A study seen through a bounded window on its finished trials, as they are when first looked at."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._finished: list[FrozenTrial] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, deepcopy: bool = True, states: Any = None, use_cache: bool = False) -> list[FrozenTrial]:
        if self._finished is None:
            trials = self._study._get_trials(deepcopy=False, states=FINISHED, use_cache=use_cache)
            maximise = self._study.direction == optuna.study.StudyDirection.MAXIMIZE
            self._finished = window(trials, HISTORY, maximise=maximise)
        wanted = tuple(TrialState) if states is None else tuple(states)
        others = tuple(state for state in wanted if state not in FINISHED)
        trials = [trial for trial in self._finished if trial.state in wanted]
        if others:
            trials += self._study._get_trials(deepcopy=False, states=others, use_cache=use_cache)
            trials.sort(key=lambda trial: trial.number)
        return copy.deepcopy(trials) if deepcopy else trials

    def get_trials(self, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        return self._get_trials(deepcopy, states)


def window(trials: list[FrozenTrial], size: int, *, maximise: bool) -> list[FrozenTrial]:
    """The better half and the latest half of `size` (at least 2) trials, in their order; all if there are no more."""
    if len(trials) <= size:
        return trials
    latest = size // 2
    sign = -1.0 if maximise else 1.0

    def rank(trial: FrozenTrial) -> tuple[float, int]:
        value = trial.value
        return (math.inf if value is None else sign * value), trial.number

    best = heapq.nsmallest(size - latest, trials[:-latest], key=rank)
    return sorted(best, key=lambda trial: trial.number) + trials[-latest:]
