"""An export with other post-processing than that of the trial: the same network, thresholds of the tuning split."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.numpy import load_file

from export.finished_studies import finished_study
from raysearch.data import guard, reopen_collection
from raysearch.errors import ExportError, SpaceError
from raysearch.export import export_study, load_bundle, verify_bundle
from raysearch.method import load_method
from raysearch.study import Study, read_parts, read_records
from raysearch.thresholds import METRICS, level, solve
from raysearch.training import Alone, observe


def results_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def test_the_network_is_the_same_and_the_maps_are_not(study: Study, tmp_path: Path) -> None:
    export_study(study, tmp_path / "plain", trial=0)
    exported = export_study(study, tmp_path / "crf", trial=0, fixes=("postprocess=crf", "crf_iterations=5"))
    plain, crf = (load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "crf"))
    assert all((plain[name] == crf[name]).all() for name in plain)
    settings = yaml.safe_load((exported.path / "config.yaml").read_text())["settings"]
    assert (settings["postprocess"], settings["crf_iterations"]) == ("crf", 5)
    assert results_of(exported.path)["fixes"] == ["postprocess=crf", "crf_iterations=5"]
    assert results_of(exported.path)["metrics"]["f1_plus"] != results_of(tmp_path / "plain")["metrics"]["f1_plus"]
    assert verify_bundle(load_bundle(exported.path)).ok


def test_thresholds_are_chosen_again_and_on_the_tuning_split_alone(study: Study, tmp_path: Path) -> None:
    exported = export_study(study, tmp_path / "crf", trial=1, fixes=("postprocess=crf",))
    bundle = load_bundle(exported.path)
    rows = read_parts(study)["tuning"]
    collection = guard(reopen_collection(study.config.data, "single", study.config.fingerprint), rows)
    seen = observe(bundle.method, bundle.model, collection, rows, device=torch.device("cpu"), collective=Alone())
    (chosen,) = set(solve(seen.counts, METRICS["f1_plus"]).levels.values())
    (entry,) = json.loads((exported.path / "thresholds.json").read_text()).values()
    assert level(entry["value"]) == chosen
    low, high = entry["interval_95"]
    assert low <= entry["cross_fitted_value"] <= high
    assert entry["cross_fitted_value"] != read_records(study)[1].value
    assert "corrected_value" not in entry, "other post-processing was no part of the choice"


def test_what_the_trial_had_anyway_changes_nothing(study: Study, tmp_path: Path) -> None:
    export_study(study, tmp_path / "plain", trial=0)
    export_study(study, tmp_path / "same", trial=0, fixes=("postprocess=none",))
    for name in ("thresholds.json", "operating_curves.json"):
        assert json.loads((tmp_path / "plain" / name).read_text()) == json.loads((tmp_path / "same" / name).read_text())
    plain, same = results_of(tmp_path / "plain"), results_of(tmp_path / "same")
    assert plain["metrics"] == same["metrics"]


def test_it_is_a_look_and_says_so(study: Study, tmp_path: Path) -> None:
    export_study(study, tmp_path / "plain")
    exported = export_study(study, tmp_path / "crf", fixes=("postprocess=crf",))
    assert exported.looks == 2
    looks = [json.loads(line) for line in (study.path.parent / "looks.jsonl").read_text().split("\n") if line]
    assert [look["command"] for look in looks] == ["export", "export --fix postprocess=crf"]
    card = (exported.path / "README.md").read_text()
    assert "`postprocess=crf`: the network was trained, and chosen, without it; thresholds are chosen again" in card


def test_fixed_thresholds_stay(tmp_path: Path) -> None:
    study = finished_study(tmp_path / "studies", name="fixed", decision_thresholds="fixed")
    exported = export_study(study, tmp_path / "crf", fixes=("postprocess=crf",))
    export_study(study, tmp_path / "plain")
    plain, crf = (json.loads((tmp_path / name / "thresholds.json").read_text()) for name in ("plain", "crf"))
    assert plain["mask_threshold"]["value"] == crf["mask_threshold"]["value"]
    assert plain["mask_threshold"]["cross_fitted_value"] != crf["mask_threshold"]["cross_fitted_value"]
    assert "thresholds are the default ones" in (exported.path / "README.md").read_text()


def test_thresholds_of_classes_stay_of_classes(tmp_path: Path) -> None:
    study = finished_study(tmp_path / "studies", name="classes", per_class=True)
    exported = export_study(study, tmp_path / "crf", fixes=("postprocess=crf",))
    names = set(json.loads((exported.path / "thresholds.json").read_text()))
    assert names == {f"mask_threshold.{name}" for name in study.config.classes}
    assert verify_bundle(load_bundle(exported.path)).ok


def test_one_network_has_three_maps(tmp_path: Path) -> None:
    fixes = ("backbone=densenet_slim", "crop_backbone=resnet10_slim", "anchor_levels=2")
    study = finished_study(
        tmp_path / "studies",
        name="maps",
        method="saliency_proposals",
        data="phantom:images=60,size=64",
        fixes=fixes,
        epochs=3,  # one a stage
    )
    found = {
        name: export_study(study, tmp_path / name, fixes=(f"map={name}",)).results["metrics"]["box_iou"]
        for name in ("sal", "det", "mix")
    }
    assert len(set(found.values())) == 3
    mixed = export_study(study, tmp_path / "plain").results["metrics"]["box_iou"]
    assert mixed == pytest.approx(found["mix"])


def test_an_export_as_it_was_trained_needs_no_function_of_the_search_space(tmp_path: Path) -> None:
    (tmp_path / "own_space.py").write_text(
        "def sample(trial):\n    return {'lr': trial.suggest_float('lr', 1e-3, 1e-2)}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        study = finished_study(tmp_path / "studies", name="function", space="own_space:sample")
    del sys.modules["own_space"]
    assert export_study(study, tmp_path / "model").looks == 1
    with pytest.raises(SpaceError, match="own_space"):
        export_study(study, tmp_path / "crf", fixes=("postprocess=crf",))


@pytest.mark.parametrize(
    ("fix", "error", "says"),
    [
        ("lr=0.1", ExportError, "--fix lr=0.1: lr is of kind train"),
        ("mask_threshold=0.5", ExportError, "mask_threshold is of kind decision"),
        ("postproces=crf", SpaceError, "unknown parameter 'postproces' of cam_avg; did you mean"),
        ("postprocess=x", SpaceError, "postprocess"),
        ("postprocess", SpaceError, "expected NAME=VALUE"),
        ("crf_iterations=0", SpaceError, "crf_iterations"),
    ],
)
def test_what_it_refuses(study: Study, tmp_path: Path, fix: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        export_study(study, tmp_path / "model", fixes=(fix,))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "model").exists()
    assert not (study.path.parent / "looks.jsonl").exists(), "no look was taken"


def test_a_method_without_post_processing_says_so(tmp_path: Path) -> None:
    study = finished_study(tmp_path / "studies", name="plain", method="all_ones")
    assert all(p["kind"] != "postprocess" for p in study.config.space["parameters"])
    (name,) = [p["name"] for p in study.config.space["parameters"]][:1] or [""]
    with pytest.raises(ExportError, match=f"{load_method('all_ones').name} has none"):
        export_study(study, tmp_path / "model", fixes=(f"{name}=0.5",))
