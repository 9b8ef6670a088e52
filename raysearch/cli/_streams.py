"""Standard output and standard error of a command: whatever they are, nothing that is printed ends it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO, cast

from raysearch._outlet import AS_IT_IS, Outlet


@contextlib.contextmanager
def guarded() -> Iterator[Outlet]:
    """Within it, both streams are `Outlet`s; yields standard output."""
    _open_descriptors()
    streams = sys.stdout, sys.stderr
    out, err = (stream or open(os.devnull, "w", encoding="utf-8") for stream in streams)  # noqa: SIM115
    for stream, errors in ((out, AS_IT_IS), (err, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
    # a terminal is for people, whatever else for programs, which need names of files as they are
    outlet = Outlet(out, whole=not out.isatty())
    sys.stdout, sys.stderr = cast(TextIO, outlet), cast(TextIO, Outlet(err))
    try:
        yield outlet
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = streams


def unwritten(out: Outlet) -> str:
    """Why not all that was printed arrived; empty if it did, or if its reader wanted no more."""
    out.flush()
    if out.failure is None or out.failure.errno == errno.EPIPE:
        return ""
    reason = out.failure.strerror
    return f"standard output cannot be written ({reason}), so what it says is not complete; send it elsewhere"


def _open_descriptors() -> None:
    """Gives the standard descriptors that are closed to nobody: the next file to be opened would get their numbers, and
    with them what others print."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
            os.set_inheritable(descriptor, True)
