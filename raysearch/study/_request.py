"""What the command line asks a search for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from raysearch.errors import UserError
from raysearch.study._config import DecisionMode, LossMode, Proposer, SchedulerName, Select

STEP_TIME = "30m"
"""Without a finished step or batch, after which a trial hangs: first steps that compile take minutes."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for; None and empty mean the default."""

    method: str
    name: str | None = None
    preset: str | None = None
    space: str | None = None
    sets: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    data: str | None = None
    split: str = "random"
    split_seed: int = 0
    labelled: float | None = None
    annotated: float | None = None
    unannotated: float | None = None
    metric: str | None = None
    keep_evidence: str | None = None
    select: Select = "best"
    decision_thresholds: DecisionMode = "solve"
    loss_thresholds: LossMode | None = None
    alternate: Proposer | None = None
    round_epochs: int | None = None
    slack_weight: float | None = None
    per_class: bool = False
    samples: int | None = None
    epochs: int | None = None
    time_budget: str | None = None
    trial_time: str | None = None
    step_time: str = STEP_TIME
    seed: int = 0
    scheduler: SchedulerName = "fifo"
    sampler: str = "tpe"
    workers_per_trial: int = 1
    cpus_per_worker: int = 1
    gpus_per_worker: float | None = None
    slots: int | None = None
    keep_checkpoints: int = 3


LONGEST = 10 * 365 * 24 * 3600
"""Seconds; no clock waits for much longer."""


def parse_duration(text: str | None, option: str = "--time") -> float | None:
    """Seconds of ``2h``, ``30m``, ``90s`` or ``1h30m``.

    >>> parse_duration("1h30m")
    5400.0

    Raises:
        UserError: it is none of these, or no time at all.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    if not text.strip() or match is None:
        raise UserError(f"{option} '{text}': expected a duration such as 2h, 30m or 90s")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = hours * 3600 + minutes * 60 + seconds
    if not total:
        raise UserError(f"{option} {text}: no time at all; expected a duration above 0, or leave {option} out")
    if total > LONGEST:
        raise UserError(
            f"{option} {text}: expected at most {LONGEST // 3600}h, ten years; leave {option} out for no limit"
        )
    return total
