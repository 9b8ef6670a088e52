"""Who moves a study's loss thresholds, and how: settles what the command line leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raysearch.alternation import SLACK_WEIGHT, check_proposer
from raysearch.errors import MethodError, UserError
from raysearch.method import LossThreshold, Method
from raysearch.space import AnySpace, FloatRange
from raysearch.study._config import LossMode, Proposer
from raysearch.study._request import Request

ROUND_EPOCHS = 3


@dataclass(frozen=True, kw_only=True)
class AlternationSettings:
    """The fields of `StudyConfig` with these names."""

    alternate: Proposer | None
    round_epochs: int = ROUND_EPOCHS
    slack_weight: float = SLACK_WEIGHT


def loss_mode(asked: LossMode | None, space: AnySpace, method: type[Method]) -> LossMode:
    """Who searches loss thresholds: what was asked for, else the alternating scheduler where there are any to move.

    Raises:
        UserError: there is none, or they are to alternate and none can.
    """
    movable = any(p.kind == "loss" and p.domain is not None for p in space.parameters.values())
    if asked is not None and not method.loss_thresholds:
        raise UserError(f"--loss-thresholds {asked}: {method.name} has no loss thresholds; leave the option out")
    if asked == "alternate" and not movable:
        names = ", ".join(t.name for t in method.loss_thresholds)
        raise UserError(
            f"--loss-thresholds alternate: all of {method.name}'s are fixed ({names}), so nothing could alternate;"
            " leave the option out"
        )
    return asked or ("alternate" if movable else "sample")


def alternation(request: Request, space: AnySpace, method: type[Method], epochs: int) -> AlternationSettings:
    """How loss thresholds alternate with weights.

    Args:
        space: after its modes are set.
        epochs: of a trial.

    Raises:
        UserError: an option about alternation where nothing alternates, a threshold that has no range to move in, a
            proposer that can move none of them, or a trial of fewer than two rounds.
    """
    if not space.alternated:
        _refuse_unused(request, space, method)
        return AlternationSettings(alternate=None, round_epochs=request.round_epochs or ROUND_EPOCHS)
    for name in space.alternated:
        parameter = space.parameters[name]
        if not isinstance(parameter.domain, FloatRange):
            raise UserError(
                f"{parameter.origin}: {name} has the values {parameter.domain}, and what alternates moves within a"
                f" range of numbers; pass --set {name}=float:LOW:HIGH, or --loss-thresholds sample"
            )
    specs = [threshold for threshold in method.loss_thresholds if threshold.name in space.alternated]
    proposer = request.alternate or _default_proposer(specs)
    check_proposer(proposer, specs)
    if request.slack_weight is not None and proposer != "criterion":
        raise UserError(
            f"--slack-weight {request.slack_weight:g}: only the proposer criterion has one, and --alternate is"
            f" {proposer}; leave it out"
        )
    rounds = request.round_epochs or ROUND_EPOCHS
    if epochs < 2 * rounds:
        shorter = f" --round-epochs {epochs // 2}," if epochs > 1 else ""
        raise UserError(
            f"--epochs {epochs} is fewer than two rounds of {rounds}, and loss thresholds alternate between rounds;"
            f" pass --epochs {2 * rounds} or more,{shorter} or --loss-thresholds fixed"
        )
    weight = SLACK_WEIGHT if request.slack_weight is None else request.slack_weight
    return AlternationSettings(alternate=proposer, round_epochs=rounds, slack_weight=weight)


def _default_proposer(specs: Sequence[LossThreshold]) -> Proposer:
    try:
        check_proposer("criterion", specs)
    except MethodError:
        raise
    except UserError:
        return "search"
    return "criterion"


def _refuse_unused(request: Request, space: AnySpace, method: type[Method]) -> None:
    given = {
        "--alternate": request.alternate,
        "--round-epochs": request.round_epochs if request.scheduler != "pbt" else None,
        "--slack-weight": request.slack_weight,
    }
    for option, value in given.items():
        if value is not None:
            if not method.loss_thresholds:
                reason = f"{method.name} has no loss thresholds"
            elif space.loss_thresholds == "sample" and request.loss_thresholds is None:
                reason = f"all of {method.name}'s loss thresholds are fixed"
            else:
                reason = f"--loss-thresholds is {space.loss_thresholds}"
            raise UserError(f"{option} {value}: nothing alternates, because {reason}; leave it out")
