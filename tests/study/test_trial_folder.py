"""Files of a trial: whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysearch.errors import StudyError
from raysearch.study._judge import judge
from raysearch.study._spent import spent_seconds
from raysearch.study._trial_folder import TrialFolder, link_atomically, write_atomically


@pytest.fixture
def folder(tmp_path: Path) -> TrialFolder:
    made = TrialFolder(tmp_path / "3")
    made.create({"config": {"lr": 0.1}, "thresholds": {"mask_threshold": {"a": 0.5}}})
    return made


def record(folder: TrialFolder, epoch: int, *, best: bool = True) -> None:
    row = {"epoch": epoch, "value": 0.1 * epoch}
    folder.record(row, evidence=b"e%d" % epoch, checkpoint=b"c%d" % epoch, best=best)


def test_what_is_written_is_read(folder: TrialFolder) -> None:
    assert folder.config == {"config": {"lr": 0.1}, "thresholds": {"mask_threshold": {"a": 0.5}}}
    assert TrialFolder(folder.path / "none").config is None
    assert folder.rows() == []
    record(folder, 1)
    record(folder, 2, best=False)
    assert [row["epoch"] for row in folder.rows()] == [1, 2]
    assert (folder.last.read_bytes(), folder.best.read_bytes()) == (b"c2", b"c1")
    assert (folder.path / "evidence" / "best.npz").read_bytes() == b"e1"


def test_a_line_cut_short_is_cut_off(folder: TrialFolder) -> None:
    record(folder, 1)
    record(folder, 2)
    path = folder.path / "metrics.jsonl"
    data = path.read_bytes()
    first = data.index(b"\n") + 1
    for cut in range(first, len(data)):
        path.write_bytes(data[:cut])
        assert [row["epoch"] for row in folder.rows()] == [1]
        record(folder, 2)
        assert [row["epoch"] for row in folder.rows()] == [1, 2]


def test_other_damage_is_named(folder: TrialFolder) -> None:
    record(folder, 1)
    path = folder.path / "metrics.jsonl"
    path.write_bytes(b"rubbish\n" + path.read_bytes())
    with pytest.raises(StudyError, match=r"metrics\.jsonl line 1 is not JSON: .*restore the file"):
        folder.rows()


def test_dropped_checkpoints_leave_nothing(folder: TrialFolder) -> None:
    record(folder, 1)
    for name in ("last.pt.part", "best.pt.part"):
        (folder.path / "checkpoint" / name).write_bytes(b"of a killed writer")
    folder.drop_checkpoints(keep_best=True)
    assert folder.best.read_bytes() == b"c1"
    assert not folder.last.exists()
    folder.drop_checkpoints(keep_best=False)
    folder.drop_checkpoints(keep_best=False)
    assert list((folder.path / "checkpoint").iterdir()) == []


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("links", [True, False])
def test_a_link_is_what_the_source_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:

        def refuse(*_: Any) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    source, target = tmp_path / "source", tmp_path / "target"
    write_atomically(source, b"1")
    for _ in range(2):  # the second time it is the same file already
        link_atomically(source, target)
        assert target.read_bytes() == b"1"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["source", "target"]
    write_atomically(source, b"2")
    assert target.read_bytes() == b"1"


VALUES = st.sampled_from([0.1, 0.2, 0.3, float("nan"), float("inf")])


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows of a trial whose last stage may have begun."""
    values, before = draw(st.lists(VALUES, max_size=8)), draw(st.integers(0, 8))
    return [{"epoch": n, "value": value, "last_stage": n > before} for n, value in enumerate(values, 1)]


@given(rows=histories(), maximise=st.booleans(), select=st.sampled_from(["best", "last"]))
def test_a_trial_is_judged_by_its_best_or_last_epoch(rows: list[dict[str, Any]], maximise: bool, select: str) -> None:
    judged = judge(rows, maximise=maximise, select=select)
    usable = [row for row in rows if row["value"] in (0.1, 0.2, 0.3)]
    if not usable:
        assert judged is None
        return
    assert judged is not None
    if select == "best":
        usable = [row for row in usable if row["last_stage"]] or usable
    wanted = usable[-1]["value"] if select == "last" else (max if maximise else min)(r["value"] for r in usable)
    assert judged["value"] == wanted
    assert judged["epoch"] == max(r["epoch"] for r in usable if r["value"] == wanted), "of equal ones the later"
    one_by_one: list[dict[str, Any]] = []
    for row in rows:
        step = judge([*one_by_one, row], maximise=maximise, select=select)
        one_by_one = [] if step is None else [step]
    assert one_by_one == [judged]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=8))
def test_spent_time_is_that_of_the_union(intervals: list[tuple[int, int]]) -> None:
    covered = {second for begin, length in intervals for second in range(begin, begin + length)}
    assert spent_seconds((float(b), float(b + n)) for b, n in intervals) == len(covered)
