"""The threshold step: the next loss thresholds from the evidence of a round, or from the history of a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from raysearch.alternation._constrain import Outcome, Thresholds, check_thresholds, constrain
from raysearch.alternation._from_evidence import by_bound, from_evidence, parts_of
from raysearch.alternation._search import search_thresholds
from raysearch.errors import MethodError, UserError, nearest
from raysearch.thresholds import Regions

if TYPE_CHECKING:
    from raysearch.method import LossThreshold

Proposer = Literal["criterion", "quantile", "search"]
PROPOSERS: tuple[Proposer, ...] = get_args(Proposer)

SLACK_WEIGHT = 0.5
"""mu of ``criterion``: a threshold gets slacker by 0.1 only for 5 % more hits."""


@dataclass(frozen=True)
class Proposal:
    """Thresholds to train the next round under, and one line for each thing that a user should know of them."""

    thresholds: Thresholds
    notes: tuple[str, ...] = ()


def check_proposer(proposer: str, specs: Sequence[LossThreshold]) -> None:
    """Refuses a proposer that could propose nothing.

    Raises:
        UserError: it is unknown, or none of the thresholds has the `bounds` that it needs.
        MethodError: the method declares no loss threshold, or two with the same bounds.
    """
    if proposer not in PROPOSERS:
        raise UserError(f"--alternate {proposer}: unknown proposer; {nearest(proposer, PROPOSERS)}")
    if not specs:
        raise MethodError(
            f"--alternate {proposer}: the method declares no loss threshold, so there is nothing to alternate; leave "
            "the option out"
        )
    if proposer == "search":
        return
    bounded = by_bound(specs)
    parts = parts_of(proposer, SLACK_WEIGHT)
    if not any(set(part.bounds) <= set(bounded) for part in parts):
        needed = " or ".join(" and ".join(part.bounds) for part in parts)
        raise UserError(
            f"--alternate {proposer}: none of {', '.join(spec.name for spec in specs)} bounds what it works from "
            f"({needed}); use --alternate search"
        )


def propose(
    proposer: Proposer,
    regions: Regions | None,
    current: Thresholds,
    specs: Sequence[LossThreshold],
    classes: Sequence[str],
    history: Sequence[Outcome],
    *,
    seed: int,
    start: Thresholds | None = None,
    slack_weight: float = SLACK_WEIGHT,
) -> Proposal:
    """The next thresholds; always in their domains and under those that they stay below.

    ``criterion`` and ``quantile`` work from the evidence, class by class (`from_evidence`), and move a threshold no
    further than `reach`; what they have no evidence for keeps its value, with a note. ``search`` needs no evidence.

    Args:
        proposer: one of `PROPOSERS`.
        regions: evidence of the last round's weights on the tuning split; None if there is none.
        current: the kept thresholds.
        specs: of the method.
        classes: K names, in the order of the evidence.
        history: outcomes of all rounds, the first one first.
        seed: of ``search``, beside the length of the history.
        start: from which `reach` counts; None for the first round of the history (`current` if it is empty).
        slack_weight: mu of ``criterion``, above 0.

    Raises:
        UserError: as `check_proposer` and `check_thresholds`.
        ValueError: the evidence is of other classes, or slack_weight is not positive.
    """
    check_proposer(proposer, specs)
    check_thresholds(current, specs, classes)
    if start is None:
        start = history[0].thresholds if history else current
    if proposer == "search":
        found = search_thresholds(start, specs, history, seed=seed)
        return Proposal(constrain(found, specs, classes))
    if not slack_weight > 0:
        raise ValueError(f"slack_weight must be above 0, got {slack_weight}: without it no slack is too much")
    if regions is not None and regions.classes != tuple(classes):
        raise ValueError(f"evidence of the classes {', '.join(regions.classes)}, expected {', '.join(classes)}")
    rounds = max(1, len(history))
    found, notes = from_evidence(parts_of(proposer, slack_weight), regions, current, start, specs, classes, rounds)
    return Proposal(constrain(found, specs, classes), tuple(notes))
