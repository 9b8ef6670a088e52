"""`evaluate`, the options of `export` and `status --mean-over`: what they print and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Call, Refuse
from raysearch.study import Study

OTHER = "phantom:images=30,size=32,seed=3"


@pytest.fixture
def readers(tmp_path: Path) -> Path:
    (tmp_path / "readers.csv").write_text("class,value\nnodule,0.8\neffusion,0.9\n")
    return tmp_path / "readers.csv"


@pytest.fixture
def here(study: Study, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(study.path.parent))
    return study


def test_a_model_on_other_data(call: Call, model: Path, readers: Path) -> None:
    shown = call("evaluate", model, "--data", OTHER, "--reference", readers)
    assert (shown.code, shown.err) == (0, "")
    head, *lines = shown.out.splitlines()
    assert head == f"{model} on {OTHER}: 30 images"
    assert any(line.split()[0] == "f1_plus" and "[" in line for line in lines)
    assert lines[-1].split()[0] == "mean"
    told = json.loads(call("evaluate", model, "--data", OTHER, "--json").out)
    assert {"data", "images", "metrics", "intervals", "by_class", "per_image"} <= told.keys()


def test_images_that_the_model_may_have_seen_are_warned_of(call: Call, model: Path) -> None:
    shown = call("evaluate", model, "--data", "phantom:images=80,size=32", "--json")
    seen = json.loads(shown.out)["seen"]
    assert shown.code == 0
    assert shown.err.startswith(f"warning: {seen} of these 80 images have the name of one that the model")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ((), ("--data", "'raysearch evaluate --help'")),
        (("--data", "nope"), ("unknown kind of data 'nope'",)),
        (("--data", "phantom:images=30,size=64"), ("add size=32 to --data",)),
        (("--data", "phantom:images=30,size=32,task=lungs"), ("has the classes lungs",)),
        (("--data", "cls=phantom:images=30,size=32"), ("was made from one source", "without its name")),
        (("--data", "phantom:images=60,size=32"), ("was trained on", "raysearch verify")),
        (("--data", OTHER, "--part", "test"), ("--part test", "publishes none")),
        (("--data", OTHER, "--part", "tset"), ("tset", "'raysearch evaluate --help'")),
        (("--data", OTHER, "--reference", "nowhere.csv"), ("--reference nowhere.csv cannot be read",)),
        (("--data", OTHER, "--baseline", "weak"), ("--baseline weak without --reference",)),
    ],
)
def test_evaluations_that_are_refused(
    refuse: Refuse, model: Path, argv: tuple[str, ...], says: tuple[str, ...]
) -> None:
    refuse("evaluate", model, *argv, says=says)


def test_a_baseline_that_is_no_export(refuse: Refuse, model: Path, readers: Path, tmp_path: Path) -> None:
    options = ("--reference", readers, "--baseline", tmp_path)
    refuse("evaluate", model, "--data", OTHER, *options, says=(f"{tmp_path} is not an export of raysearch",))
    refuse("evaluate", tmp_path, "--data", OTHER, says=(f"{tmp_path} is not an export of raysearch",))


def test_thresholds_chosen_on_test_are_labelled(call: Call, here: Study, tmp_path: Path) -> None:
    shown = call("export", "--out", tmp_path / "out", "--thresholds-on", "test")
    assert shown.code == 0
    assert "optimistic, at thresholds chosen on these very images (not the model's):" in shown.out
    looks = [json.loads(line) for line in (here.path.parent / "looks.jsonl").read_text().splitlines() if line]
    assert [look["command"] for look in looks] == ["export", "export --thresholds-on test"]
    assert "optimistic" not in call("export", "--out", tmp_path / "plain").out


def test_another_post_processing_of_the_same_network(call: Call, here: Study, tmp_path: Path) -> None:
    assert here.path.exists()
    shown = call("export", "--trial", "1", "--out", tmp_path / "out", "--fix", "postprocess=crf")
    assert shown.code == 0
    assert f"wrote {tmp_path / 'out'}: trial 1 with postprocess=crf, test split of" in shown.out


def test_exports_that_are_refused(refuse: Refuse, here: Study, readers: Path, model: Path, tmp_path: Path) -> None:
    out = ("export", "--out", tmp_path / "out")
    refuse(*out, "--thresholds-on", "train", says=("train", "'raysearch export --help'"))
    refuse(*out, "--baseline", model, says=(f"--baseline {model} without --reference",))
    refuse(*out, "--reference", tmp_path / "none", says=("none cannot be read", "columns class and value"))
    refuse(*out, "--reference", readers, "--baseline", tmp_path, says=("is not an export of raysearch",))
    refuse(*out, "--fix", "lr=1", says=("--fix lr=1: lr is of kind train", "settings of kind postprocess"))
    refuse(*out, "--fix", "postproces=crf", says=("'postproces'", "did you mean 'postprocess'?"))
    readers.write_text("class,value\nnodul,0.8\n")
    refuse(*out, "--reference", readers, says=("line 2: unknown class 'nodul'; did you mean 'nodule'?",))
    assert not (tmp_path / "out").exists()
    assert not (here.path.parent / "looks.jsonl").exists(), "no number was shown, so nobody looked"


def test_trials_taken_together(call: Call, here: Study) -> None:
    shown = call("status", "--mean-over", "lr")
    assert (shown.code, shown.err) == (0, "")
    head, *lines = shown.out.splitlines()
    assert head == f"done: cam_avg on {here.config.data}, mean f1_plus over lr"
    assert sum(int(line.split(" of ")[1].split()[0]) for line in lines) == 2
    told = json.loads(call("status", "--mean-over", "lr", "--json").out)
    assert (told["mean_over"], told["metric"]) == ("lr", "f1_plus")
    assert {"params", "numbers", "mean", "low", "high"} == told["groups"][0].keys()


def test_a_parameter_that_is_none(refuse: Refuse, here: Study) -> None:
    assert here.path.exists()
    refuse("status", "--mean-over", "subset", says=("--mean-over subset: no trial was drawn a parameter", "known: "))
