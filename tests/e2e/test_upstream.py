"""Work that the trials of a study share: done once, whatever happens meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.conftest import cli, kill_tree, rows, status, wait_for

pytestmark = pytest.mark.ray

SEARCH = ("--method", "e2e.shared:Shared", "--data", "phantom:images=60,size=32", "--fix", "batch=12",
          "--samples", "4", "--epochs", "2", "--seed", "3", "--annotated", "0.2")  # fmt: skip


def outcomes(studies: Path, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (studies / name / "upstream").glob("*.pt")}


def test_a_search_over_what_comes_later_trains_one_teacher(studies: Path) -> None:
    done = cli("tune", *SEARCH, "--study", "later", "--slots", "2", "--fix", "wish=work", "--fix", "cut=0.5",
               "--fix", "teacher_lr=0.1")  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert [t["state"] for t in status("later")["trials"]] == ["complete"] * 4
    assert sorted(name.partition("-")[0] for name in outcomes(studies, "later")) == ["labels", "teacher"]
    told = {}
    for path in (studies / "later" / "upstream").glob("*.json"):
        read = json.loads(path.read_text())
        told[read["name"]] = read
    assert (told["teacher"]["epoch"], told["teacher"]["epochs"], told["labels"]["epochs"]) == (3, 3, 0)
    assert not list((studies / "later" / "upstream").glob("*.partial"))
    for number in range(4):
        (first, _) = rows(studies, "later", number)
        assert first["losses"]["known"] == 1, "it trained on the teacher's labels"


def test_a_killed_search_goes_on_within_the_shared_work(studies: Path, begin, tmp_path: Path, monkeypatch) -> None:
    """The search is over what the teacher depends on: one for each distinct value."""
    arguments = (*SEARCH, "--fix", "wish=work", "--slots", "1", "--fix", "cut=0.5")
    monkeypatch.setenv("TEACHER_LOG", str(tmp_path / "calm"))
    assert cli("tune", *arguments, "--study", "calm").returncode == 0
    values = {t["params"]["teacher_lr"] for t in status("calm")["trials"]}
    calm = outcomes(studies, "calm")
    assert len(calm) == 2 * len(values) == 4

    pause = tmp_path / "pause"
    pause.write_text("0.4")
    monkeypatch.setenv("TEACHER_PAUSE", str(pause))
    monkeypatch.setenv("TEACHER_LOG", str(tmp_path / "hit"))
    killed = begin("tune", *arguments, "--study", "hit")
    folder = studies / "hit" / "upstream"
    wait_for(lambda: list(folder.glob("*.partial")), killed)
    kill_tree(killed.pid)
    killed.wait()
    assert not outcomes(studies, "hit")
    (begun,) = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    assert 0 < begun["epoch"] < 3, "it was killed in the middle of the teacher's training"
    pause.write_text("0")

    resumed = cli("resume", "hit")
    assert resumed.returncode == 0, resumed.stderr
    assert outcomes(studies, "hit") == calm
    calm_steps, steps = ((tmp_path / name).read_text().split().count("0") for name in ("calm", "hit"))
    assert steps == calm_steps, "no epoch that was finished is trained again"
    for number in range(4):
        for ours, theirs in zip(rows(studies, "hit", number), rows(studies, "calm", number), strict=True):
            assert ours["value"] == theirs["value"]
            assert ours["losses"]["loss"] == theirs["losses"]["loss"]


def test_work_that_cannot_be_done_fails_its_trials_alone(studies: Path) -> None:
    done = cli("tune", *SEARCH, "--study", "sick", "--slots", "1", "--fix", "cut=0.5", "--fix", "teacher_lr=0.1",
               "--set", "wish=choice:nan,work")  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    trials = status("sick")["trials"]
    by_wish = {wish: {t["state"] for t in trials if t["params"]["wish"] == wish} for wish in ("nan", "work")}
    assert by_wish == {"nan": {"failed"}, "work": {"complete"}}
