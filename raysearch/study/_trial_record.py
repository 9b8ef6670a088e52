"""What is known of a trial: how it ended, as the ledger holds it, and its record, as everybody reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState

from raysearch.study._outside import RESULT_ATTR

State = Literal["running", "complete", "pruned", "failed", "crashed"]
"""``failed``: the trial's own work could not go on (non-finite loss, an error in the method). ``crashed``: its worker
groups died under it, time after time. ``pruned``: the scheduler stopped it."""


@dataclass(frozen=True)
class Ended:
    """How a trial ended, and the row that it is judged by: a user attribute of the Optuna trial.

    Attributes:
        row: of metrics.jsonl, without what patients add; None if it has none.
        configuration: digest of what it was trained with; None of one that was not trained.
        same_as: the trial from whose record it was answered.
    """

    state: State
    reason: str
    row: dict[str, Any] | None
    epochs: int
    configuration: str | None = None
    same_as: int | None = None

    @property
    def value(self) -> float | None:
        """What Optuna is told: of a complete trial alone."""
        return float(self.row["value"]) if self.state == "complete" and self.row is not None else None


def ended_of(frozen: FrozenTrial) -> Ended | None:
    """What the ledger holds of a trial's end; None of one that has not ended."""
    stored = frozen.user_attrs.get(RESULT_ATTR)
    return None if stored is None else Ended(**stored)


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """A trial as the book shows it."""

    number: int
    state: State
    value: float | None
    params: dict[str, Any]
    """That it was trained with when it reached this value: what was drawn for it, or what it took over later."""
    epochs: int
    reason: str
    result: dict[str, Any]
    """Row of metrics.jsonl that the trial is judged by; empty if it has none."""
    seconds: float | None
    same_as: int | None = None
    """Trial with the same configuration, from whose record this one was answered: it was not trained itself."""


def begun_records(trials: Sequence[FrozenTrial]) -> list[TrialRecord]:
    """Records of all trials but for points that nobody has asked for yet."""
    return [record_of(trial) for trial in trials if trial.state != TrialState.WAITING]


def record_of(frozen: FrozenTrial) -> TrialRecord:
    """What Optuna's storage says of a trial."""
    ended = ended_of(frozen)
    state: State = "running" if not frozen.state.is_finished() else "failed" if ended is None else ended.state
    row = (None if ended is None else ended.row) or {}
    return TrialRecord(
        number=frozen.number,
        state=state,
        value=frozen.value if frozen.state == TrialState.COMPLETE else row.get("value"),
        params=dict(row["exploited"]["params"] if "exploited" in row else frozen.params),
        epochs=len(frozen.intermediate_values) if ended is None else ended.epochs,
        reason="" if ended is None else ended.reason,
        result=row,
        seconds=frozen.duration.total_seconds() if frozen.duration else None,
        same_as=None if ended is None else ended.same_as,
    )


def best_of(records: list[TrialRecord], *, maximise: bool) -> TrialRecord | None:
    """The best complete trial; of equal ones the earlier."""
    complete = [r for r in records if r.state == "complete" and r.value is not None]
    sign = 1.0 if maximise else -1.0
    return max(complete, key=lambda r: (sign * (r.value or 0.0), -r.number), default=None)
