"""Loss thresholds from the evidence of a round, class by class: what ``criterion`` and ``quantile`` have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raysearch.alternation._constrain import Thresholds
from raysearch.alternation._criterion import propose_by_cut, propose_by_hits
from raysearch.alternation._quantile import propose_by_median
from raysearch.alternation._reach import Reach, reach
from raysearch.errors import MethodError
from raysearch.thresholds import Regions

if TYPE_CHECKING:
    from raysearch.method import LossThreshold

MIN_PAIRS = 10
"""Pairs of each sort (annotated; present and absent) from which on a class gets thresholds of its own."""

Solve = Callable[[Regions, Mapping[str, Reach]], "dict[str, float] | str"]
"""Values by bound from the evidence of a class, each in its reach; or why there are none."""


@dataclass(frozen=True)
class Part:
    """Thresholds, by their `bounds`, that are solved together from the same pairs."""

    bounds: tuple[str, ...]
    solve: Solve


def parts_of(proposer: str, slack_weight: float) -> tuple[Part, ...]:
    """What ``criterion``, or else ``quantile``, solves."""
    if proposer == "criterion":
        return (
            Part(("inside", "outside"), partial(propose_by_hits, slack_weight=slack_weight)),
            Part(("present", "absent"), propose_by_cut),
        )
    return tuple(Part((bound,), partial(propose_by_median, bound)) for bound in _PAIRS)


_PAIRS: dict[str, Callable[[Regions], NDArray[np.bool_]]] = {
    "inside": lambda regions: regions.annotated,
    "outside": lambda regions: regions.annotated,
    "present": lambda regions: regions.present,
    "absent": lambda regions: ~regions.present,
}
"""The pairs that a threshold is compared with, by its `bounds`."""


def by_bound(specs: Sequence[LossThreshold]) -> dict[str, LossThreshold]:
    """The thresholds that bound something; MethodError if two bound the same."""
    found: dict[str, LossThreshold] = {}
    for spec in specs:
        if spec.bounds is not None and found.setdefault(spec.bounds, spec) is not spec:
            raise MethodError(
                f"{found[spec.bounds].name} and {spec.name} both bound '{spec.bounds}'; a method may declare one "
                "threshold that does"
            )
    return found


def from_evidence(
    parts: Sequence[Part],
    regions: Regions | None,
    current: Thresholds,
    start: Thresholds,
    specs: Sequence[LossThreshold],
    classes: Sequence[str],
    rounds: int,
) -> tuple[Thresholds, list[str]]:
    """Thresholds within `reach` of the current ones and the first ones, and a line for all that was not solved.

    A class with fewer than `MIN_PAIRS` pairs of a sort is solved with the pairs of all classes, within its own reach.
    What there is no evidence or no rule for keeps its value. Order (`constrain`) is for the caller to see to.
    """
    bounded = by_bound(specs)
    parts = [part for part in parts if set(part.bounds) <= set(bounded)]
    regions, notes = _without_nan(regions)
    proposed = {spec.name: dict(current[spec.name]) for spec in specs}
    for part in parts:
        own = {bound: bounded[bound] for bound in part.bounds}
        labels_by_remark: dict[str, list[str]] = {}
        for k, label in enumerate(classes):
            limits = {
                b: reach(spec, current[spec.name][label], start[spec.name][label], rounds) for b, spec in own.items()
            }
            values, remark = _solve(part, regions, k, limits)
            labels_by_remark.setdefault(remark, []).append(label)
            for bound, value in values.items():
                proposed[own[bound].name][label] = value
        names = ", ".join(spec.name for spec in own.values())
        notes += [f"{names} of {', '.join(who)}: {why}" for why, who in labels_by_remark.items() if why]
    solved = {bounded[bound].name for part in parts for bound in part.bounds}
    notes += [
        f"{spec.name}: the proposer has no rule for it, so it keeps its value; search would move it"
        for spec in specs
        if spec.name not in solved
    ]
    return proposed, notes


def _without_nan(regions: Regions | None) -> tuple[Regions | None, list[str]]:
    """The evidence without maps that have a NaN, and a note of how many they were."""
    if regions is None or not (broken := np.isnan(regions.total)).any():
        return regions, []
    return regions.select(~broken), [f"{broken.sum()} of {len(regions)} maps have a NaN and were left out"]


def _solve(part: Part, regions: Regions | None, k: int, limits: Mapping[str, Reach]) -> tuple[dict[str, float], str]:
    """Values of class `k` by bound, none if they are to be kept, and what there is to remark ("" if nothing)."""
    if regions is None:
        return {}, "no evidence, so they keep their values"
    sorts = np.stack([_PAIRS[bound](regions) for bound in part.bounds])
    of_class = regions.label == k
    fewest = int((sorts & of_class).sum(axis=1).min())
    own = fewest >= MIN_PAIRS
    if not own and not sorts.any(axis=1).all():
        return {}, "no pair to choose them by, so they keep their values"
    found = part.solve(regions.select(sorts.any(axis=0) & (of_class | (not own))), limits)
    if isinstance(found, str):
        return {}, f"{found}, so they keep their values"
    return found, "" if own else f"chosen by the pairs of all classes, for want of {MIN_PAIRS} of their own"
