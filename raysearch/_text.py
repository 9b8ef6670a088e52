"""Words of messages."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"
"""Format characters that belong to the spelling of words and emoji."""


def counted(number: float, noun: str) -> str:
    """A number of things, of which the plural ends in s.

    >>> counted(1, "trial"), counted(0, "trial"), counted(1234567, "image"), counted(0.5, "GPU")
    ('1 trial', '0 trials', '1234567 images', '0.5 GPUs')
    """
    written = f"{number:g}" if isinstance(number, float) else str(number)
    return f"{written} {noun}" + ("" if number == 1 else "s")


def shown(text: str) -> str:
    """Text of which no terminal obeys anything but line breaks and tabs: control characters, those that turn the
    direction of writing, and bytes that are no text stand as escapes.

    >>> shown("a\\x1b[31mb\\r\\u202ec")
    'a\\\\x1b[31mb\\\\r\\\\u202ec'
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def one_line(text: str) -> str:
    """`shown`, without line breaks."""
    return shown(text).replace("\n", "\\n")


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in "\n\t" or letter in _JOINERS:
        return letter
    if unicodedata.category(letter) in ("Zs", "Co", "Cn"):
        return letter
    if "\udc80" <= letter <= "\udcff":  # how Python keeps a byte of a file's name that is no text
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def duration(seconds: float) -> str:
    """A length of time as ``--time`` takes it.

    >>> duration(25), duration(90.4), duration(3600), duration(5425), duration(0.25)
    ('25s', '1m30s', '1h', '1h30m25s', '0.25s')
    """
    if seconds < 10:
        return f"{seconds:.3g}s"
    hours, rest = divmod(round(seconds), 3600)
    parts = ((hours, "h"), (rest // 60, "m"), (rest % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
