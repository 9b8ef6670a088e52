"""The exported numbers again, wherever the folder and the data are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from data.data_layouts import make_glas

from export.finished_studies import finished_study
from raysearch.errors import ExportError
from raysearch.export import export_study, load_bundle, verify_bundle


def test_verify_where_it_was_written(model: Path) -> None:
    comparison = verify_bundle(load_bundle(model))
    assert comparison.ok
    assert comparison.largest <= 1e-6
    exported = json.loads((model / "results.json").read_text())["metrics"]
    assert {name: before for name, (before, _) in comparison.values.items()} == exported


def test_verify_elsewhere(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = tmp_path / "another place" / "ü"
    moved.parent.mkdir()
    model.rename(moved)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAYSEARCH_CACHE", str(tmp_path / "another cache"))
    assert verify_bundle(load_bundle(moved.relative_to(tmp_path))).ok


def test_verifying_is_no_look_at_the_test_split(model: Path, tmp_path: Path) -> None:
    verify_bundle(load_bundle(model))
    assert not list(tmp_path.rglob("looks.jsonl"))


def test_verify_with_data_that_has_moved(tmp_path: Path) -> None:
    rows = [(f"train_{n}", n, ("benign", "malignant")[n % 2]) for n in range(1, 21)]
    data = make_glas(tmp_path / "data", rows)
    study = finished_study(
        tmp_path / "studies", data=f"glas:{data},size=32", preset="small", fixes=("batch=2",), metric="iou"
    )
    bundle = load_bundle(export_study(study, tmp_path / "model").path)
    assert verify_bundle(bundle).ok
    moved = data.rename(tmp_path / "moved")
    with pytest.raises(ExportError, match=r"does not exist.*--data"):
        verify_bundle(bundle)
    assert verify_bundle(bundle, f"glas:{moved},size=32").ok
    shutil.copy(next(moved.glob("*/train_1.bmp")), next(moved.glob("*/train_2.bmp")))
    with pytest.raises(ExportError, match=r"is not the data of this export"):
        verify_bundle(bundle, f"glas:{moved},size=32")


def test_another_number_is_told(model: Path) -> None:
    results = json.loads((model / "results.json").read_text())
    results["metrics"]["f1_plus"] += 2e-6
    (model / "results.json").write_text(json.dumps(results))
    comparison = verify_bundle(load_bundle(model))
    assert not comparison.ok
    assert comparison.largest == pytest.approx(2e-6)
    del results["metrics"]["f1_plus"]
    (model / "results.json").write_text(json.dumps(results))
    with pytest.raises(ExportError, match="other metrics"):
        verify_bundle(load_bundle(model))
