"""Who is who in a table, however its patients are written."""

from __future__ import annotations

import re
from collections import defaultdict

import pandas as pd

_NUMBER = re.compile(r"0*([0-9]+?)(?:\.0*)?")
_ROUNDED = re.compile(r"[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]+")
NOBODY = ("", "nan", "none", "null", "na", "n/a", "<na>")
"""How programs write that there is nothing in a cell."""


def read_patients(
    names: pd.Series[str], patients: pd.Series[str], table: str
) -> tuple[pd.Series[str], list[str], list[str]]:
    """The patient of each row, problem lines and notes.

    Numbers that are written in several ways (1, 1.0, 0001) are one patient: then all numbers of the table are written
    the shortest way. A table that writes each in one way is left as it is. Images whose patient is not told could fall
    in any part of a split, and numbers that a spreadsheet has rounded (1.2E+10) may be of several patients: both are
    problems.

    Args:
        names: of the rows' images.
        patients: cells without spaces around them.
        table: what to call the table.
    """
    problems = [f"{name}: no patient in {table}" for name in names[patients.str.lower().isin(NOBODY)]]
    rounded = patients.str.fullmatch(_ROUNDED)
    problems += [
        f"{name}: patient {text} in {table} is a number that a program has rounded; expected all its digits"
        for name, text in zip(names[rounded], patients[rounded], strict=True)
    ]
    spellings: dict[str, list[str]] = defaultdict(list)
    for text in patients.unique():
        if (number := patient_number(text)) is not None:
            spellings[number].append(text)
    mixed = [texts for texts in spellings.values() if len(texts) > 1]
    if not mixed:
        return patients, problems, []
    one = {text: number for number, texts in spellings.items() for text in texts}
    note = (
        f"{table} writes numbers of patients in several ways, {' and '.join(mixed[0])} for one: {len(mixed)} such"
        " numbers are one patient each"
    )
    return patients.map(lambda text: one.get(text, text)), problems, [note]


def patient_number(text: str) -> str | None:
    """The shortest way to write a whole number, such as 1 for 1.0 and 0001; None if it is none.

    >>> patient_number("0010.0"), patient_number("0"), patient_number("P1")
    ('10', '0', None)
    """
    match = _NUMBER.fullmatch(text)
    return None if match is None else match[1].lstrip("0") or "0"
