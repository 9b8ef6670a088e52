"""The command line in this process, and what a refusal looks like."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from export.finished_studies import copy_of_exported, copy_of_finished

from raysearch.cli import main
from raysearch.study import Study


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line of an error."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("raysearch: ")
        assert "Traceback" not in self.out + self.err
        return lines[0]


Call = Callable[..., Outcome]
Refuse = Callable[..., str]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs ``raysearch ARGUMENTS``."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # every command appends the working directory

    def call(*argv: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in argv])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, out, err)

    return call


@pytest.fixture
def refuse(call: Call, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Runs a command that has to be refused before Ray is started, and returns the line that says why."""

    def begin(*_: object) -> None:
        raise AssertionError("a search began")

    monkeypatch.setattr("raysearch.study._run._search", begin)

    def refuse(*argv: object, code: int = 2, says: tuple[str, ...] = ()) -> str:
        outcome = call(*argv)
        line = outcome.line
        assert outcome.code == code, line
        for words in says:
            assert words in line, f"{words!r} is not in {line!r}"
        return line

    return refuse


@pytest.fixture
def study(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study where the commands look for it."""
    return copy_of_finished(tmp_path_factory.getbasetemp(), tmp_path / "studies")


@pytest.fixture
def model(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model."""
    return copy_of_exported(tmp_path_factory.getbasetemp(), tmp_path / "model")
