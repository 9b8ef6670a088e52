"""Loss thresholds that alternate with the weights, under Ray itself."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import cli, kill_tree, rows, status, wait_for

pytestmark = pytest.mark.ray

TUNE = (
    "tune", "--method", "limited_annotation", "--data", "phantom:images=60,size=32", "--annotated", "0.3",
    "--fix", "batch=12", "--fix", "patches=8", "--fix", "lr=0.01", "--samples", "2", "--epochs", "10",
    "--round-epochs", "2", "--alternate", "quantile", "--slots", "1",
)  # fmt: skip
DATA = Path(os.environ.get("RAYSEARCH_DATA", Path(__file__).parents[3] / "shared" / "data"))


def untimed(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what a clock says."""
    losses = {name: value for name, value in row["losses"].items() if name != "train_seconds"}
    return {**row, "losses": losses, "time": 0, "evaluate_seconds": 0}


def trained(studies: Path, name: str) -> list[list[dict[str, Any]]]:
    return [[untimed(row) for row in rows(studies, name, number)] for number in range(2)]


def test_rounds_go_on_where_a_killed_search_left_them(
    tmp_path: Path, studies: Path, begin: Callable[..., subprocess.Popen[str]]
) -> None:
    calm = cli(*TUNE, "--study", "calm")
    assert calm.returncode == 0, calm.stderr
    wanted = trained(studies, "calm")
    for told in wanted:
        ends = [row for row in told if row["alternation"]["ends"]]
        assert len(ends) >= 3
        assert any(row["alternation"]["proposed"] for row in ends)
    killed = begin(*TUNE, "--study", "hit")
    wait_for(lambda: len(rows(studies, "hit", 1)) >= 3, killed)
    kill_tree(killed.pid)
    killed.wait()
    resumed = cli("resume", "hit")
    assert resumed.returncode == 0, resumed.stderr
    assert trained(studies, "hit") == wanted
    best = status("hit")["best"]
    assert set(best["loss_thresholds"]) == {"tau", "rho", "tau_hat", "rho_hat"}
    # and what comes after a search
    again = cli("rethreshold", "hit", "--metric", "iou,iou_accuracy", "--json")
    assert again.returncode == 0, again.stderr
    out = tmp_path / "model"
    exported = cli("export", "hit", "--out", str(out))
    assert exported.returncode == 0, exported.stderr
    verified = cli("verify", str(out))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_search_goes_on_without_threshold_steps(studies: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "e2e.failing_steps", *TUNE, "--study", "stubborn"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the threshold step failed (this step was told to fail): the thresholds stay as they are" in done.stdout
    assert [t["state"] for t in status("stubborn")["trials"]] == ["complete"] * 2
    for told in trained(studies, "stubborn"):
        assert len({json.dumps(row["alternation"]["thresholds"]) for row in told}) == 1
        assert not any(row["alternation"]["proposed"] for row in told)


@pytest.mark.slow
def test_real_boxes_from_tune_to_pictures(tmp_path: Path, studies: Path) -> None:
    folder = DATA / "chestxray14"
    if not folder.is_dir():
        pytest.skip(f"chestxray14 is not in {DATA} (set RAYSEARCH_DATA)")
    done = cli(
        "tune", "--method", "limited_annotation", "--preset", "small", "--data", f"chestxray14:{folder},size=128",
        "--split", "official", "--samples", "2", "--epochs", "6", "--round-epochs", "2", "--fix", "batch=8",
        "--study", "boxes",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out, pictures = tmp_path / "model", tmp_path / "pictures"
    exported = cli("export", "boxes", "--out", str(out))
    assert exported.returncode == 0, exported.stderr
    results = json.loads((out / "results.json").read_text())
    assert {"iou", "iou_accuracy", "ior_accuracy"} <= set(results["metrics"])
    verified = cli("verify", str(out))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    images = sorted((folder / "images").glob("*.png"))[:2]
    predicted = cli("predict", str(out), *map(str, images), "--out", str(pictures))
    assert predicted.returncode == 0, predicted.stderr
    with open(pictures / "predictions.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["image"] for line in lines} == set(map(str, images))
    assert len(list(pictures.glob("*_overlay.png"))) == 2
    assert len(list(pictures.glob("*_map.png"))) == len(lines)
