"""Rounds of an alternation: which of them are kept, what comes next, and when nothing moves any more.

Everything here is a function of a trial's rows (metrics.jsonl) alone, so that a search that was interrupted decides as
an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from raysearch.alternation._constrain import Outcome, Thresholds

SETTLED_ROUNDS = 3
"""Successive rounds over which the kept thresholds do not move, and the metric does not improve, in a settled trial."""
SETTLED_THRESHOLD = 0.05
"""Largest change of a threshold, as a share of its value, that counts as none: they differ by orders of magnitude."""
SETTLED_VALUE = 0.005
"""Largest improvement of the value that rounds are kept by that counts as none."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """Some epochs of weight training under the same loss thresholds.

    Attributes:
        number: from 0.
        last: its last epoch so far.
        thresholds: that it trained under.
        proposed: whether they were a proposal, to be kept or taken back; otherwise they were kept already.
        value: after its last epoch, NaN if it has none; more is better (`raysearch.training` says of what).
        complete: whether it has all of its epochs.
        kept: whether its weights and thresholds are what the next round builds on; None before it is complete.
        last_stage: whether it belongs to the last stage of the training; no round is part of two.
        stage_ends: whether another stage begins after it.
    """

    number: int
    last: int
    thresholds: Thresholds
    proposed: bool
    value: float
    complete: bool
    kept: bool | None
    last_stage: bool
    stage_ends: bool


@dataclass(frozen=True, kw_only=True)
class Next:
    """What a trial does next.

    Attributes:
        action: ``train`` goes on with the round that it is in; ``propose`` asks the threshold step for the thresholds
            of the next round; ``repeat`` trains the next round under the kept ones; ``settled`` ends the trial.
        number: of the round that is to be trained.
        thresholds: kept ones (of the round itself for ``train``); None before the first round.
        take_back: the next round starts from the weights of the last kept round, not from those of the last round.
    """

    action: Literal["train", "propose", "repeat", "settled"]
    number: int
    thresholds: Thresholds | None
    take_back: bool = False


def facts(plan: Mapping[str, Any], *, epoch: int, finished: bool, value: float, stage_ends: bool) -> dict[str, Any]:
    """What the row of an epoch says of the round that it belongs to, under ``alternation``.

    Args:
        plan: of the round: ``number``, ``first`` (epochs before it), ``epochs`` (its length), ``pauses`` (epochs after
            which the trial is compared with others: a round ends there too), ``thresholds``, ``proposed``,
            ``taken_back`` (it began with the weights of the last kept round) and ``note``.
        epoch: of the row, from 1.
        finished: whether it is the last one of the trial.
        value: that the round is kept by; more is better.
        stage_ends: whether another stage begins after it: the round ends with the stage.
    """
    return {
        "round": plan["number"],
        "thresholds": plan["thresholds"],
        "proposed": plan["proposed"],
        "taken_back": plan["taken_back"],
        "note": plan["note"],
        "value": value,
        "ends": finished or stage_ends or epoch in plan["pauses"] or epoch >= plan["first"] + plan["epochs"],
        "stage_ends": stage_ends,
    }


def keep(before: float, after: float) -> bool:
    """Whether a proposal is kept: the value after its round is not worse than before. NaN is worse than anything.

    >>> keep(0.5, 0.5), keep(0.5, 0.4), keep(0.5, float("nan"))
    (True, False, False)
    """
    return after >= before or (math.isnan(before) and not math.isnan(after))


def rounds_of(rows: Sequence[dict[str, Any]]) -> tuple[Round, ...]:
    """The rounds of a trial; rows are those of an alternating trial, in the order of their epochs."""
    rounds: list[Round] = []
    before: Round | None = None
    for number, group in groupby(_own(rows), key=lambda row: row["alternation"]["round"]):
        of_round = list(group)
        end = of_round[-1]
        facts = end["alternation"]
        value, complete = float(facts["value"]), bool(facts["ends"])
        kept: bool | None = None
        if complete:
            kept = before is None or not facts["proposed"] or keep(before.value, value)
        rounds.append(
            Round(
                number=number,
                last=end["epoch"],
                thresholds=facts["thresholds"],
                proposed=facts["proposed"],
                value=value,
                complete=complete,
                kept=kept,
                last_stage=end["last_stage"],
                stage_ends=facts["stage_ends"],
            )
        )
        if kept:
            before = rounds[-1]
    return tuple(rounds)


def _own(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows since the trial last went on from the weights of another one: those before tell of weights that are gone."""
    since = [row.get("exploited", {}).get("epoch") for row in rows]
    return [row for row, epoch in zip(rows, since, strict=True) if epoch == since[-1]]


def last_kept(rounds: Sequence[Round]) -> Round | None:
    return next((r for r in reversed(rounds) if r.kept), None)


def what_next(rounds: Sequence[Round]) -> Next:
    """What a trial with these rounds does next.

    A round whose proposal was taken back is followed by one under the kept thresholds, from the kept weights: the same
    evidence would only make the same proposal again. The first round of a later stage is trained, as the very first
    one, without a proposal: what another stage does to the metric says nothing about thresholds. Thresholds that have
    settled are proposed no more, and in the last stage the trial ends.
    """
    if not rounds:
        return Next(action="train", number=0, thresholds=None)
    current, kept = rounds[-1], last_kept(rounds)
    if not current.complete:
        return Next(action="train", number=current.number, thresholds=current.thresholds)
    assert kept is not None  # the first round is kept whatever comes of it
    action: Literal["propose", "repeat", "settled"] = "propose"
    if current.stage_ends or not current.kept:
        action = "repeat"
    elif settled(rounds):
        action = "settled" if current.last_stage else "repeat"
    return Next(action=action, number=current.number + 1, thresholds=kept.thresholds, take_back=not current.kept)


def settled(rounds: Sequence[Round]) -> bool:
    """Whether the kept thresholds have not moved over the last `SETTLED_ROUNDS` rounds, all of one stage, and the
    metric has not improved. A proposal that was taken back moves nothing, and where no round before has a value nobody
    can say what improves."""
    stage = rounds[1 + max((i for i, r in enumerate(rounds[:-1]) if r.stage_ends), default=-1) :]
    before, recent = stage[:-SETTLED_ROUNDS], stage[-SETTLED_ROUNDS:]
    start = last_kept(before)
    if start is None:
        return False
    kept = [r for r in recent if r.kept]
    best = max((r.value for r in before if r.kept and not math.isnan(r.value)), default=math.nan)
    return not math.isnan(best) and all(
        stays(start.thresholds, r.thresholds) and not r.value > best + SETTLED_VALUE for r in kept
    )


def stays(before: Thresholds, after: Thresholds) -> bool:
    """Whether no threshold of any class has changed by more than `SETTLED_THRESHOLD` of its value."""
    return all(
        abs(after[name][label] - value) <= SETTLED_THRESHOLD * max(abs(value), abs(after[name][label]))
        for name, values in before.items()
        for label, value in values.items()
    )


def outcomes(rounds: Sequence[Round]) -> tuple[Outcome, ...]:
    """What came of the thresholds of each complete round, for proposers that learn from it."""
    return tuple(Outcome(thresholds=r.thresholds, value=r.value, kept=bool(r.kept)) for r in rounds if r.complete)
