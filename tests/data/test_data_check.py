from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.data_layouts import make_covid, make_nih
from data.kind_layouts import CHEXPERT_TRAIN, make_chexpert, make_kermany
from raysearch.data import DataSpec, check, open_collection
from raysearch.errors import DataError


def test_counts_of_classes(tmp_path: Path) -> None:
    report = check(DataSpec.parse(f"covid_chestxray:{make_covid(tmp_path / 'covid')},size=60"), "single")
    assert report.ok
    assert (report.images, report.patients) == (7, 6)
    covid, other = report.classes
    assert (covid.name, covid.images, covid.patients, covid.unlabelled) == ("covid-19", 3, 2, 2)
    assert (covid.present, covid.absent, covid.unknown, covid.present_patients) == (2, 0, 5, 1)
    assert covid.foreground_share == pytest.approx(0.5)  # of the picture, not of the padded square
    assert (other.images, other.present, other.foreground_share) == (2, 0, None)
    assert report.sizes == {"60x40": 7}
    assert report.official == {}


def test_a_clean_source_is_left_in_the_cache(tmp_path: Path, cache: Path) -> None:
    spec = DataSpec.parse(f"chestxray14:{make_nih(tmp_path / 'nih')},size=32")
    report = check(spec)
    assert report.official == {"test": 4, "train": 2}
    decoded: list[int] = []
    open_collection(spec, "multi", progress=lambda done, _: decoded.append(done))
    assert not decoded
    assert check(spec) == report


def test_the_view_is_told_where_the_other_one_differs(tmp_path: Path) -> None:
    same = check(DataSpec.parse(f"kermany:{make_kermany(tmp_path / 'kermany')},size=16"))
    assert same.other_view == ""
    assert not any(" view" in line for line in same.lines())
    covid = check(DataSpec.parse(f"covid_chestxray:{make_covid(tmp_path / 'covid')},size=16,task=lesions"))
    assert covid.other_view == "single view: 7 images; the classes covid-19, other"
    root = make_chexpert(tmp_path / "chexpert", train=(), valid=CHEXPERT_TRAIN[1:3], test=())
    for table in ("train.csv", "test_labels.csv"):
        (root / table).unlink()
    several = check(DataSpec.parse(f"chexpert:{root},size=16"))
    assert several.images == 2
    assert several.other_view.startswith("single view: nothing can be used (")
    assert "no image is left for task findings in the single view" in several.other_view
    assert "2 images without exactly one of the classes" in several.other_view


def test_problems_of_files_are_all_listed_and_the_rest_counted(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    for name in ("00000001_000.png", "00000001_001.png", "00000003_000.png", "00000005_000.png"):
        (root / "images" / name).write_bytes(b"")
    report = check(DataSpec.parse(f"chestxray14:{root},size=32"))
    assert not report.ok
    assert [line.split(":")[0] for line in report.problems] == [
        "00000001_000.png",
        "00000001_001.png",
        "00000003_000.png",
        "00000005_000.png",
    ]
    assert report.sizes == {"64x64": 2}
    counts = {count.name: count for count in report.classes}
    assert counts["Cardiomegaly"].present == 0  # its image with a box cannot be read
    assert counts["Infiltration"].present == 1
    assert counts["Infiltration"].foreground_share == pytest.approx(0.25)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist"):
        check(DataSpec.parse(f"glas:{tmp_path / 'none'}"))


def test_report_as_text_and_as_json(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    (root / "images" / "00000003_000.png").write_bytes(b"")
    report = check(DataSpec.parse(f"chestxray14:{root},size=32"))
    lines = report.lines()
    assert lines[0] == f"chestxray14:{root},size=32 (multi view): 6 images, 5 patients"
    assert lines[1].startswith("single view: 3 images; 1 images without a finding and 2 with several are left out")
    assert lines[2] == "sizes: 64x64 (5)"
    assert lines[3] == "published: test 4, train 2"
    assert "Infiltration              2         2           0        1        4        1       25.0%" in lines
    assert lines[-2:] == ["problem: 00000003_000.png: zero bytes", "1 problem"]
    data = json.loads(json.dumps(report.as_dict()))
    assert data["ok"] is False
    assert data["classes"][0]["name"] == "Atelectasis"
    assert data["problems"] == ["00000003_000.png: zero bytes"]
