"""Words of messages."""

from __future__ import annotations


def counted(number: float, noun: str) -> str:
    """A number of things, of which the plural ends in s.

    >>> counted(1, "trial"), counted(0, "trial"), counted(1234567, "image"), counted(0.5, "GPU")
    ('1 trial', '0 trials', '1234567 images', '0.5 GPUs')
    """
    written = f"{number:g}" if isinstance(number, float) else str(number)
    return f"{written} {noun}" + ("" if number == 1 else "s")
