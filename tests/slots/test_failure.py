"""What a trial's end says of what a method raised."""

from __future__ import annotations

import sys

import pytest

from raysearch.errors import MethodError
from raysearch.slots import _group
from raysearch.slots._failure import REASON_LENGTH, TRACE_LENGTH, reason_of, trace_of
from slots.test_group import failed


class MuteError(Exception):
    """Has no text at all."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error

    def __reduce__(self) -> str:
        raise TypeError("cannot be pickled")


def raised(error: BaseException) -> BaseException:
    """The same with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


HOSTILE = [
    (SystemExit("bye"), "SystemExit: bye"),
    (SystemExit(3), "SystemExit: 3"),
    (SystemExit(), "SystemExit"),
    (KeyboardInterrupt(), "KeyboardInterrupt"),
    (GeneratorExit(), "GeneratorExit"),
    (BaseExceptionGroup("two", [SystemExit(1), KeyError("x")]), "BaseExceptionGroup: two (2 sub-exceptions)"),
    (ValueError(""), "ValueError"),
    (ValueError(" \n\t\n"), "ValueError"),
    (ValueError("\n\nfirst\nsecond"), "ValueError: first"),
    (ValueError("\x1b[31mred\x00\rover\u2028x"), r"ValueError: \x1b[31mred\x00\rover\u2028x"),
    (ValueError("\udcff"), r"ValueError: \xff"),
    (MuteError(LookupError("no")), "MuteError: its text cannot be shown (LookupError)"),
    (MuteError(SystemExit("no")), "MuteError: its text cannot be shown (SystemExit)"),
    (MethodError("u is too large"), "u is too large"),
    (MethodError(""), "MethodError"),
]


@pytest.mark.parametrize(("error", "said"), HOSTILE)
def test_an_exception_in_one_line(error: BaseException, said: str) -> None:
    assert reason_of(error) == said


@pytest.mark.parametrize("error", [error for error, _ in HOSTILE])
def test_its_traceback_can_be_written_and_shown(error: BaseException) -> None:
    trace = trace_of(raised(error))
    assert "in raised" in trace
    assert trace.encode()
    assert all(c.isprintable() for c in trace.replace("\n", "").replace("\t", ""))


def test_an_endless_text_is_cut_and_the_lines_of_code_stay() -> None:
    error = raised(LookupError("y" * 5_000_000))
    assert reason_of(error) == "LookupError: " + "y" * (REASON_LENGTH - 17) + " ..."
    trace = trace_of(error)
    assert len(trace) <= TRACE_LENGTH
    assert "in raised" in trace


@pytest.mark.parametrize("command", ["start", "epoch", "upstream", "upstream_epoch", "upstream_outcome"])
@pytest.mark.parametrize("error", [SystemExit("bye"), KeyboardInterrupt(), GeneratorExit(), MuteError(SystemExit())])
def test_whatever_a_method_raises_fails_its_trial_and_leaves_the_slot(error: BaseException, command: str) -> None:
    told = failed(error, command, alone=True)
    assert (told["kind"], told["message"], told["retire"]) == ("error", reason_of(error), False)
    assert failed(error, command, alone=False)["retire"], "the other workers may be waiting for this one"


def test_sys_exit_in_a_worker_is_an_answer() -> None:
    class Leaving:
        def run(self, name: str, payload: object) -> None:
            sys.exit("bye")

    answer = _group._run(Leaving(), "epoch", None, alone=True)  # type: ignore[arg-type]
    assert answer["error"]["message"] == "SystemExit: bye"
