"""What is told of an exception of a method's own code. Nothing of it can be relied on: its text may be empty, endless
or not printable, and asking for it may raise."""

from __future__ import annotations

import traceback

from raysearch.errors import RaysearchError
from raysearch.training import NonFiniteLossError

REASON_LENGTH = 500
TRACE_LENGTH = 8000


def reason_of(error: BaseException) -> str:
    """The exception in one line; ours speak for themselves, any other has its type in front.

    >>> reason_of(LookupError("no such luck")), reason_of(SystemExit()), reason_of(KeyError("\\x1b[31m\\nx"))
    ('LookupError: no such luck', 'SystemExit', "KeyError: '\\\\x1b[31m\\\\nx'")
    """
    text = _first_line(text_of(error))
    if not isinstance(error, RaysearchError | NonFiniteLossError):
        kind = type(error).__name__
        text = f"{kind}: {text}" if text else kind
    return _shortened(printable(text or type(error).__name__), REASON_LENGTH)


def trace_of(error: BaseException) -> str:
    """The end of its traceback."""
    parts = [_shortened(part, TRACE_LENGTH // 4) for part in traceback.format_exception(error)]
    return "".join(f"{printable(line)}\n" for line in "".join(parts).splitlines())[-TRACE_LENGTH:]


def text_of(error: BaseException) -> str:
    """``str(error)``, whatever that raises."""
    try:
        return str(error)
    except BaseException as other:
        return f"its text cannot be shown ({type(other).__name__})"


def printable(text: str) -> str:
    """The text with everything else than printable characters escaped, what UTF-8 cannot hold among it.

    >>> printable("naïve\\rhidden"), printable("\\udcff")
    ('naïve\\\\rhidden', '\\\\udcff')
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "")


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 4]} ..."
