"""Loss thresholds: how they are proposed, kept or taken back, and when they have settled. Pure, without Ray."""

from raysearch.alternation._constrain import Outcome, Thresholds
from raysearch.alternation._propose import SLACK_WEIGHT, Proposal, check_proposer, propose
from raysearch.alternation._rounds import Next, Round, facts, keep, last_kept, outcomes, rounds_of, what_next
from raysearch.alternation._step import StepRule, threshold_step

__all__ = [
    "SLACK_WEIGHT",
    "Next",
    "Outcome",
    "Proposal",
    "Round",
    "StepRule",
    "Thresholds",
    "check_proposer",
    "facts",
    "keep",
    "last_kept",
    "outcomes",
    "propose",
    "rounds_of",
    "threshold_step",
    "what_next",
]
