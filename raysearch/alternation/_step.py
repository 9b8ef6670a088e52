"""The threshold step: from a trial's stored evidence to the loss thresholds of its next round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from raysearch._random import derive
from raysearch.alternation._constrain import Outcome, Thresholds, constrain
from raysearch.alternation._propose import Proposal, Proposer, propose
from raysearch.method._loss_threshold import LossThreshold
from raysearch.thresholds import Regions, load_evidence


@dataclass(frozen=True, kw_only=True)
class StepRule:
    """How a study proposes loss thresholds: settled once, the same for all its trials.

    Attributes:
        specs: all loss thresholds of the method, with the domains of the study.
        moved: names of those that alternate; the others are fixed.
        start: values that every trial begins with.
        slack_weight: mu of the proposer ``criterion``.
        seed: of the study.
        origin: that the evidence has to have.
    """

    proposer: Proposer
    specs: tuple[LossThreshold, ...]
    moved: tuple[str, ...]
    start: Thresholds
    classes: tuple[str, ...]
    slack_weight: float
    seed: int
    origin: str


def threshold_step(
    rule: StepRule, number: int, current: Thresholds, history: Sequence[Outcome], evidence: Path
) -> Proposal:
    """What the proposer makes of a trial's last evaluation; the same answer whenever it is asked.

    Args:
        number: of the trial.
        current: kept thresholds.
        history: what came of all rounds so far.
        evidence: file of the evaluation at the end of the last round.

    Raises:
        StudyError: the file cannot be read, or holds no regions though the proposer needs them.
    """
    moved = [
        spec if spec.below in rule.moved else replace(spec, below=None)
        for spec in rule.specs
        if spec.name in rule.moved
    ]
    bounded = rule.proposer != "search" and any(spec.bounds for spec in moved)
    regions = load_evidence(evidence, ("regions",), origin=rule.origin)["regions"] if bounded else None
    assert regions is None or isinstance(regions, Regions)
    proposal = propose(
        rule.proposer,
        regions,
        current,
        moved,
        rule.classes,
        history,
        seed=derive(rule.seed, number, len(history)),
        start=rule.start,
        slack_weight=rule.slack_weight,
    )
    thresholds = constrain({**current, **proposal.thresholds}, rule.specs, rule.classes)
    return replace(proposal, thresholds=thresholds)
