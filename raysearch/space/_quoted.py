"""Values between commas, as on a line of CSV: one that holds a comma stands in double quotes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = re.compile(r'\s*+(?:"(?P<quoted>(?:[^"]|"")*+)"\s*|(?P<plain>[^",][^,]*|))(?:,|\Z)')
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Field:
    """One of the values.

    Attributes:
        quoted: it stood in double quotes, so that it is text as it is.
    """

    text: str
    quoted: bool


def split_at_commas(text: str) -> list[Field]:
    """The values of a text.

    Raises:
        ValueError: one is empty, or looks as if it were cut in two.

    >>> [field.text for field in split_at_commas('a, "b,c", "so ""called"" d"')]
    ['a', 'b,c', 'so "called" d']
    """
    fields, start = [], 0
    while True:
        found = _FIELD.match(text, start)
        if found is None:
            raise ValueError(f"'{text[start:]}' begins with a double quote that is not closed before the next comma")
        if found["quoted"] is not None:
            fields.append(Field(found["quoted"].replace('""', '"'), quoted=True))
        else:
            fields.append(Field(_whole(found["plain"].strip(), text), quoted=False))
        if not found[0].endswith(","):
            return fields
        start = found.end()


def _whole(plain: str, text: str) -> str:
    if not plain:
        raise ValueError(
            f"one of the values of '{text}' is empty; leave out the comma, or write \"\" for the empty text"
        )
    if "," in text and _cut(plain):
        raise ValueError(
            f"'{plain}' has a bracket or quote without its other half; put a value with commas in double quotes, as in"
            ' "[1,2]","[3]"'
        )
    return plain


def _cut(plain: str) -> bool:
    """Whether brackets are not closed, or closed without being open, or a single quote is at one end alone."""
    open_ones: list[str] = []
    for letter in plain:
        if letter in _BRACKETS:
            open_ones.append(_BRACKETS[letter])
        elif letter in _BRACKETS.values() and (not open_ones or open_ones.pop() != letter):
            return True
    return bool(open_ones) or (plain != "'" and plain.startswith("'") != plain.endswith("'"))
