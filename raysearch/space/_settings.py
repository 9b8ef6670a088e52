"""From what was drawn to what a method is made with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from raysearch.space._entry import setting_types
from raysearch.space._types import may_be_path

if TYPE_CHECKING:
    from raysearch.space._load import AnySpace


def settings_of(space: AnySpace, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of the method's `Config`, and decision thresholds, of parameters under their names at Optuna."""
    from optuna.trial import FixedTrial

    return space.split(space.sample(FixedTrial(dict(params))))


def settings_by_file(space: AnySpace) -> Iterator[dict[str, Any]]:
    """Arguments of `Config` with each choice of a searched `NameOrPath`, everything else at its default."""
    from optuna.distributions import CategoricalDistribution

    hints = setting_types(space.method)
    for asked, distribution in space.distributions().items():
        if isinstance(distribution, CategoricalDistribution) and may_be_path(hints.get(asked)):
            for choice in distribution.choices:
                yield settings_of(space, {**point_asking(space, asked), asked: choice})[0]


def point_asking(space: AnySpace, asked: str) -> dict[str, Any]:
    """Values of everything that is asked for, defaults where there are any, such that `asked` is asked for too."""
    from optuna.distributions import FloatDistribution, IntDistribution

    point: dict[str, Any] = {}
    for name, distribution in space.distributions().items():
        number = isinstance(distribution, FloatDistribution | IntDistribution)
        point[name] = distribution.low if number else distribution.choices[0]  # type: ignore[attr-defined]
    point |= space.first_point()
    above = [asked.partition("[")[0]]
    while above:
        parameter = space.parameters.get(above.pop())
        for parent, values in parameter.when.items() if parameter is not None else ():
            point[parent] = values[0]
            above.append(parent)
    return point
