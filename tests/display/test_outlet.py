"""Streams that never fail."""

from __future__ import annotations

import io
import os
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from raysearch._outlet import AS_IT_IS, Outlet
from raysearch._text import one_line, shown
from raysearch.study._quiet import chatter_to


def closed_pipe() -> IO[str]:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", buffering=1)


def full_disk() -> IO[str]:
    return Path("/dev/full").open("w")


@pytest.mark.parametrize("make", [closed_pipe, full_disk])
def test_a_failure_is_kept_and_nothing_is_raised(make: Callable[[], IO[str]]) -> None:
    outlet = Outlet(make())
    for _ in range(3):
        assert outlet.write("a line\n") == 7
        outlet.flush()
    assert isinstance(outlet.failure, OSError)
    outlet.close()
    assert outlet.closed
    outlet.flush()


def test_nothing_can_be_written_past_it() -> None:
    outlet = Outlet(io.StringIO())
    assert not hasattr(outlet, "buffer")
    with pytest.raises(TypeError):
        outlet.write(b"bytes")  # type: ignore[arg-type]


def test_a_display_goes_on_without_its_terminal(tmp_path: Path) -> None:
    kept = os.dup(1)
    reader, writer = os.pipe()
    try:
        sys.stdout.flush()
        os.dup2(writer, 1)
        os.close(writer)
        with chatter_to(tmp_path / "log.txt") as terminal:
            os.dup2(os.dup(kept), 1)  # the pipe's last writer is the terminal's own
            console = Console(file=terminal, soft_wrap=True)
            console.print(Text("first"))
            assert os.read(reader, 99) == b"first\n"
            os.close(reader)
            for _ in range(3):
                console.print(Text("trial"))
            print("to the log é \udc9b")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    assert "to the log é" in (tmp_path / "log.txt").read_text()


def test_escape_codes_of_a_display_are_obeyed() -> None:
    stream = io.StringIO()
    console = Console(file=cast(IO[str], Outlet(stream, obeyed=True)), force_terminal=True, color_system="standard")
    console.print(Text("a", style="bold"))
    assert "\x1b[1m" in stream.getvalue()


def test_names_of_files_as_they_are() -> None:
    for encoding, expected in (("utf-8", b"\xff\xc3\xa9\\x1b"), ("ascii", b"\xff\\xe9\\x1b")):
        raw = io.BytesIO()
        outlet = Outlet(io.TextIOWrapper(raw, encoding=encoding, errors=AS_IT_IS), whole=True)
        outlet.write("\udcffé\x1b")
        outlet.flush()
        assert raw.getvalue() == expected


@given(st.text())
def test_what_is_shown_is_harmless(text: str) -> None:
    harmless = shown(text)
    assert not set(harmless) & ({*map(chr, range(32)), *map(chr, range(127, 160))} - set("\n\t"))
    assert not set(harmless) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u2028")
    assert shown(harmless) == harmless
    assert "\n" not in one_line(text)
    harmless.encode("utf-8")


def test_ordinary_text_stays() -> None:
    text = "naïve 文字 👩‍🔬 पत्‍नी \u00a0\u3000 a\tb\n" + string.printable[:95]
    assert shown(text) == text
