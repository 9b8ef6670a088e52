"""A model beside a reference, such as human readers: by class, and how much of a baseline's gap to it is closed."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from raysearch.errors import ExportError, nearest
from raysearch.thresholds import find_metric

COLUMNS = ("class", "value")


@dataclass(frozen=True)
class Reference:
    """What a model is set beside.

    Attributes:
        metric: name of what is compared.
        values: of the reference, by class.
        baseline: of another model, whose gap to the reference is to be closed; None without one.
    """

    metric: str
    values: Mapping[str, float]
    baseline: Mapping[str, float] | None = None

    def beside(self, model: Mapping[str, float]) -> dict[str, Any]:
        """The model's values by class beside these, over the classes that all have a value of.

        ``gap_closed`` is ``(model - baseline) / (reference - baseline)``, the share by which the model reduces the gap
        that a baseline has to the reference (paper 002, section 4.3: by 57.2 % of the gap to radiologists, in the
        mean); above 1 the model is better than the reference. None without a baseline, and where that is as good as the
        reference or better: there is no gap.

        Returns:
            ``metric``, ``classes`` (class to ``model``, ``reference``, ``baseline`` and ``gap_closed``) and ``mean``,
            the same of the means over these classes.

        Raises:
            ExportError: there is no such class.
        """
        columns = (model, self.values, *(() if self.baseline is None else (self.baseline,)))
        shared = [name for name in self.values if all(name in each for each in columns)]
        if not shared:
            have = f"the model has {', '.join(model) or 'none'}"
            if self.baseline is not None:
                have += f", the baseline {', '.join(self.baseline) or 'none'}"
            raise ExportError(
                f"--reference has values of {', '.join(self.values)}, but no class of them has a {self.metric} here"
                f" ({have}); give values of these classes, or leave it out"
            )
        sign = 1 if find_metric(self.metric).direction == "maximize" else -1
        return {
            "metric": self.metric,
            "classes": {name: _standing(sign, *(each[name] for each in columns)) for name in shared},
            "mean": _standing(sign, *(float(np.mean([each[name] for name in shared])) for each in columns)),
        }


def reference_values(
    file: Path | None, baseline: Path | None, classes: Sequence[str], metric: str
) -> dict[str, float] | None:
    """`read_reference` of what the command line gives; None without a file.

    Raises:
        ExportError: as `read_reference`, a baseline without a reference, or a value that the metric cannot have.
    """
    if file is None and baseline is not None:
        raise ExportError(
            f"--baseline {baseline} without --reference: expected a file of what the gap is to; give both"
        )
    if file is None:
        return None
    values = read_reference(file, classes)
    _refuse_percent(file, values, metric)
    return values


def read_reference(file: Path, classes: Sequence[str]) -> dict[str, float]:
    """Values by class of a CSV file with the columns class and value; classes may be left out.

    Raises:
        ExportError: it cannot be read, lacks a column or all lines, names an unknown class or one twice, or a value is
            no finite number.
    """
    expected = f"expected a CSV file with the columns {' and '.join(COLUMNS)}, one line a class"
    values: dict[str, float] = {}
    try:
        with open(file, newline="", encoding="utf-8-sig") as lines:
            table = csv.DictReader(lines, skipinitialspace=True)
            missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise ExportError(f"--reference {file} has no column '{missing[0]}'; {expected}")
            for line in table:
                _add(values, line, f"--reference {file}, line {table.line_num}", classes)
    except OSError as error:
        raise ExportError(f"--reference {file} cannot be read ({error.strerror}); {expected}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ExportError(f"--reference {file} is no CSV file ({error}); {expected}") from None
    if not values:
        raise ExportError(f"--reference {file} holds no value; {expected}")
    return values


def _refuse_percent(file: Path, values: Mapping[str, float], metric: str) -> None:
    """ExportError for a value that the metric cannot have, such as percent of a share."""
    least, highest = find_metric(metric).span
    for label, value in values.items():
        if not least <= value <= highest:
            wanted = "shares" if highest == 1 else "pixels"
            share = f", such as {value / 100:g} for {value:g} %" if 1 < value <= 100 else ""
            raise ExportError(
                f"--reference {file}: the value of {label} is {value:g}, but {metric} lies from {least:g} to"
                f" {highest:g}; expected {wanted}{share}"
            )


def _add(values: dict[str, float], line: Mapping[str, str | None], where: str, classes: Sequence[str]) -> None:
    label, text = (line["class"] or "").strip(), (line["value"] or "").strip()
    if label not in classes:
        raise ExportError(f"{where}: unknown class '{label}'; {nearest(label, classes)}")
    if label in values:
        raise ExportError(f"{where}: class '{label}' for the second time; leave out one of the lines")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ExportError(f"{where}: the value of {label} is '{text}'; expected a number such as 0.45")
    values[label] = value


def _standing(sign: int, model: float, reference: float, baseline: float | None = None) -> dict[str, float | None]:
    """`sign` is 1 where more is better, else -1."""
    closed = None
    if baseline is not None and sign * (reference - baseline) > 0:
        closed = (model - baseline) / (reference - baseline)
    return {"model": model, "reference": reference, "baseline": baseline, "gap_closed": closed}
