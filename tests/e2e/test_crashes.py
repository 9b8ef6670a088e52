"""What is killed, and goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from e2e.conftest import SMALL, cli, kill_tree, rows, status, train_workers, wait_for

pytestmark = pytest.mark.ray

SEARCH = ("--method", "wildcat", *SMALL, "--samples", "5", "--epochs", "4", "--slots", "1", "--seed", "3")


def outcome(name: str) -> list[tuple[object, ...]]:
    return [
        (t["number"], t["state"], t["value"], tuple(sorted(t["params"].items())), tuple(t["thresholds"].items()))
        for t in status(name)["trials"]
    ]


def test_kill_9_and_resume_equal_an_undisturbed_run(studies: Path, begin, place: Path) -> None:
    assert cli("tune", *SEARCH, "--study", "calm").returncode == 0
    assert not list(place.iterdir()), "nothing temporary is left"

    killed = begin("tune", *SEARCH, "--study", "hit")
    wait_for(lambda: len(rows(studies, "hit", 2)) >= 2, killed)
    kill_tree(killed.pid)
    killed.wait()
    assert list(place.iterdir())
    before = {n: rows(studies, "hit", n) for n in range(5)}
    assert 2 <= len(before[2]) < 4, "it was killed in the middle of a trial"
    # a journal cut in mid-line, as a killed writer leaves it
    journal = studies / "hit" / "journal.log"
    with open(journal, "ab") as file:
        file.write(b'{"op_code":5,"worker_id":"x","tri')

    resumed = cli("resume", "hit")
    assert resumed.returncode == 0, resumed.stderr
    assert outcome("hit") == outcome("calm")
    for number in range(5):
        after = rows(studies, "hit", number)
        assert [r["epoch"] for r in after] == [1, 2, 3, 4], "no epoch ran twice, none is missing"
        assert after[: len(before[number])] == before[number], "nothing that was finished was touched"
        for ours, calm in zip(after, rows(studies, "calm", number), strict=True):
            assert ours["value"] == calm["value"]
            assert ours["losses"]["loss"] == calm["losses"]["loss"]
    assert journal.read_bytes() == (studies / "hit" / "ledger.jsonl").read_bytes(), "the journal is whole again"
    assert not re.search(r"^[* ] trial 0 ", resumed.stdout, re.M), "finished trials do not run again"
    assert not list(place.iterdir()), "what the killed one left is gone too"


def test_a_killed_worker_costs_its_epoch_alone(studies: Path, begin, tmp_path: Path, monkeypatch) -> None:
    pause = tmp_path / "pause"
    pause.write_text("0.3")
    monkeypatch.setenv("STRANGE_PAUSE", str(pause))
    running = begin("tune", "--method", "e2e.strange:Strange", "--data", "phantom:images=60,size=32", "--samples", "3",
                    "--epochs", "3", "--slots", "1", "--fix", "wish=work", "--study", "hurt")  # fmt: skip
    wait_for(lambda: len(rows(studies, "hurt", 0)) >= 1, running)
    (worker,) = train_workers(running.pid)
    worker.send_signal(signal.SIGKILL)
    pause.write_text("0")
    out, err = running.communicate(timeout=240)
    assert running.returncode == 0, err + out
    assert [t["state"] for t in status("hurt")["trials"]] == ["complete"] * 3
    assert [r["epoch"] for r in rows(studies, "hurt", 0)] == [1, 2, 3]


def test_stop_and_interrupt_are_resumable(studies: Path, begin, tmp_path: Path, monkeypatch) -> None:
    long = tmp_path / ("user" * 20)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))  # no socket can be put there
    pause = tmp_path / "pause"
    pause.write_text("0.3")
    monkeypatch.setenv("STRANGE_PAUSE", str(pause))
    # long enough that a slow machine is not done before it hears of the stop
    arguments = ("--method", "e2e.strange:Strange", "--data", "phantom:images=60,size=32", "--samples", "3", "--epochs",
                 "12", "--slots", "1", "--fix", "wish=work")  # fmt: skip
    running = begin("tune", *arguments, "--study", "asked")
    wait_for(lambda: len(rows(studies, "asked", 0)) >= 1, running)
    taken = cli("resume", "asked")
    assert taken.returncode == 2
    assert "being run by another process" in taken.stderr
    assert cli("stop", "asked").returncode == 0
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 0
    assert "raysearch resume asked" in out

    def recorded() -> int:
        return sum(len(rows(studies, "asked", n)) for n in range(3))

    before = recorded()
    assert before < 36, "there is something left to resume"
    again = begin("resume", "asked")
    wait_for(lambda: recorded() > before, again)
    os.kill(again.pid, signal.SIGINT)
    out, err = again.communicate(timeout=60)
    assert again.returncode == 130, out + err
    assert "raysearch resume asked" in out + err
    assert "Traceback" not in out + err
    assert not list(long.iterdir())

    pause.write_text("0")
    last = cli("resume", "asked", "--samples", "4")
    assert last.returncode == 0, last.stderr
    assert [t["state"] for t in status("asked")["trials"]] == ["complete"] * 4
    assert [r["epoch"] for r in rows(studies, "asked", 0)] == list(range(1, 13))


@pytest.mark.slow
def test_sigterm_in_each_phase(studies: Path, begin, place: Path, tmp_path: Path, monkeypatch) -> None:
    """As a service manager sends it: to all processes."""
    pause = tmp_path / "pause"
    pause.write_text("0.3")
    monkeypatch.setenv("STRANGE_PAUSE", str(pause))

    def ended(process: subprocess.Popen[str]) -> str:
        os.killpg(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 143, out + err
        assert "Traceback" not in out + err
        assert not list(place.iterdir())
        return out

    def finished() -> int:
        return sum(trial["state"] == "complete" for trial in status("term")["trials"])

    arguments = ("--method", "e2e.strange:Strange", "--data", "phantom:images=60,size=32", "--samples", "2", "--epochs",
                 "3", "--slots", "1", "--fix", "wish=work", "--study", "term")  # fmt: skip
    starting = begin("tune", *arguments)
    wait_for(lambda: list(place.glob("*/ray/session_*/sockets/*")), starting)
    assert "stopped (SIGTERM); go on with: raysearch resume term" in ended(starting)
    assert status("term")["trials"] == []

    training = begin("resume", "term")
    wait_for(lambda: rows(studies, "term", 0), training)
    before = rows(studies, "term", 0)
    assert "raysearch resume term" in ended(training)
    assert [t["state"] for t in status("term")["trials"]] == ["running"], "it did not crash"
    assert rows(studies, "term", 0)[: len(before)] == before

    between = begin("resume", "term")
    wait_for(lambda: len(rows(studies, "term", 0)) == 3, between)
    assert "raysearch resume term" in ended(between)
    assert "crashed" not in [t["state"] for t in status("term")["trials"]]

    pause.write_text("0")
    ending = begin("resume", "term")
    wait_for(lambda: len(rows(studies, "term", 1)) == 3, ending)
    out = ended(ending)
    left = "resume" in out
    assert left == (finished() < 2), "it says how to go on if there is something left"
    assert cli("resume", "term").returncode == 0
    assert [t["state"] for t in status("term")["trials"]] == ["complete"] * 2
    assert [[r["epoch"] for r in rows(studies, "term", n)] for n in (0, 1)] == [[1, 2, 3]] * 2


@pytest.mark.slow
def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch, begin) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        monkeypatch.setenv("RAYSEARCH_STUDIES", str(small))
        arguments = ("--method", "wildcat", *SMALL, "--samples", "40", "--epochs", "2", "--slots", "1",
                     "--keep-checkpoints", "40", "--study", "full")  # fmt: skip
        done = cli("tune", *arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        lines = [line for line in done.stderr.splitlines() if line.startswith("raysearch: ")]
        assert len(lines) == 1
        assert "full" in lines[0]
        assert "resume" in lines[0]
        assert "Traceback" not in done.stderr
        finished = [t for t in status("full")["trials"] if t["state"] == "complete"]
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        resumed = cli("resume", "full", "--samples", "40")
        assert resumed.returncode == 0, resumed.stderr
        after = {t["number"]: t for t in status("full")["trials"]}
        assert len(after) == 40
        for trial in finished:
            assert after[trial["number"]]["value"] == trial["value"]
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)
