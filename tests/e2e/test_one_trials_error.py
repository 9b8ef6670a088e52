"""What one trial does to itself, and to nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.conftest import cli, rows, status

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_a_trial_that_leaves_one_that_hangs_and_a_time_below_one_epoch(studies: Path) -> None:
    arguments = ("--method", "e2e.strange:Strange", "--data", "phantom:images=60,size=32", "--epochs", "2", "--slots",
                 "1", "--sampler", "grid", "--set", "wish=choice:work,leave,hang", "--set", "shift=choice:0.5,0.6",
                 "--step-time", "20s")  # fmt: skip
    begun = cli("tune", *arguments, "--time", "0.001s", "--study", "hard")
    assert begun.returncode == 0, begun.stderr
    assert "stopped (the time of --time is used up); go on with: raysearch resume hard --time " in begun.stdout
    assert [row["epoch"] for row in rows(studies, "hard", 0)] == [1], "an epoch, however short the time"
    assert [t["state"] for t in status("hard")["trials"]] == ["running"]

    over = cli("resume", "hard")
    assert (over.returncode, over.stdout) == (2, "")
    assert "the time of study 'hard' is used up" in over.stderr

    resumed = cli("resume", "hard", "--time", "1h")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stderr.startswith("note: --time 0.001s -> 1h")
    trials = status("hard")["trials"]
    assert [t["state"] for t in trials] == ["complete"] * 2 + ["failed"] * 4
    hangs = "no training step and no batch was finished for 20s (--step-time)"
    assert [t["reason"] for t in trials[2:]] == ["SystemExit: bye"] * 2 + [hangs] * 2
    assert [row["epoch"] for row in rows(studies, "hard", 0)] == [1, 2]
    again = cli("resume", "hard")
    assert again.returncode == 0
    assert "trial 5" not in again.stdout, "what hung does not begin again"
