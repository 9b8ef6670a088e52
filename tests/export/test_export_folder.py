"""What an export holds, and how often the test split has been looked at."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file

from export.finished_studies import SMALL, copy_of_finished, finished_study
from methods.saliency_proposals import SaliencyProposals
from raysearch.data import open_collection, parse_data
from raysearch.export import export_study, load_bundle, verify_bundle
from raysearch.export._bundle import own_weights
from raysearch.export._trial import trained
from raysearch.study import Study, open_study, read_parts, read_records
from raysearch.testing import synthetic_task
from raysearch.thresholds import METRICS, at, level, load_evidence, quantise, solve
from raysearch.training import decode

FILES = {
    *("README.md", "config.yaml", "data.json", "environment.json", "operating_curves.json", "results.json"),
    *("split.csv", "thresholds.json", "weights.safetensors"),
}


def strict_json(path: Path) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} in {path.name} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_the_files_of_an_export(study: Study, tmp_path: Path) -> None:
    exported = export_study(study, tmp_path / "model")
    assert exported.path == tmp_path / "model"
    assert {path.name for path in exported.path.iterdir()} == FILES
    assert oct(exported.path.stat().st_mode & 0o777) == oct(0o755), "others may read it, as any new folder"
    best = max(read_records(study), key=lambda record: record.value or 0)
    config = yaml.safe_load((exported.path / "config.yaml").read_text())
    assert config["trial"] == exported.trial == best.number
    assert config["settings"]["lr"] == best.params["lr"]
    assert config["data"]["source"] == SMALL
    assert config["data"]["fingerprint"] == study.config.fingerprint
    assert (exported.path / "split.csv").read_text() == study.split_file.read_text()
    trained = decode(study.trial(best.number).best.read_bytes(), "")["trainer"]["model"]
    for name, values in load_file(exported.path / "weights.safetensors").items():
        np.testing.assert_array_equal(values, trained[name].numpy())
    card = (exported.path / "README.md").read_text()
    assert "first look at this test split" in card
    assert f"{exported.results['metrics']['f1_plus']:.4f}" in card


def test_the_card_sets_masks_beside_one_of_the_whole_picture(study: Study, tmp_path: Path) -> None:
    exported = export_study(study, tmp_path / "model")
    found, card = exported.results, (exported.path / "README.md").read_text()
    against = found["against_trivial"]
    assert against["metric"] == "f1_plus"
    assert against["value"] == found["metrics"]["f1_plus"]
    assert against["by_class"] == found["by_class"]["f1_plus"]
    assert against["trivial"] == found["trivial"]["f1_plus"] < found["trivial"]["recall"] == 1
    assert not {"auc", "cdice", "pxap"} & set(found["trivial"]), "they have no threshold"
    for name, value in against["by_class"].items():
        assert f"| {name} | {value:.4f} | {against['trivial_by_class'][name]:.4f} |" in card
    assert all(f"- Note: {note}." in card for note in found["notes"])
    if against["value"] <= against["trivial"]:
        assert any("is not above the" in note for note in found["notes"])
    (record,) = [r for r in read_records(study) if r.number == exported.trial]
    tuning = record.result["against_trivial"]
    assert (
        f"A mask of the whole picture has f1_plus {tuning['trivial']:.4f} there, the model {tuning['value']:.4f}."
        in card
    )


def test_curves_have_the_studys_own_metric(tmp_path: Path) -> None:
    study = finished_study(tmp_path / "studies", name="own", metric="iou_accuracy@0.3:classes")
    exported = export_study(study, tmp_path / "model")
    curves = json.loads((exported.path / "operating_curves.json").read_text())
    assert len(curves["iou_accuracy@0.3:classes"]) == len(curves["threshold"]) == 257


def test_a_network_that_gets_weights_of_its_own_needs_none_of_those_that_it_began_with() -> None:
    """The file lies on another machine, and downloads would be overwritten."""
    small: dict[str, Any] = {"backbone": "densenet_slim", "crop_backbone": "resnet10_slim", "anchor_levels": 2}
    settings = {**small, "weights": "nowhere.pth", "crop_weights": "nowhere.pth"}
    method = SaliencyProposals(
        SaliencyProposals.Config(**own_weights(SaliencyProposals, settings)), synthetic_task(SaliencyProposals)
    )
    assert method.build().state_dict()


def test_weights_that_layers_share_are_written(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tied(*arguments: Any) -> tuple[Any, Any]:
        method, model = trained(*arguments)
        model.register_parameter("tied", next(model.parameters()))
        return method, model

    monkeypatch.setattr("raysearch.export._trial.trained", tied)
    exported = export_study(study, tmp_path / "model")
    weights = load_file(exported.path / "weights.safetensors")
    assert any(np.array_equal(weights["tied"], value) for name, value in weights.items() if name != "tied")


def test_results_are_of_the_test_split_alone(study: Study, tmp_path: Path) -> None:
    exported = export_study(study, tmp_path / "model")
    results = strict_json(exported.path / "results.json")
    assert results == exported.results
    rows = read_parts(study)["test"]
    assert results["split"] == "test"
    assert results["images"] == len(rows)
    lines = csv.DictReader(study.split_file.read_text().splitlines())
    names = {line["image"] for line in lines if line["split"] == "test"}
    assert {entry["image"] for entry in results["per_image"]} == names
    per_image = [entry["f1_plus"] for entry in results["per_image"] if "f1_plus" in entry]
    assert results["metrics"]["f1_plus"] == pytest.approx(np.mean(per_image))
    for name, (low, high) in results["intervals"].items():
        assert low <= results["metrics"][name] <= high


def test_the_model_card_names_the_classes_that_the_auc_skips(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = export_study(study, tmp_path / "plain").path
    assert strict_json(plain / "results.json")["skipped"] == {"auc": []}
    assert "Not in the AUC" not in (plain / "README.md").read_text()
    monkeypatch.setattr("raysearch.export._score.one_label", lambda logits: list(logits.classes[:2]))
    skipped = export_study(study, tmp_path / "skipped", thresholds_on="test")
    assert strict_json(skipped.path / "results.json")["skipped"] == {"auc": study.config.classes[:2]}
    said = f"one label of them only: {', '.join(study.config.classes[:2])}."
    assert (skipped.path / "README.md").read_text().count(said) == 1


def test_results_have_what_figures_are_drawn_from(study: Study, tmp_path: Path) -> None:
    exported = export_study(study, tmp_path / "model")
    results = strict_json(exported.path / "results.json")
    for name, curve in results["roc"].items():
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(results["by_class"]["auc"][name])
    bundle = load_bundle(exported.path)
    collection = open_collection(parse_data(SMALL), "single")
    places = {name: row for row, name in enumerate(collection.image_ids)}
    assert len(results["per_image"]) == results["images"]
    for entry in results["per_image"]:
        row, label = places[entry["image"]], collection.classes.index(entry["class"])
        region = collection.masks[collection.mask_row[row, label]] if collection.truth[row, label] == 1 else np.zeros(1)
        assert entry["region_area"] == pytest.approx(region.mean())
        image = torch.from_numpy(np.array(collection.images[row])).float()[None] / 255
        maps = quantise(bundle.method.predict(bundle.model, image).maps.numpy())[0, 0]
        assert entry["mask_area"] == pytest.approx((maps >= bundle.levels[entry["class"]]).mean(), abs=1e-3)


def test_thresholds_say_where_they_come_from(study: Study, tmp_path: Path) -> None:
    exported = export_study(study, tmp_path / "model", trial=1)
    assert strict_json(exported.path / "results.json")["trial"] == exported.trial == 1
    (entry,) = strict_json(exported.path / "thresholds.json").values()
    counts = load_evidence(study.trial(1).path / "evidence" / "best.npz", {"counts"})["counts"]
    (chosen,) = set(solve(counts, METRICS["f1_plus"]).levels.values())
    assert level(entry["value"]) == chosen, "the exact optimum over all of the tuning split"
    record = read_records(study)[1]
    assert entry["cross_fitted_value"] == record.value
    assert (entry["split"], entry["metric"], entry["chosen_by"]) == ("tuning", "f1_plus", "exact solve")
    low, high = entry["interval_95"]
    assert low <= record.value <= high
    low, high = entry["corrected_interval_95"]
    assert low <= entry["corrected_value"] <= high


def test_operating_curves_are_those_of_the_tuning_split(study: Study, tmp_path: Path) -> None:
    exported = export_study(study, tmp_path / "model", trial=0)
    curves = strict_json(exported.path / "operating_curves.json")
    assert all(len(values) == 257 for values in curves.values())
    counts = load_evidence(study.trial(0).path / "evidence" / "best.npz", {"counts"})["counts"]
    for name in ("f1_plus", "iou_pooled:classes", "precision"):
        for chosen in (0, 100, 256):
            expected = at(counts, METRICS[name], dict.fromkeys(counts.classes, chosen))
            assert curves[name][chosen] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("request_", "names", "chosen_by"),
    [
        ({"per_class": True}, {"nodule", "consolidation", "effusion", "pneumothorax"}, "exact solve"),
        ({"decision_thresholds": "fixed"}, set(), "its default"),
        ({"decision_thresholds": "sample"}, set(), "Optuna"),
    ],
)
def test_who_chose_a_threshold(tmp_path: Path, request_: dict[str, Any], names: set[str], chosen_by: str) -> None:
    study = finished_study(tmp_path / "studies", **request_)
    exported = export_study(study, tmp_path / "model")
    thresholds = strict_json(exported.path / "thresholds.json")
    assert set(thresholds) == ({f"mask_threshold.{name}" for name in names} or {"mask_threshold"})
    assert {entry["chosen_by"] for entry in thresholds.values()} == {chosen_by}
    record = read_records(study)[0]
    for name, entry in thresholds.items():
        assert level(entry["value"]) == level(record.result["thresholds"][name])
    assert load_bundle(exported.path).levels == {
        label: level(thresholds.get(f"mask_threshold.{label}", thresholds.get("mask_threshold"))["value"])
        for label in study.config.classes
    }


def test_looks_at_the_test_split_are_counted(
    study: Study, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second = (export_study(study, tmp_path / f"model-{number}", trial=number) for number in (0, 1))
    assert (first.looks, second.looks) == (1, 2)
    assert "look 2 at this test split" in (second.path / "README.md").read_text()
    # a new name resets nothing; the same split under another storage root is not seen
    renamed = finished_study(study.path.parent, name="renamed")
    assert renamed.config.split["digest"] == study.config.split["digest"]
    assert export_study(renamed, tmp_path / "model-2").looks == 3
    other = finished_study(study.path.parent, name="other", split_seed=2)
    assert export_study(other, tmp_path / "model-3").looks == 1
    elsewhere = copy_of_finished(tmp_path_factory.getbasetemp(), tmp_path / "elsewhere")
    assert export_study(elsewhere, tmp_path / "model-4").looks == 1
    lines = [json.loads(line) for line in (study.path.parent / "looks.jsonl").read_text().splitlines() if line]
    assert [line["study"] for line in lines] == ["done", "done", "renamed", "other"]


def test_a_folder_that_was_renamed_is_still_the_study(study: Study, tmp_path: Path) -> None:
    moved = study.path.rename(study.path.with_name("moved"))
    assert export_study(open_study("moved", moved.parent), tmp_path / "model").trial in (0, 1)


def test_no_path_of_the_machine_in_an_export(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exported = export_study(study, tmp_path / "model")
    machine = {str(tmp_path), str(study.path), os.getcwd(), str(Path.home()), os.environ["RAYSEARCH_CACHE"]}
    for path in exported.path.iterdir():
        data = path.read_bytes()
        assert not [folder for folder in machine if folder.encode() in data], path.name
        if path.suffix in (".yaml", ".json", ".csv"):
            assert not re.findall(rb"[\s\"',:=]/[A-Za-z]", data), path.name


def test_a_study_by_boxes_exports_what_boxes_are_judged_by(tmp_path: Path) -> None:
    study = finished_study(tmp_path / "studies", metric="box_accuracy@0.3")
    exported = export_study(study, tmp_path / "model")
    results = strict_json(exported.path / "results.json")
    assert {"box_accuracy@0.3", "box_iou", "iou", "auc"} <= results["metrics"].keys()
    assert results["by_class"]["box_iou"].keys() <= set(study.config.classes)
    own = [entry["box_iou"] for entry in results["per_image"] if "box_iou" in entry]
    assert results["metrics"]["box_iou"] == pytest.approx(np.mean(own))
    assert {"threshold", "box_iou", "iou"} <= strict_json(exported.path / "operating_curves.json").keys()
    assert "Box accuracy (share of pairs whose box has IoU >= 0.3)" in (exported.path / "README.md").read_text()
    assert verify_bundle(load_bundle(exported.path)).ok
