"""Every combination of what is searched, once: for spaces of choices, whole numbers and floats with a step."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FixedTrial, FrozenTrial

from raysearch.errors import UserError
from raysearch.space import AnySpace, Space
from raysearch.space._condition import refuse_unmet
from raysearch.space._decimal import count, numbered
from raysearch.space._fraction import default_of

LARGEST = 10_000
"""Points of a grid, at most: it is listed before the study begins."""

Point = Mapping[str, Any]


class GridSampler(BaseSampler):
    """Trial n gets point n.

    What a trial gets depends on its number alone, so that a study which was killed and resumed runs the same points.
    Optuna's own keeps what it has handed out in the storage, ends studies by an error when they ask and tell, and knows
    no conditions.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = points

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        del study, trial
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        del study, trial, search_space
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        del study, param_distribution
        return self._points[trial.number][param_name]


def narrowed(space: AnySpace, sets: Sequence[str]) -> AnySpace:
    """The space in which Optuna's part is what ``--set`` names, and the rest of that part has its defaults.

    Without any ``--set`` it stays as it is. Thresholds that are solved or alternate are nobody's to list.

    Raises:
        UserError: something named is a threshold that is not drawn, or its condition does not hold at the defaults.
    """
    named = {text.partition("=")[0] for text in sets}
    if not named or not isinstance(space, Space):
        return space
    for name in sorted(name for name in named - set(space.searched) if space.parameters[name].domain is not None):
        raise UserError(
            f"--sampler grid: {name} is a threshold that others choose, or that stays fixed (--decision-thresholds,"
            f" --loss-thresholds); leave --set {name} out, or have such thresholds sampled"
        )
    parameters = dict(space.parameters)
    for name in set(space.searched) - named:
        default = default_of(space.parameters, name)
        parameters[name] = replace(
            parameters[name], default=default, domain=None, when={}, per_class=False, fraction_of=None
        )
    refuse_unmet(sorted(named), parameters)
    return replace(space, parameters=parameters)


def grid_points(space: AnySpace) -> list[Point]:
    """The points of the grid, in order; what is named last in the space changes first.

    A parameter whose condition does not hold at a point is not in it, and combinations that differ in such parameters
    alone are one point.

    Raises:
        UserError: the space is a function, something in it has no list of values or is drawn class by class, or there
            are more than `LARGEST` combinations.
    """
    if not isinstance(space, Space):
        raise UserError("--sampler grid: a search space that is a function cannot be listed; use tpe or random")
    distributions = space.distributions()
    for name in distributions:
        if space.parameters[name].per_class:
            raise UserError(
                f"--sampler grid: {name} is drawn class by class; fix it (--fix {name}=VALUE), or use tpe or random"
            )
    counts = {name: _count(name, distribution) for name, distribution in distributions.items()}
    combinations = math.prod(counts.values())
    if combinations > LARGEST:
        sizes = " x ".join(f"{number} of {name}" for name, number in counts.items())
        raise UserError(
            f"--sampler grid: {sizes} are {combinations} combinations, expected at most {LARGEST}; fix some (--fix"
            " NAME=VALUE)"
        )
    values = {name: _values(distribution) for name, distribution in distributions.items()}
    points: dict[str, Point] = {}
    for combination in itertools.product(*values.values()):
        trial = FixedTrial(dict(zip(values, combination, strict=True)))
        space.sample(trial)
        points.setdefault(json.dumps(trial.params), trial.params)
    return list(points.values())


def _count(name: str, distribution: BaseDistribution) -> int:
    """How many values there are to list."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return len(range(distribution.low, distribution.high + 1, distribution.step))
    assert isinstance(distribution, FloatDistribution)
    if distribution.step is None:
        raise UserError(
            f"--sampler grid: {name} is any number from {distribution.low:g} to {distribution.high:g}; list its values"
            f" (--set {name}=choice:A,B), or fix it (--fix {name}=VALUE)"
        )
    return count(distribution.low, distribution.high, distribution.step)


def _values(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    assert isinstance(distribution, FloatDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    assert step is not None
    return [numbered(number, low, step) for number in range(count(low, high, step))]
