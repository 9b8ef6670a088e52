"""What becomes of an entry that somebody else wrote to a study's journal. Pure: nothing here knows files or trials.

Notes and points to be tried are taken over; whatever would change what the study has found out by itself is not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.storages.journal._storage import JournalOperation
from optuna.trial import TrialState

RESULT_ATTR = "result"
"""User attribute of an Optuna trial: how it ended, and the row that it is judged by."""

OURS = 0
"""Optuna's number of the study: a ledger holds one."""

Refusal = Callable[[Mapping[str, Any]], str]
"""Why a point cannot be tried, or nothing."""


@dataclass(frozen=True)
class Verdict:
    """Whether an entry is taken over, and what is said of it (nothing of a note)."""

    taken: bool
    said: str


def judge(line: bytes, refusal: Refusal) -> Verdict:
    """What becomes of a line of the journal that is not the study's own.

    Args:
        refusal: of a point that was enqueued.
    """
    try:
        entry = json.loads(line)
        if not line.endswith(b"}\n") or not isinstance(entry["worker_id"], str):
            raise ValueError("an entry ends with its line and names its writer")
        return _judged(JournalOperation(entry["op_code"]), entry, refusal)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Verdict(False, "a line that is no entry of Optuna's")


def _judged(operation: JournalOperation, entry: Mapping[str, Any], refusal: Refusal) -> Verdict:
    match operation:
        case JournalOperation.CREATE_STUDY:
            return Verdict(False, f"study {entry['study_name']!r} created")
        case JournalOperation.DELETE_STUDY:
            return Verdict(False, "the study deleted" if entry["study_id"] == OURS else "another study deleted")
        case JournalOperation.SET_STUDY_USER_ATTR:
            return _attribute(entry["study_id"] == OURS, entry["user_attr"], "the study")
        case JournalOperation.SET_STUDY_SYSTEM_ATTR:
            note = entry["study_id"] == OURS and _note(entry["system_attr"])
            return _attribute(note, entry["system_attr"], "the study")
        case JournalOperation.CREATE_TRIAL:
            return _trial(entry, refusal)
        case JournalOperation.SET_TRIAL_USER_ATTR:
            return _attribute(RESULT_ATTR not in entry["user_attr"], entry["user_attr"], _named(entry))
        case JournalOperation.SET_TRIAL_SYSTEM_ATTR:
            return _attribute(_note(entry["system_attr"]), entry["system_attr"], _named(entry))
        case JournalOperation.SET_TRIAL_STATE_VALUES:
            return Verdict(False, f"{_named(entry)} told {TrialState(entry['state']).name}")
        case JournalOperation.SET_TRIAL_PARAM:
            return Verdict(False, f"parameter {entry['param_name']} of {_named(entry)} set")
        case JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE:
            return Verdict(False, f"a value of {_named(entry)} reported")
        case _:
            return Verdict(False, f"operation {operation.name.lower()}")


def _trial(entry: Mapping[str, Any], refusal: Refusal) -> Verdict:
    """Only what `enqueue_trial` writes is taken over: a point, and what its author noted beside it."""
    state = TrialState(entry.get("state", TrialState.RUNNING))
    if state != TrialState.WAITING:
        begun = state == TrialState.RUNNING
        return Verdict(False, "a trial begun" if begun else f"a trial added as {state.name}")
    attributes, system = entry.get("user_attrs", {}), entry.get("system_attrs", {})
    if entry["study_id"] != OURS:
        return Verdict(False, "a point enqueued to another study")
    point = system.get("fixed_params")
    if set(system) != {"fixed_params"} or entry.get("params") or entry.get("intermediate_values"):
        return Verdict(False, "a waiting trial that is no enqueued point")
    if not isinstance(point, dict) or not isinstance(attributes, dict) or RESULT_ATTR in attributes:
        raise ValueError("no point")
    if entry["datetime_start"] is not None:
        datetime.fromisoformat(entry["datetime_start"])
    shown = " ".join(f"{name}={value}" for name, value in point.items()) or "nothing fixed"
    refused = refusal(point)
    if refused:
        return Verdict(False, f"point {shown} enqueued and refused: {refused}")
    return Verdict(True, f"point {shown} enqueued: it will be tried")


def _attribute(taken: bool, value: Any, whose: str) -> Verdict:
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("one attribute an entry")
    return Verdict(taken, "" if taken else f"attribute {next(iter(value))!r} of {whose} set")


def _note(value: Any) -> bool:
    """Whether a system attribute is what optuna-dashboard keeps notes in; others may change what samplers do."""
    return isinstance(value, dict) and all(name.startswith("dashboard:") for name in value)


def _named(entry: Mapping[str, Any]) -> str:
    number = entry["trial_id"]
    if not isinstance(number, int):
        raise TypeError("a trial has a number")
    return f"trial {number}"


def sentence(verdicts: Sequence[Verdict], *, missing: int, journal: Path) -> str:
    """What is said of everything that others have done to a journal since it was last looked at; nothing of notes.

    Args:
        missing: entries that it had lost.
    """
    taken = [verdict.said for verdict in verdicts if verdict.taken and verdict.said]
    refused = Counter(verdict.said for verdict in verdicts if not verdict.taken)
    said = list(taken)
    if refused:
        shown = [f"{what} ({times} times)" if times > 1 else what for what, times in list(refused.items())[:MOST]]
        more = len(refused) - len(shown)
        said.append(
            f"{', '.join(shown)}{f' and {more} more' if more > 0 else ''}: not taken over (kept in"
            f" {journal.with_name('journal.outside.log').name}), the study goes on as it was"
        )
    if missing:
        said.append(f"{missing} of its entries missing: put back from ledger.jsonl")
    return f"{journal} was changed by others: {'; '.join(said)}" if said else ""


MOST = 5
"""Kinds of entries that are listed."""
