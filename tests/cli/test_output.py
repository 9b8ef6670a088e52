"""What happens to what a command prints: places that cannot be written, readers that go away, characters that a
terminal would obey."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import Call, Refuse
from raysearch.study import Study
from raysearch.study._ledger import lines_of, seal, unsealed

ESCAPES = "a\x1b[31mb\rc\x08d\x9be\u202ef\u2066g\x7fh"
SHOWN = r"a\x1b[31mb\rc\x08d\x9be\u202ef\u2066g\x7fh"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A line of bash in which `$R` is raysearch."""
    own = {"R": f"{sys.executable} -m raysearch", "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        check=False,
        env={**os.environ, **own, **environment},
    )


@pytest.mark.parametrize("arguments", ["methods", "--version", "--help", "", "spaces cam_avg --json"])
def test_a_full_disk_is_told_and_is_a_failure(arguments: str) -> None:
    ended = shell(f"$R {arguments} > /dev/full")
    assert ended.returncode == 1
    (line,) = ended.stderr.decode().splitlines()
    assert line.startswith("raysearch: standard output cannot be written (No space left on device)")


@pytest.mark.parametrize(
    ("command", "code", "err"),
    [
        ("$R methods >&-", 0, ""),
        ("$R methods >&- 2>&- <&-", 0, ""),
        ("$R nonsense 2>&-", 2, ""),
        ("$R nonsense 2> /dev/full", 2, ""),
        ("$R nonsense >&- 2>&-", 2, ""),
        ("$R methods 2>&- | true; exit ${PIPESTATUS[0]}", 0, ""),
        ("$R spaces cam_avg | head -c 1 > /dev/null; exit ${PIPESTATUS[0]}", 0, ""),
        ("$R methods > /dev/full 2> /dev/full", 1, ""),
        ("mkdir gone && cd gone && rmdir ../gone && $R methods", 2, "raysearch: the working folder cannot be used"),
    ],
)
def test_streams_that_are_closed(command: str, code: int, err: str, tmp_path: Path) -> None:
    ended = shell(f"cd {tmp_path}; {command}")
    assert (ended.returncode, ended.stderr.decode()[: len(err) or None]) == (code, err)


def test_a_terminal_that_knows_ascii_alone() -> None:
    for environment in ({"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        ended = shell("$R status 'é'; RAYSEARCH_STUDIES=/nö/wo $R studies", **environment)
        assert ended.stderr.isascii()
        assert b"Traceback" not in ended.stderr
        assert b"no study in /n" in ended.stdout


@pytest.mark.parametrize(
    "argv",
    [
        ("status", ESCAPES),
        ("status", f"x/{ESCAPES}"),
        (ESCAPES,),
        ("status", f"--{ESCAPES}"),
        ("tune", "--method", ESCAPES),
        ("tune", "--method", "cam_avg", "--study", ESCAPES),
        ("tune", "--method", "cam_avg", "--fix", f"{ESCAPES}=1"),
        ("tune", "--method", "cam_avg", "--metric", ESCAPES),
        ("tune", "--method", "cam_avg", "--data", f"kermany:/{ESCAPES}"),
        ("tune", "--method", "cam_avg", "--space", ESCAPES),
        ("verify", ESCAPES),
    ],
)
def test_nothing_of_a_refusal_is_obeyed(refuse: Refuse, argv: tuple[str, ...]) -> None:
    line = refuse(*argv)
    assert line.isprintable()
    assert r"\x1b" in line
    assert r"\u202e" in line


def test_nothing_of_a_study_is_obeyed(call: Call, study: Study) -> None:
    """A reason and a choice that would take a line of their own, and colour it."""
    told = json.dumps(f"no\n* 7 complete 1.0 {ESCAPES}").encode()
    entries = [unsealed(line) for line in lines_of(study.ledger.read_bytes())]
    assert any(b'"reason":""' in entry for entry in entries)
    changed = [entry.replace(b'"reason":""', b'"reason":' + told) for entry in entries]
    study.ledger.write_bytes(b"".join(seal(entry, number) for number, entry in enumerate(changed)))
    study.journal.unlink()
    outcome = call("status", "done")
    assert outcome.code == 0
    assert rf"no\n* 7 complete 1.0 {SHOWN}" in outcome.out
    assert all(line.isprintable() for line in outcome.out.splitlines())
    outcome = call("status", "done", "--json")
    assert ESCAPES in json.loads(outcome.out)["trials"][0]["reason"]
    assert all(line.isprintable() for line in outcome.out.splitlines())
