"""A text stream to people that never fails, and obeys nothing of what it is given to show."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from typing import IO

from raysearch._text import shown

AS_IT_IS = "raysearch.as-it-is"
"""How what an encoding does not have is written: bytes of file names that are no text as they are, the rest escaped."""


def _as_it_is(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    error.end = error.start + 1  # the two kinds may follow each other
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.backslashreplace_errors(error)


codecs.register_error(AS_IT_IS, _as_it_is)


class Outlet:
    """Writes to another stream until that cannot be written any more: a full disk, a pipe that nobody reads, a terminal
    that went away. What is being done goes on; who wants to know asks for the `failure`.

    It has no `buffer`: nothing can be written past it.

    Args:
        obeyed: the writer's escape codes reach the terminal, so that what others gave it has to be `shown` before.
        whole: bytes that are no text pass as they are, for programs that read names of files.
    """

    def __init__(self, stream: IO[str], *, obeyed: bool = False, whole: bool = False) -> None:
        self._stream = stream
        self._obeyed = obeyed
        self._whole = whole
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"{type(text).__name__} found, expected text")
        if self.failure is None:
            with self._noted():
                self._stream.write(text if self._obeyed else self._harmless(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if self.failure is None and not self._stream.closed:
            with self._noted():
                self._stream.flush()

    def close(self) -> None:
        """Closes the other stream."""
        self.flush()
        self._stream.close()

    @property
    def closed(self) -> bool:
        return self._stream.closed

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def errors(self) -> str:
        return getattr(self._stream, "errors", None) or "strict"

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return not self.closed and self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def _harmless(self, text: str) -> str:
        if not self._whole:
            return shown(text)
        return re.sub("[^\udc80-\udcff]+", lambda found: shown(found[0]), text)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = error
            self._give_up()

    def _give_up(self) -> None:
        """What is still buffered has to go somewhere, or Python complains of it at its end."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
