"""Did the study overtune? What it promised of a trial beside what the test split says, and both beside the defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from raysearch.data import Collection
from raysearch.errors import StudyError
from raysearch.export._bundle import levels_by_class
from raysearch.export._score import observe_rows
from raysearch.export._trial import trained, trained_settings
from raysearch.study import Study, TrialRecord, corrected_winner, read_records, winner_json, winner_lines
from raysearch.study._config import DEFAULTS
from raysearch.study._winner import Corrected, interval_text, limits
from raysearch.thresholds import Interval, PlainMetric, Sweep, at, class_levels, find_metric, influence, jackknife
from raysearch.training import Observations

Standing = Literal["same", "none", "gone", "tested"]
"""How the defaults compare: the trial has them, a grid has none, their weights are gone, or they were tested."""

Measured = tuple[float, NDArray[np.float64]]
"""A value, and how much each patient adds to it."""


@dataclass(frozen=True, kw_only=True)
class Overtuning:
    """A trial on the test split beside its value on the tuning split, and beside the defaults on the same test images.

    Attributes:
        corrected: what the choice has left of its value on the tuning split; None where that is not known.
        naive: the value that the trial was judged by.
        test: its value on the test split, with the interval over patients.
        defaults: how the defaults can be compared with.
        gain: of the trial over the defaults on the test split, more is better; None where that is not `tested`.
        says: sentences.
    """

    corrected: Corrected | None
    naive: float | None
    test: Interval
    defaults: Standing
    gain: Interval | None
    says: tuple[str, ...]

    @property
    def overtuned(self) -> bool | None:
        """Whether the trial is worse than the defaults; None where the test split cannot tell."""
        if self.gain is None or self.gain.low <= 0 <= self.gain.high or math.isnan(self.gain.low):
            return None
        return self.gain.high < 0

    def to_json(self) -> dict[str, Any]:
        """``tuning`` is as `status` has it under ``winner``."""
        return {
            "tuning": winner_json(self.corrected),
            "naive": self.naive,
            "test": self.test.mean if math.isfinite(self.test.mean) else None,
            "defaults": self.defaults,
            "test_gain": None if self.gain is None else self.gain.mean,
            "test_gain_interval_95": None if self.gain is None else limits(self.gain),
            "overtuned": self.overtuned,
            "says": list(self.says),
        }


def tested(
    study: Study, record: TrialRecord, collection: Collection, rows: NDArray[np.int64], observations: Observations
) -> Overtuning:
    """Sets a trial beside its promise and beside the defaults.

    Args:
        record: of the trial as it was trained and judged.
        rows: of the test split.
        observations: of them, by the trial.
    """
    found = corrected_winner(study, read_records(study), record.number)
    value, added = _measured(study, record, observations)
    standing, gain = _beside_defaults(study, record, collection, rows, (value, added))
    test = jackknife(value, added)
    return Overtuning(
        corrected=found,
        naive=record.value,
        test=test,
        defaults=standing,
        gain=gain,
        says=(*_promised(study, record, found, test), *_sentence(standing, gain, found)),
    )


def _measured(study: Study, record: TrialRecord, observations: Observations) -> Measured:
    """The study's metric at the trial's own thresholds."""
    metric = find_metric(study.config.metric)
    evidence = observations.evidence[metric.evidence]
    if isinstance(metric, PlainMetric):
        return at(evidence, metric), influence(evidence, metric)
    assert isinstance(evidence, Sweep)
    levels = levels_by_class(record.result["thresholds"], evidence.classes)
    row_levels = class_levels(evidence, levels)[evidence.label][:, None]
    return at(evidence, metric, levels), influence(evidence, metric, row_levels)


def _beside_defaults(
    study: Study, record: TrialRecord, collection: Collection, rows: NDArray[np.int64], own: Measured
) -> tuple[Standing, Interval | None]:
    """How the defaults can be compared with, and by how much the trial is better, with an interval over patients."""
    number = study.config.defaults
    if number is None:
        return "none", None
    if record.number == number:
        return "same", None
    defaults = next((r for r in read_records(study) if r.number == number and r.result), None)
    if defaults is None or "exploited" in defaults.result or not study.trial(number).best.exists():
        return "gone", None
    try:
        settings = trained_settings(study, defaults)
        method, model = trained(study, defaults, settings, collection)
    except StudyError:
        return "gone", None
    value, added = _measured(study, defaults, observe_rows(method, model, collection, rows, study.config.metric))
    sign = 1.0 if study.config.direction == "maximize" else -1.0
    return "tested", jackknife(sign * (own[0] - value), sign * (own[1] - added))


def _promised(study: Study, record: TrialRecord, found: Corrected | None, test: Interval) -> list[str]:
    """The tuning split's estimates and the test value, in one sentence."""
    if record.value is None or not math.isfinite(test.mean):
        return []
    line = f"{study.config.metric} of trial {record.number} is {record.value:.4f} on the tuning split"
    corrected = "" if found is None or not winner_lines(found) else f", {winner_lines(found)[0]}"
    line += f"{corrected}; on the test split {test.mean:.4f}."
    if found is None or not (math.isfinite(test.low) and math.isfinite(found.value.low)):
        return [line]
    gap = found.value.mean - test.mean
    error = math.hypot(test.high - test.mean, found.value.high - found.value.mean)
    if abs(gap) <= error:
        return [f"{line} The corrected value and the test value agree within their intervals."]
    worse = (gap > 0) == (study.config.direction == "maximize")
    return [f"{line} The test value is {'worse' if worse else 'better'} than the corrected one by more than chance."]


def _sentence(standing: Standing, gain: Interval | None, found: Corrected | None) -> list[str]:
    """Whether the study overtuned, in one sentence."""
    if standing == "none":
        return []
    if standing == "same":
        won = ": no other was better on the tuning split" if found is not None and found.defaults_won else ""
        return [f"It is the trial with the defaults{won}."]
    if gain is None:
        return [
            f"Whether it is better than the defaults (trial {DEFAULTS}) on the test split cannot be said: that trial"
            " has no weights, or took over another one's."
        ]
    told = interval_text(gain, signed=True)
    if gain.high < 0:
        return [
            f"The study overtuned: on the test split the trial is worse than the defaults (trial {DEFAULTS}), {told}."
        ]
    if gain.low > 0:
        return [f"No overtuning: on the test split the trial is better than the defaults (trial {DEFAULTS}), {told}."]
    return [f"On the test split the data cannot tell the trial from the defaults (trial {DEFAULTS}): gain {told}."]
