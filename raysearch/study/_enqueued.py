"""Points that somebody enqueued, with Optuna's `enqueue_trial`: whether a study can try them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from raysearch.errors import nearest
from raysearch.space import AnySpace, Space
from raysearch.study._config import GRID


def refusal(point: Mapping[str, Any], space: AnySpace, sampler: str) -> str:
    """Why a point cannot be tried, before anything of it is; nothing if it can, or if only sampling it will tell (of a
    space that is a function)."""
    if sampler == GRID:
        return "a grid lists its points itself"
    if not isinstance(space, Space):
        return ""
    distributions = space.distributions()
    for name in point:
        if name not in distributions:
            return f"{name} is nothing that Optuna searches here; {nearest(str(name), distributions)}"
    return _outside(point, distributions)


def outside_the_space(trial: FrozenTrial) -> str:
    """Why the point that a trial was enqueued with is none of its space, once it was sampled; nothing if it is one.
    Optuna itself warns, and goes on with such a value."""
    return _outside(trial.system_attrs.get("fixed_params", {}), trial.distributions)


def _outside(point: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> str:
    for name in point.keys() & distributions.keys():
        if not _contains(distributions[name], point[name]):
            return f"{name}={point[name]} is outside {_shown(distributions[name])}"
    return ""


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(value, bool) and not isinstance(distribution, CategoricalDistribution):
        return False
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except (TypeError, ValueError):
        return False


def _shown(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return "|".join(map(str, distribution.choices))
    return f"{distribution.low:g}..{distribution.high:g}"  # type: ignore[attr-defined]  # a float's or an int's
