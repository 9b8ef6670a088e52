"""Looks at the test split, and where chatter goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from export.finished_studies import copy_of_finished, finished_study
from search.toy import toy_study

from raysearch.cli import main
from raysearch.study import Study
from raysearch.study._looks import record_look
from raysearch.study._quiet import chatter_to


def test_looks_are_counted_by_split_over_all_studies(tmp_path: Path) -> None:
    one, two = toy_study(tmp_path, "one"), toy_study(tmp_path, "two")
    other = toy_study(tmp_path, "other", split={"how": "random", "seed": 1, "digest": "another"})
    assert record_look(one, "export", 3) == 1
    assert record_look(two, "compare", 0) == 2
    assert record_look(other, "export", 0) == 1
    assert record_look(one, "export", 3) == 3
    lines = [json.loads(line) for line in (tmp_path / "looks.jsonl").read_text().splitlines() if line]
    assert [(line["study"], line["command"], line["trial"]) for line in lines] == [
        ("one", "export", 3), ("two", "compare", 0), ("other", "export", 0), ("one", "export", 3),
    ]  # fmt: skip


def test_a_look_cut_short_hides_no_other(tmp_path: Path) -> None:
    study = toy_study(tmp_path)
    record_look(study, "export", 0)
    with open(tmp_path / "looks.jsonl", "ab") as file:
        file.write(b'{"digest": "d", "stu')
    assert record_look(study, "export", 1) == 2
    assert record_look(study, "export", 2) == 3


def test_the_second_look_says_so(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(tmp_path / "studies"))
    study = copy_of_finished(tmp_path_factory.getbasetemp(), tmp_path / "studies")

    def exported(study: Study, out: str) -> str:
        with pytest.raises(SystemExit, match="0"):
            main(["export", study.name, "--out", str(tmp_path / out)])
        return capsys.readouterr().err

    assert "look" not in exported(study, "first")
    assert "warning: look 2 at this test split; choosing by it makes it a tuning split" in exported(study, "second")
    renamed = finished_study(study.path.parent, name="renamed")
    assert "warning: look 3 at this test split" in exported(renamed, "third"), "a new name resets nothing"


def test_chatter_goes_to_the_log_and_words_to_the_terminal(tmp_path: Path) -> None:
    program = f"""
import os, subprocess, sys
from pathlib import Path
from raysearch.study._quiet import chatter_to
print("before")
with chatter_to(Path({str(tmp_path / "log.txt")!r})) as terminal:
    print("chatter of python")
    print("and of its errors", file=sys.stderr)
    os.write(1, b"chatter of C\\n")
    subprocess.run([sys.executable, "-c", "print('chatter of a child')"], check=True)
    terminal.write("a word to the user\\n")
print("after")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["before", "a word to the user", "after"]
    assert done.stderr == ""
    log = (tmp_path / "log.txt").read_text()
    assert all(f"chatter of {who}" in log for who in ("python", "C", "a child"))
    assert "and of its errors" in log


def test_streams_come_back_after_an_error(tmp_path: Path) -> None:
    streams, descriptors = (sys.stdout, sys.stderr), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        try:
            with chatter_to(tmp_path / "log.txt"):
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
    assert (sys.stdout, sys.stderr) == streams
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1
