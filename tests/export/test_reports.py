"""What an export tells beside the numbers of the search: metrics of the paper, boxes, thresholds chosen on test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.finished_studies import SMALL, finished_study
from raysearch.data import open_collection, parse_data
from raysearch.errors import ExportError
from raysearch.export import export_study, load_bundle, verify_bundle
from raysearch.export._score import observe_rows, optimistic
from raysearch.study import Study, read_parts, read_records, rethreshold
from raysearch.thresholds import (
    BOX_RULES,
    Components,
    at,
    cross_fit,
    find_metric,
    load_evidence,
    scores_at,
    solve,
    sweep_metric,
)

BOXED = "export.class_maps:Boxed"


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Trials with different rules."""
    root = tmp_path_factory.mktemp("boxed")
    sets = ("rule=choice:union,most_active,largest",)
    return finished_study(root, method=BOXED, samples=5, sets=sets, name="boxed", keep_checkpoints=5, seed=1)


def components_of(study: Study, number: int) -> Components:
    found = load_evidence(study.trial(number).path / "evidence" / "best.npz", ["components"])["components"]
    assert isinstance(found, Components)
    return found


def test_every_trial_is_scored_by_the_rule_of_its_own_config(boxed: Study) -> None:
    records = read_records(boxed)
    assert len({record.params["rule"] for record in records}) > 1
    metric = find_metric("box_iou")
    differ, seed = [], boxed.config.seed
    table = {row.number: row.optima["box_iou"].value for row in rethreshold(boxed, metrics=["box_iou"]).rows}
    for record in records:
        components = components_of(boxed, record.number)
        assert components.rule == record.params["rule"]
        named = replace(metric, rule=record.params["rule"])
        value = cross_fit(replace(components, rule="largest"), named, seed=seed).value
        assert record.value == table[record.number] == value
        differ += [value != cross_fit(components, replace(metric, rule=other), seed=seed).value for other in BOX_RULES]
        exact = {"box_accuracy@0.3", "f1_score"}
        assert exact <= record.result["metrics"].keys(), "the evidence is there anyway"
        assert not {"ssim", "hausdorff"} & record.result["metrics"].keys(), "maps are collected at export alone"
    assert any(differ)


def test_an_export_has_the_metrics_of_the_paper_and_the_rule(boxed: Study, tmp_path: Path) -> None:
    trial = next(record.number for record in read_records(boxed) if record.params["rule"] == "union")
    exported = export_study(boxed, tmp_path / "model", trial=trial)
    assert {"ssim", "hausdorff", "box_accuracy@0.3", "f1_score"} <= exported.results["metrics"].keys()
    assert {"ssim", "hausdorff"} <= exported.results["by_class"].keys()
    assert "optimistic" not in exported.results
    (entry,) = json.loads((exported.path / "thresholds.json").read_text()).values()
    assert entry["box_rule"] == "union"
    card = (exported.path / "README.md").read_text()
    assert "Boxes are made by the rule `union`." in card
    assert "Average Hausdorff distance (pixels" in card
    bundle = load_bundle(exported.path)
    assert verify_bundle(bundle).ok
    collection = open_collection(parse_data(SMALL), "multi")
    observed = observe_rows(bundle.method, bundle.model, collection, read_parts(boxed)["test"], "box_iou").evidence
    metric = replace(find_metric("box_iou"), rule="union")
    assert exported.results["metrics"]["box_iou"] == pytest.approx(at(observed["components"], metric, bundle.levels))
    maps = observed["maps"]
    scores = scores_at(maps, find_metric("hausdorff"), bundle.levels)
    assert exported.results["metrics"]["hausdorff"] == pytest.approx(np.nanmean(scores))
    own = {(entry["image"], entry["class"]): entry.get("hausdorff") for entry in exported.results["per_image"]}
    for image, label, score in zip(maps.image, maps.label, scores, strict=True):
        told = own[collection.image_ids[image], collection.classes[label]]
        assert told == score or (told is None and np.isnan(score))


@pytest.mark.parametrize("per_class", [False, True])
def test_thresholds_chosen_on_test_stand_apart(tmp_path: Path, per_class: bool) -> None:
    study = finished_study(tmp_path / "studies", method=BOXED, per_class=per_class)
    honest = export_study(study, tmp_path / "honest")
    exported = export_study(study, tmp_path / "model", thresholds_on="test")
    assert exported.results["metrics"] == honest.results["metrics"]
    assert (exported.path / "thresholds.json").read_text() == (honest.path / "thresholds.json").read_text()
    block = exported.results["optimistic"]
    bundle = load_bundle(exported.path)
    collection = open_collection(parse_data(SMALL), "multi")
    rows = read_parts(study)["test"]
    observed = observe_rows(bundle.method, bundle.model, collection, rows, "box_iou")
    best = solve(observed.evidence["components"], sweep_metric("box_iou"), per_class=per_class)
    assert block["metrics"]["box_iou"] == pytest.approx(best.value)
    assert best.value >= exported.results["metrics"]["box_iou"]
    assert set(block["thresholds"].values()) == set(best.thresholds.values())
    assert verify_bundle(bundle).ok, "what is verified are the model's numbers"
    assert (honest.looks, exported.looks, block["look"]) == (1, 2, 3)
    looks = [json.loads(line) for line in (study.path.parent / "looks.jsonl").read_text().splitlines() if line]
    assert [look["command"] for look in looks] == ["export", "export", "export --thresholds-on test"]
    card = (exported.path / "README.md").read_text()
    assert "### Optimistic: thresholds chosen on the test images" in card
    assert "Optimistic" not in (honest.path / "README.md").read_text()


def test_without_regions_there_is_nothing_to_choose_on(boxed: Study, tmp_path: Path) -> None:
    bundle = load_bundle(export_study(boxed, tmp_path / "model").path)
    collection = open_collection(parse_data(SMALL), "multi")
    hidden = replace(collection, truth=np.full_like(collection.truth, -1))
    observed = observe_rows(bundle.method, bundle.model, hidden, np.arange(5), "box_iou")
    with pytest.raises(ExportError, match="--thresholds-on test: no present pair to choose a threshold by box_iou"):
        optimistic(observed, hidden, ["box_iou"], per_class=False)
