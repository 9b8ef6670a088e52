"""The methods of three papers on real chest X-rays, from the data to a prediction, with few trials."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from e2e.conftest import cli, status

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DATA = Path(os.environ.get("RAYSEARCH_DATA", Path(__file__).parents[3] / "shared" / "data"))
NIH, COVID = DATA / "chestxray14", DATA / "covid_chestxray"
FINDINGS = f"chestxray14:{NIH},task=findings,classes=8,size=64"
LESIONS = f"covid_chestxray:{COVID},task=lesions,size=64"
TWO = f"cls=chestxray14:{NIH},task=normal-vs-pneumonia,size=64,seg=covid_chestxray:{COVID},task=lungs,size=64"

RUNS = {
    "saliency_proposals-findings": ("saliency_proposals", FINDINGS, ("--epochs", "4", "--per-class")),
    "saliency_proposals-lesions": ("saliency_proposals", LESIONS, ("--epochs", "4", "--fix", "batch=8")),
    # the masks of its experts are boxes here, drawn as filled rectangles
    "chexseg-findings": ("chexseg", FINDINGS, ("--epochs", "2", "--annotated", "0.5")),
    # labels are known of annotated images alone: some of these must be weak ones
    "chexseg-lesions": ("chexseg", LESIONS, ("--epochs", "2", "--annotated", "12", "--fix", "labels=irnet")),
    "multimix": (
        "multimix",
        TWO,
        ("--epochs", "2", "--labelled", "20", "--annotated", "20", "--loss-thresholds", "sample"),
    ),
}


@pytest.mark.parametrize("run", RUNS)
def test_tune_export_verify_predict(run: str, tmp_path: Path) -> None:
    for folder in (NIH, COVID):
        if not folder.is_dir():
            pytest.skip(f"{folder.name} is not in {DATA} (set RAYSEARCH_DATA)")
    method, source, options = RUNS[run]
    checked = cli("data", "check", source, "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tuned = cli(
        "tune", "--method", method, "--preset", "small", "--data", source, "--samples", "2", "--study", run, *options
    )
    assert tuned.returncode == 0, tuned.stderr
    answer = status(run)
    assert [trial["state"] for trial in answer["trials"]] == ["complete"] * 2
    assert 0 <= answer["best"]["value"] <= 1
    out = tmp_path / "model"
    exported = cli("export", run, "--out", str(out), "--json")
    assert exported.returncode == 0, exported.stderr
    assert 0 <= json.loads(exported.stdout)["metrics"][answer["metric"]] <= 1
    verified = cli("verify", str(out), "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    images = sorted(p for p in (NIH / "images").iterdir() if p.suffix == ".png")[:2]
    predicted = cli("predict", str(out), *map(str, images), "--out", str(tmp_path / "masks"))
    assert predicted.returncode == 0, predicted.stderr
    assert len(list((tmp_path / "masks").glob("*_overlay.png"))) == 2
