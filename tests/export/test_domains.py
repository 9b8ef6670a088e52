"""An exported model on other data: its own weights and thresholds, whatever part of the truth the data has."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from export.finished_studies import finished_study
from raysearch.data import open_collection, parse_data
from raysearch.errors import ExportError
from raysearch.export import Bundle, evaluate_bundle, export_study, load_bundle
from raysearch.export._evaluate import fit_to
from raysearch.method import Task
from raysearch.thresholds import at, find_metric
from raysearch.training import Alone, observe

OTHER = "phantom:images=30,size=32,domain=b,seed=3"
CLS = "cls=phantom:task=normal-vs-abnormal,images=40,size=32,seed=1"
SEG = "seg=phantom:task=lungs,images=30,size=32,seed=1"


@pytest.fixture
def bundle(model: Path) -> Bundle:
    return load_bundle(model)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An export of a method of two sources."""
    root = tmp_path_factory.mktemp("two")
    study = finished_study(root / "studies", method="export.class_maps:TwoSources", data=None)
    return load_bundle(export_study(study, root / "model").path)


def test_all_known_images_at_the_models_thresholds(bundle: Bundle) -> None:
    import torch

    scores = evaluate_bundle(bundle, OTHER)
    collection = open_collection(parse_data(OTHER), "single")
    assert (scores["data"], scores["images"], scores["fingerprint"]) == (OTHER, 30, collection.fingerprint)
    rows = np.arange(30)
    found = observe(bundle.method, bundle.model, collection, rows, device=torch.device("cpu"), collective=Alone())
    for name in ("f1_plus", "iou_pooled:classes", "auc", "accuracy"):
        metric = find_metric(name)
        expected = at(found.evidence[metric.evidence], metric, bundle.levels)
        assert scores["metrics"][name] == pytest.approx(expected)
        low, high = scores["intervals"][name]
        assert low <= scores["metrics"][name] <= high
    assert scores["metrics"]["f1_plus"] == pytest.approx(np.mean([e["f1_plus"] for e in scores["per_image"]]))


def test_classes_that_the_auc_skips_are_named(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    assert evaluate_bundle(bundle, OTHER)["skipped"] == {"auc": []}
    monkeypatch.setattr("raysearch.export._evaluate._rows", lambda collection, part: np.arange(2))
    scores = evaluate_bundle(bundle, OTHER)
    skipped = scores["skipped"]["auc"]
    assert skipped
    assert {*skipped} == {*bundle.method.task.classes} - scores["by_class"]["auc"].keys()
    assert not {*skipped} & scores["roc"].keys()


def test_evaluating_is_no_look_at_a_test_split(bundle: Bundle, tmp_path: Path) -> None:
    evaluate_bundle(bundle, OTHER)
    assert not list(tmp_path.rglob("looks.jsonl"))


def test_each_source_alone_is_what_it_is_in_both(two: Bundle) -> None:
    both, labels, regions = (evaluate_bundle(two, data) for data in (f"{CLS},{SEG}", CLS, SEG))
    assert (both["images"], labels["images"], regions["images"]) == (70, 40, 30)
    assert labels["metrics"].keys() == {"accuracy", "classification_error", "f1_score", "auc"}
    assert {"f1_plus", "hausdorff", "ssim"} <= regions["metrics"].keys()
    assert not labels["metrics"].keys() & regions["metrics"].keys()
    assert both["metrics"] == pytest.approx({**labels["metrics"], **regions["metrics"]})
    assert regions["by_class"]["f1_plus"].keys() == {"lungs"}
    assert labels["by_class"]["f1_score"].keys() == {"normal", "abnormal"}


def test_a_model_of_two_sources_is_rebuilt_and_verified(two: Bundle) -> None:
    assert two.method.task.sources == ("cls", "seg")
    assert two.method.task.source_classes == (0, 0, 1)
    assert two.config["data"]["source"].startswith("cls=phantom:")


def test_classes_are_found_by_their_names() -> None:
    collection = open_collection(parse_data("phantom:images=20,size=32"), "multi")
    order = (2, 0, 3, 1)
    names = tuple(collection.classes[k] for k in order)
    task = Task(classes=names, view="multi", channels=1, size=(32, 32))
    fitted = fit_to(collection, task, "model")
    assert fitted.classes == names
    for column, own in enumerate(order):
        np.testing.assert_array_equal(fitted.labels[:, column], collection.labels[:, own])
        np.testing.assert_array_equal(fitted.truth[:, column], collection.truth[:, own])
        np.testing.assert_array_equal(fitted.mask_row[:, column], collection.mask_row[:, own])


def test_classes_that_both_sources_have_are_told_apart() -> None:
    data = "cls=phantom:images=20,size=32,seg=phantom:images=20,size=32,seed=1"
    whole = open_collection(parse_data(data), "multi")
    assert whole.classes[0] == "cls/nodule"
    task = Task(
        classes=whole.classes,
        view="multi",
        channels=1,
        size=(32, 32),
        sources=whole.sources,
        source_classes=whole.source_classes,
    )
    alone = open_collection(parse_data("seg=phantom:images=20,size=32,seed=1"), "multi")
    fitted = fit_to(alone, task, "model")
    assert (fitted.labels == -1).all()
    assert (fitted.truth[:, :4] == -1).all()
    np.testing.assert_array_equal(fitted.truth[:, 4:], alone.truth)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("phantom:images=60,size=32", r"is data that .* was trained on: 'raysearch verify .*' scores its test split"),
        ("phantom:images=30,size=64", "has images of 64 pixels, .* takes 32: add size=32 to --data"),
        ("phantom:images=30,size=32,task=lungs", "has the classes lungs, .* knows nodule, consolidation"),
        (CLS, "was made from one source; give one, without its name"),
    ],
)
def test_data_that_does_not_fit(bundle: Bundle, data: str, says: str) -> None:
    with pytest.raises(ExportError, match=says):
        evaluate_bundle(bundle, data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (
            "phantom:task=lungs,images=20,size=32",
            r"several sources, cls \(normal, abnormal\) and seg \(lungs\); .* as in seg=phantom:",
        ),
        ("phantom:task=normal-vs-abnormal,images=20,size=32", "say which one this is, as in cls=phantom:"),
        (
            "phantom:images=20,size=32",
            r"has the classes nodule, .* several sources, .* give data with those of one of them",
        ),
        ("seg=phantom:images=30,size=32", "has the classes nodule, .* knows lungs"),
        (
            "cls=phantom:task=normal-vs-abnormal,images=60,size=32",
            r"cls=phantom:.* is data that .* was trained on",
        ),
    ],
)
def test_sources_that_do_not_fit(two: Bundle, data: str, says: str) -> None:
    with pytest.raises(ExportError, match=says):
        evaluate_bundle(two, data)


