"""What a study's best value is worth once it is known that it was chosen: `raysearch.thresholds.winner` of a study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch._text import counted
from raysearch.errors import StudyError
from raysearch.study._book import INFLUENCE
from raysearch.study._config import DEFAULTS
from raysearch.study._judge import eligible
from raysearch.study._study import Study
from raysearch.study._trial_record import TrialRecord, best_of
from raysearch.thresholds import Interval, Metric, find_metric, unpack, winner


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """The value of a study's best trial, corrected for the choice among trials and epochs.

    Attributes:
        number: of the trial.
        naive: value that it was chosen by.
        value: corrected, with its 95 % interval over patients.
        trials, evaluations: what it was chosen among: trials, and epochs of them in all.
        gain: corrected difference from the defaults, more is better; None where there is nothing to compare: the
            defaults won, or were not tried to their end.
        defaults_won: whether the best trial is the one with the defaults.
    """

    number: int
    naive: float
    value: Interval
    trials: int
    evaluations: int
    gain: Interval | None
    defaults_won: bool

    @property
    def told_apart(self) -> bool | None:
        """Whether the data tell the trial from the defaults; None where there is nothing to compare."""
        return None if self.gain is None else self.gain.low > 0


def corrected_winner(study: Study, records: Sequence[TrialRecord], number: int | None = None) -> Corrected | None:
    """The best trial's value, corrected for the choice.

    Args:
        records: all trials of the study.
        number: of a trial that was named instead: then only its epochs were chosen among, and it is not compared with
            the defaults. The best trial's number changes nothing.

    Returns:
        None without a complete trial, or where a metrics.jsonl that is needed is gone, or damaged.
    """
    best = best_of(list(records), maximise=study.config.direction == "maximize")
    defaults = study.config.defaults
    named = number is not None and (best is None or number != best.number)
    complete = [r for r in records if r.state == "complete" and r.value is not None and r.same_as is None]
    among = [r for r in records if r.number == number] if named else complete
    if not among:
        return None
    try:
        candidates = [(r.number, row) for r in among for row in _rows(study, r)]
        values = np.array([float(row["value"]) for _, row in candidates])
        added = np.stack([unpack(row[INFLUENCE]) for _, row in candidates])
        exploited = any("exploited" in row for owner, row in candidates if owner == defaults)
    except (StudyError, KeyError, TypeError, ValueError):
        return None
    owner = np.array([number for number, _ in candidates])
    compared = None if named or exploited else defaults
    metric = find_metric(study.config.metric)
    return corrected(values, added, owner, metric, against=compared, seed=study.config.seed)


def corrected(
    values: NDArray[np.float64],
    added: NDArray[np.floating],
    owner: NDArray[np.int64],
    metric: Metric,
    *,
    against: int | None,
    seed: int,
) -> Corrected:
    """`raysearch.thresholds.winner`, and among what it won. Values and limits that the metric cannot have are cut to
    those that it can."""
    found = winner(values, added, owner, direction=metric.direction, against=against, seed=seed)
    number = int(owner[(values if metric.direction == "maximize" else -values).argmax()])
    trials = len(np.unique(owner))
    return Corrected(
        number=number,
        naive=found.naive,
        value=Interval(*(float(np.clip(each, *metric.span)) for each in found.value)),
        trials=trials,
        evaluations=len(owner),
        gain=found.gain,
        defaults_won=number == against and trials > 1,
    )


def _rows(study: Study, record: TrialRecord) -> list[dict[str, Any]]:
    """What the trial could have been judged by; StudyError if none of it is there."""
    rows = eligible(study.trial(record.number).rows(), select=study.config.select)
    if not rows:
        raise StudyError(f"trial {record.number} has no epoch with a value")
    return rows


def winner_lines(found: Corrected | None) -> list[str]:
    """What is said below a winner, one line each; nothing where nothing was chosen."""
    if found is None or found.evaluations < 2:
        return []
    return [f"corrected for the choice {_among(found)}: {interval_text(found.value)}", *defaults_line(found)]


def defaults_line(found: Corrected) -> list[str]:
    """How the winner stands to the defaults, in one line, or none."""
    if found.defaults_won:
        return [f"no trial is better than the defaults (trial {DEFAULTS})"]
    if found.gain is None:
        return []
    gain = interval_text(found.gain, signed=True)
    if found.told_apart:
        return [f"better than the defaults (trial {DEFAULTS}), corrected by {gain}"]
    return [f"the data cannot tell it from the defaults (trial {DEFAULTS}): corrected gain {gain}"]


def winner_json(found: Corrected | None) -> dict[str, Any] | None:
    """The same for machines; limits that nothing is known of are None."""
    if found is None:
        return None
    return {
        "trial": found.number,
        "naive": found.naive,
        "corrected": found.value.mean,
        "interval_95": limits(found.value),
        "trials": found.trials,
        "evaluations": found.evaluations,
        "defaults_won": found.defaults_won,
        "gain": None if found.gain is None else found.gain.mean,
        "gain_interval_95": None if found.gain is None else limits(found.gain),
        "told_apart": found.told_apart,
    }


def limits(interval: Interval) -> list[float] | None:
    return [interval.low, interval.high] if math.isfinite(interval.low) else None


def _among(found: Corrected) -> str:
    if found.trials == 1:
        return f"among {counted(found.evaluations, 'epoch')}"
    epochs = f" and {counted(found.evaluations, 'epoch')}" if found.evaluations > found.trials else ""
    return f"among {counted(found.trials, 'trial')}{epochs}"


def interval_text(interval: Interval, *, signed: bool = False) -> str:
    """``0.3012 [0.2610, 0.3414]``."""
    form = "+.4f" if signed else ".4f"
    bounds = limits(interval)
    if bounds is None:
        return f"{interval.mean:{form}} (no interval: one patient)"
    return f"{interval.mean:{form}} [{bounds[0]:{form}}, {bounds[1]:{form}}]"
