"""The same path on real chest X-rays, with few trials."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.conftest import cli, kill_tree, rows, status, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DATA = Path(os.environ.get("RAYSEARCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
SOURCES = {
    "chestxray14": "task=normal-vs-pneumonia,size=128",
    "covid_chestxray": "task=lesions,size=128",
}


@pytest.mark.parametrize("kind", SOURCES)
def test_tune_resume_export_verify_predict(kind: str, tmp_path: Path, studies: Path, begin: Callable) -> None:
    folder = DATA / kind
    if not folder.is_dir():
        pytest.skip(f"{kind} is not in {DATA} (set RAYSEARCH_DATA)")
    source = f"{kind}:{folder},{SOURCES[kind]}"
    checked = cli("data", "check", source, "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    killed = begin(
        "tune", "--method", "minmax_entropy", "--preset", "small", "--data", source, "--samples", "3", "--epochs", "2",
        "--fix", "batch=8", "--slots", "1", "--study", "real",
    )  # fmt: skip
    wait_for(lambda: len(rows(studies, "real", 1)) >= 1, killed)
    kill_tree(killed.pid)
    killed.wait()
    resumed = cli("resume", "real")
    assert resumed.returncode == 0, resumed.stderr
    assert [t["state"] for t in status("real")["trials"]] == ["complete"] * 3
    out = tmp_path / "model"
    exported = cli("export", "real", "--out", str(out), "--json")
    assert exported.returncode == 0, exported.stderr
    assert 0 <= json.loads(exported.stdout)["metrics"]["f1_plus"] <= 1
    verified = cli("verify", str(out), "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    images = sorted(p for p in (folder / "images").iterdir() if p.suffix == ".png")[:3]
    predicted = cli("predict", str(out), *map(str, images), "--out", str(tmp_path / "masks"))
    assert predicted.returncode == 0, predicted.stderr
    assert len(list((tmp_path / "masks").glob("*_overlay.png"))) == 3
