"""The whole path once: tune, look, export, verify, predict, watch."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import subprocess
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from e2e.conftest import SMALL, cli, command, status, wait_for
from raysearch.data import DataSpec, open_collection

pytestmark = pytest.mark.ray


def test_tune_export_verify_predict(tmp_path: Path, studies: Path, begin) -> None:
    done = cli("tune", "--method", "minmax_entropy", *SMALL, "--samples", "4", "--epochs", "2", "--study", "first")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^[* ] trial \d+ ", done.stdout, re.M)) == 4, "one line a finished trial"
    assert "next: raysearch export first" in done.stdout
    ours = re.compile(r"study first: |[* ] trial \d+ |best: trial \d+, |  [a-z]|next: raysearch |      raysearch ")
    assert [line for line in done.stdout.splitlines() if not ours.match(line)] == [], "Ray's chatter belongs to the log"
    known = status("first")
    assert [t["state"] for t in known["trials"]] == ["complete"] * 4
    assert known["best"]["value"] == max(t["value"] for t in known["trials"])
    assert known["trials"][0]["params"]["omega"] == 8, "the first trial is the preset's defaults"
    for number in range(4):
        assert len((studies / "first" / "trials" / str(number) / "metrics.jsonl").read_text().splitlines()) == 2

    out = tmp_path / "model"
    exported = cli("export", "first", "--out", str(out), "--json")
    assert exported.returncode == 0, exported.stderr
    moved = tmp_path / "elsewhere" / "model"
    moved.parent.mkdir()
    out.rename(moved)
    verified = cli("verify", str(moved), "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert json.loads(verified.stdout)["largest_difference"] <= 1e-6

    collection = open_collection(DataSpec.parse("phantom:images=60,size=32"), "single")
    images = []
    for row in range(3):
        Image.fromarray(np.asarray(collection.images[row, 0])).save(tmp_path / f"scan{row}.png")
        images.append(str(tmp_path / f"scan{row}.png"))
    predicted = cli("predict", str(moved), *images, "--out", str(tmp_path / "masks"))
    assert predicted.returncode == 0, predicted.stderr
    with open(tmp_path / "masks" / "predictions.csv") as file:
        lines = list(csv.DictReader(file))
    assert [line["image"] for line in lines] == images
    assert len(list((tmp_path / "masks").glob("*.png"))) == 6

    board = begin("dashboard", "first", "--port", "0")
    url = board.stdout.readline().split()[0]
    assert url.startswith("http://127.0.0.1:")
    answer: list[bytes] = []

    def served() -> bool:
        try:
            with urllib.request.urlopen(url.replace("/dashboard", "/api/studies"), timeout=5) as response:
                answer.append(response.read())
        except OSError:
            return False
        return True

    wait_for(served, board, 60)
    assert json.loads(answer[-1])["study_summaries"][0]["study_name"] == "first"


def test_two_workers_on_two_cpus_finish(studies: Path) -> None:
    """The request on which plain Tune with Train never finishes."""
    done = cli("tune", "--method", "cam_avg", *SMALL, "--samples", "2", "--epochs", "2", "--workers-per-trial", "2",
               "--study", "two")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [t["state"] for t in status("two")["trials"]] == ["complete", "complete"]


def test_a_terminal_shows_a_live_line_and_no_chatter(studies: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("tune", "--method", "cam_avg", *SMALL, "--samples", "3", "--epochs", "4", "--study", "seen"),
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 65536)
        except OSError:  # what Linux says when the other end is closed
            break
    os.close(ours)
    assert process.wait() == 0
    text = seen.decode()
    assert "starting Ray" in text
    assert re.search(r"\d+% \| \d/3 trials \| best f1_plus .* \| running .* \| ETA ", text)
    assert "Configuration for experiment" in (studies / "seen" / "log.txt").read_text()
    for chatter in ("raylet", "Configuration for experiment", "Warning", "WARNING"):
        assert chatter not in text


@pytest.mark.slow
def test_asha_stops_weak_trials_and_a_nan_at_once(studies: Path) -> None:
    done = cli("tune", "--method", "e2e.strange:Strange", "--data", "phantom:images=60,size=32", "--samples", "12",
               "--epochs", "9", "--scheduler", "asha", "--slots", "1", "--study", "odd")  # fmt: skip
    assert done.returncode == 0, done.stderr
    trials = status("odd")["trials"]
    states = {t["state"] for t in trials}
    assert states == {"complete", "pruned", "failed"}
    for trial in trials:
        if trial["params"]["wish"] == "nan":
            assert trial["state"] == "failed"
            assert trial["epochs"] == 0, "stopped at its first report"
            assert "non-finite" in trial["reason"]
        elif trial["params"]["wish"] == "raise":
            assert trial["state"] == "failed"
            assert "no such luck" in trial["reason"]
            assert "Traceback" in (studies / "odd" / "trials" / str(trial["number"]) / "error.txt").read_text()
        elif trial["state"] == "pruned":
            assert trial["epochs"] in (1, 3)
        else:
            assert trial["epochs"] == 9
