"""A model beside human readers: the file, the table, the gap closed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from export.finished_studies import finished_study
from raysearch.errors import ExportError
from raysearch.export import export_study
from raysearch.export._reference import Reference, read_reference, reference_values
from raysearch.study import Study

CLASSES = ("Atelectasis", "Edema", "Lung Opacity")


def written(folder: Path, text: str) -> Path:
    (folder / "readers.csv").write_text(text)
    return folder / "readers.csv"


def test_values_by_class(tmp_path: Path) -> None:
    file = written(tmp_path, "\ufeffreader,class,value\na, Lung Opacity ,0.5\nb,Edema, 4e-1\n")
    assert read_reference(file, CLASSES) == {"Lung Opacity": 0.5, "Edema": 0.4}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no column 'class'; expected a CSV file with the columns class and value, one line a class"),
        ("class,score\nEdema,0.5\n", "has no column 'value'"),
        ("class,value\n", "holds no value"),
        ("class,value\nEdema,0.5\nEdma,0.5\n", "line 3: unknown class 'Edma'; did you mean 'Edema'?"),
        ("class,value\nEdema,0.5\nEdema,0.6\n", "line 3: class 'Edema' for the second time"),
        ("class,value\nEdema,good\n", "line 2: the value of Edema is 'good'; expected a number"),
        ("class,value\nEdema,nan\n", "the value of Edema is 'nan'"),
        ("class,value\nEdema\n", "the value of Edema is ''"),
        ("class,value\n,0.5\n", "unknown class ''"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ExportError) as refused:
        read_reference(written(tmp_path, text), CLASSES)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("metric", "value", "says"),
    [
        (
            "f1_plus",
            "45.2",
            "the value of Edema is 45.2, but f1_plus lies from 0 to 1; expected shares, such as 0.452 for",
        ),
        ("box_accuracy@0.5", "2", "but box_accuracy@0.5 lies from 0 to 1; expected shares, such as 0.02 for 2 %"),
        ("auc", "-0.1", "the value of Edema is -0.1, but auc lies from 0 to 1; expected shares"),
        ("iou", "4e4", "the value of Edema is 40000, but iou lies from 0 to 1; expected shares"),
        ("ssim", "-2", "but ssim lies from -1 to 1"),
    ],
)
def test_a_percentage_beside_a_share_is_refused(tmp_path: Path, metric: str, value: str, says: str) -> None:
    file = written(tmp_path, f"class,value\nLung Opacity,0.5\nEdema,{value}\n")
    with pytest.raises(ExportError) as refused:
        reference_values(file, None, CLASSES, metric)
    assert says in str(refused.value)


def test_values_that_the_metric_can_have(tmp_path: Path) -> None:
    file = written(tmp_path, "class,value\nLung Opacity,1\nEdema,0\n")
    assert reference_values(file, None, CLASSES, "f1_plus") == {"Lung Opacity": 1, "Edema": 0}
    distances = written(tmp_path, "class,value\nEdema,45.2\n")
    assert reference_values(distances, None, CLASSES, "hausdorff_max") == {"Edema": 45.2}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.csv", tmp_path):
        with pytest.raises(ExportError, match=f"--reference {path} cannot be read"):
            read_reference(path, CLASSES)
    (tmp_path / "noise.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ExportError, match="is no CSV file"):
        read_reference(tmp_path / "noise.csv", CLASSES)


def test_gap_closed() -> None:
    """The paper's own: 57.2 % of the gap between the weak baseline and the radiologists."""
    found = Reference("iou_pooled:classes", {"a": 0.5, "b": 0.7}, {"a": 0.1, "b": 0.3}).beside(
        {"a": 0.3, "b": 0.8, "c": 1.0}
    )
    assert found["classes"]["a"]["gap_closed"] == pytest.approx(0.5)
    assert found["classes"]["b"]["gap_closed"] == pytest.approx(1.25), "better than the reference"
    assert found["mean"] == pytest.approx({"model": 0.55, "reference": 0.6, "baseline": 0.2, "gap_closed": 0.875})
    paper = Reference("iou_pooled:classes", {"a": 1.0}, {"a": 0.0}).beside({"a": 0.572})
    assert paper["mean"]["gap_closed"] == pytest.approx(0.572)


def test_a_gap_that_is_none() -> None:
    alone = Reference("iou", {"a": 0.5}).beside({"a": 0.3})
    assert alone["mean"] == {"model": 0.3, "reference": 0.5, "baseline": None, "gap_closed": None}
    assert Reference("iou", {"a": 0.5}, {"a": 0.5}).beside({"a": 0.3})["mean"]["gap_closed"] is None
    better = Reference("iou", {"a": 0.5}, {"a": 0.6}).beside({"a": 0.5})
    assert better["mean"]["gap_closed"] is None, "the baseline is better than the reference"
    distance = Reference("hausdorff", {"a": 2.0}, {"a": 6.0}).beside({"a": 3.0})
    assert distance["mean"]["gap_closed"] == pytest.approx(0.75), "less is better"
    assert Reference("hausdorff", {"a": 6.0}, {"a": 2.0}).beside({"a": 3.0})["mean"]["gap_closed"] is None
    only = Reference("iou", {"a": 0.5, "b": 0.1}, {"b": 0.2}).beside({"a": 0.3, "b": 0.4})
    assert only["classes"].keys() == {"b"}, "classes that all have a value of"
    with pytest.raises(ExportError, match=r"has values of a, but no class of them has a iou here \(the model has b\)"):
        Reference("iou", {"a": 0.5}).beside({"b": 0.3})


def test_an_export_beside_readers_and_another_export(study: Study, tmp_path: Path) -> None:
    weak = export_study(study, tmp_path / "weak", trial=0)
    file = written(tmp_path, "class,value\nnodule,0.8\neffusion,0.9\n")
    exported = export_study(study, tmp_path / "model", trial=1, reference=file, baseline=weak.path)
    standing = exported.results["reference"]
    assert json.loads((exported.path / "results.json").read_text())["reference"] == standing
    for name, each in standing["classes"].items():
        assert each["model"] == exported.results["by_class"]["f1_plus"][name]
        assert each["baseline"] == weak.results["by_class"]["f1_plus"][name]
    card = (exported.path / "README.md").read_text()
    assert "### Beside a reference: F1+" in card
    assert f"| effusion | {standing['classes']['effusion']['model']:.4f} | 0.9000 |" in card
    assert str(tmp_path) not in card


def test_a_baseline_of_other_images_or_another_metric(study: Study, tmp_path: Path) -> None:
    file = written(tmp_path, "class,value\nnodule,0.8\n")
    other = finished_study(study.path.parent, name="other", split_seed=2)
    elsewhere = export_study(other, tmp_path / "other")
    with pytest.raises(ExportError, match="was scored on other test images than those of study 'done'"):
        export_study(study, tmp_path / "model", reference=file, baseline=elsewhere.path)
    weak = export_study(study, tmp_path / "weak").path
    results = json.loads((weak / "results.json").read_text())
    del results["by_class"]["f1_plus"]
    (weak / "results.json").write_text(json.dumps(results))
    with pytest.raises(ExportError, match="holds no f1_plus by class; export it from a study with --metric f1_plus"):
        export_study(study, tmp_path / "model", reference=file, baseline=weak)
    assert not (tmp_path / "model").exists()
    looks = (study.path.parent / "looks.jsonl").read_text().splitlines()
    assert sum(bool(look) for look in looks) == 2, "nothing was shown, so nobody looked"