def test_images_of_a_name_that_the_model_was_trained_on_are_counted(bundle: Bundle) -> None:
    """More images of the same folder are other data by their fingerprint."""
    trained = len(bundle.split["train"]) + len(bundle.split["tuning"])
    assert evaluate_bundle(bundle, "phantom:images=80,size=32")["seen"] == trained
    assert evaluate_bundle(bundle, OTHER)["seen"] == 0


def test_a_baseline_is_not_scored_on_what_it_was_trained_on(bundle: Bundle, two: Bundle, tmp_path: Path) -> None:
    data = "phantom:images=60,size=32,seed=3"
    weak = export_study(finished_study(tmp_path / "studies", name="weak", data=data), tmp_path / "weak").path
    (tmp_path / "readers.csv").write_text("class,value\nnodule,0.8\n")
    with pytest.raises(ExportError, match=rf"is data that {weak} was trained on"):
        evaluate_bundle(bundle, data, reference=tmp_path / "readers.csv", baseline=weak)
    with pytest.raises(ExportError, match=rf"{two.path} was made from several sources"):
        evaluate_bundle(bundle, data, reference=tmp_path / "readers.csv", baseline=two.path)


def test_published_parts(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match=r"--part test: .* no image to score in a published part .* publishes none"):
        evaluate_bundle(bundle, OTHER, part="test")
    whole = open_collection(parse_data(OTHER), "single")
    official = np.array(["train"] * 18 + ["test"] * 12)
    published = dataclasses.replace(whole, official=official)
    monkeypatch.setattr("raysearch.export._evaluate.open_collection", lambda *_: published)
    scores = evaluate_bundle(bundle, OTHER, part="test")
    assert (scores["part"], scores["images"]) == ("test", 12)
    assert {entry["image"] for entry in scores["per_image"]} == set(whole.image_ids[18:])
    with pytest.raises(ExportError, match=r"--part valid: .* publishes test, train"):
        evaluate_bundle(bundle, OTHER, part="valid")


def test_data_of_which_nothing_is_known(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = open_collection(parse_data(OTHER), "single")
    unknown = dataclasses.replace(whole, labels=np.full_like(whole.labels, -1), truth=np.full_like(whole.truth, -1))
    monkeypatch.setattr("raysearch.export._evaluate.open_collection", lambda *_: unknown)
    with pytest.raises(ExportError, match="no label and no region is known of its images"):
        evaluate_bundle(bundle, OTHER)


def test_the_baseline_is_scored_on_the_same_images(bundle: Bundle, tmp_path: Path) -> None:
    study = finished_study(tmp_path / "studies", method="all_ones")
    weak = export_study(study, tmp_path / "weak").path
    file = tmp_path / "readers.csv"
    file.write_text("class,value\nnodule,0.8\neffusion,0.9\n")
    scores = evaluate_bundle(bundle, OTHER, reference=file, baseline=weak)
    standing = scores["reference"]
    others = evaluate_bundle(load_bundle(weak), OTHER)["by_class"]["f1_plus"]
    assert standing["metric"] == "f1_plus"
    assert standing["classes"].keys() == {"nodule", "effusion"}
    for name, each in standing["classes"].items():
        assert (each["model"], each["baseline"]) == (scores["by_class"]["f1_plus"][name], others[name])
        closed = (each["model"] - each["baseline"]) / (each["reference"] - each["baseline"])
        assert each["gap_closed"] == pytest.approx(closed)
    json.dumps(scores, allow_nan=False)
