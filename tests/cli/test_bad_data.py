"""Data that cannot be used: `tune` refuses it in one line, and `data check` names all that is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data.data_layouts import GLAS_FOLDER, NIH_BOXES, NIH_ROWS, make_covid, make_glas, make_nih, save

from cli.conftest import Call, Refuse

NIH = "chestxray14:{},task=normal-vs-pneumonia,size=32"
GLAS = "glas:{},size=32,patients=image"


def tune(data: str) -> tuple[str, ...]:
    return ("tune", "--method", "cam_avg", "--preset", "small", "--data", data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("phantm", ("unknown kind of data 'phantm'", "did you mean 'phantom'?")),
        ("", ("unknown kind of data ''", "known: chestxray14")),
        ("phantom:imges=60", ("phantom has no option 'imges'", "did you mean 'images'?")),
        ("phantom:images=abc", ("images=abc", "expected a whole number from 16")),
        ("phantom:images=4", ("images=4", "expected a whole number from 16")),
        ("phantom:task=lung", ("unknown task 'lung'", "did you mean 'lungs'?")),
        ("phantom:somewhere", ("phantom takes no folder", "'somewhere'", "expected option=value")),
        ("phantom:images=60,size=32,annotated=0", ("no class", "annotated region in tuning", "annotate more")),
        ("phantom:images=20,size=32,task=lungs,annotated=0.1", ("lungs", "--split")),
        ("chestxray14", ("names no folder", "expected chestxray14:FOLDER")),
        ("chestxray14:/no/such/folder", ("/no/such/folder does not exist", "NIH ChestX-ray14")),
        ("chestxray14:x,task=normal-vs-pneumonai", ("'normal-vs-pneumonai'", "did you mean 'normal-vs-pneumonia'?")),
    ],
)
def test_data_that_cannot_be_meant(refuse: Refuse, data: str, says: tuple[str, ...]) -> None:
    refuse(*tune(data), says=says)


def test_a_file_in_place_of_the_folder(refuse: Refuse, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    refuse(*tune(f"covid_chestxray:{file}"), says=(f"{file} is a file", "expected the folder of"))


def test_a_missing_table(refuse: Refuse, tmp_path: Path) -> None:
    table = make_nih(tmp_path) / "Data_Entry_2017_v2020.csv"
    table.unlink()
    refuse(*tune(NIH.format(tmp_path)), says=(f"{tmp_path} holds no table {table.name}", "put it there"))


def test_boxes_that_are_missing_where_regions_are_needed(refuse: Refuse, tmp_path: Path) -> None:
    (make_nih(tmp_path) / "BBox_List_2017.csv").unlink()
    refuse(*tune(NIH.format(tmp_path)), says=("has an annotated region in tuning (0 in all parts)", "annotate more"))


def test_a_table_without_a_column(refuse: Refuse, tmp_path: Path) -> None:
    table = make_covid(tmp_path) / "metadata.csv"
    table.write_text(table.read_text().replace("modality", "kind", 1))
    refuse(*tune(f"covid_chestxray:{tmp_path},size=32"), says=(str(table), "no column 'modality'", "get the original"))


def wrong_label(root: Path) -> str:
    make_nih(root, rows=(*NIH_ROWS, ("00000006_000.png", "Pnuemonia", 6)))
    return NIH.format(root)


def absent(root: Path) -> str:
    (make_nih(root) / "images" / NIH_ROWS[3][0]).unlink()
    return NIH.format(root)


def truncated(root: Path) -> str:
    image = make_nih(root) / "images" / NIH_ROWS[3][0]
    image.write_bytes(image.read_bytes()[:-100])
    return NIH.format(root)


def zero_bytes(root: Path) -> str:
    (make_nih(root) / "images" / NIH_ROWS[3][0]).write_bytes(b"")
    return NIH.format(root)


def box_outside(root: Path) -> str:
    make_nih(root, boxes=(*NIH_BOXES, ("00000003_000.png", "Pneumonia", (900.0, 0.0, 256.0, 256.0))))
    return NIH.format(root)


def mask_of_another_size(root: Path) -> str:
    make_glas(root)
    save(root / GLAS_FOLDER / "train_2_anno.bmp", np.ones((52, 52), np.uint8))
    return GLAS.format(root)


WRONG = [
    (wrong_label, ("00000006_000.png", "unknown finding 'Pnuemonia'", "did you mean 'Pneumonia'?")),
    (absent, (NIH_ROWS[3][0], "listed in Data_Entry_2017_v2020.csv but absent", "missing=skip")),
    (truncated, (NIH_ROWS[3][0], "corrupt or truncated")),
    (zero_bytes, (NIH_ROWS[3][0], "zero bytes")),
    (box_outside, ("00000003_000.png", "box [900, 0, 256, 256]", "not inside the image of 1024x1024")),
    (mask_of_another_size, ("train_2.bmp", "train_2_anno.bmp", "52x52 does not fit the image of 78x52")),
]


@pytest.mark.parametrize(("build", "says"), WRONG, ids=[build.__name__ for build, _ in WRONG])
def test_files_that_cannot_be_used(call: Call, refuse: Refuse, tmp_path: Path, build, says: tuple[str, ...]) -> None:
    data = build(tmp_path)
    refuse(*tune(data), says=("1 problem: ", *says, "`raysearch data check"))

    checked = call("data", "check", data)
    assert checked.code == 2
    assert "1 problem in" in checked.line
    assert "then check again" in checked.line
    (problem,) = [line for line in checked.out.splitlines() if line.startswith("problem: ")]
    assert all(words in problem for words in says)

    as_json = call("data", "check", data, "--json")
    assert as_json.code == 2
    report = json.loads(as_json.out)
    assert not report["ok"]
    assert report["problems"] == [problem.removeprefix("problem: ")]


def test_sound_data_passes_the_check(call: Call, tmp_path: Path) -> None:
    checked = call("data", "check", NIH.format(make_nih(tmp_path)), "--json")
    assert (checked.code, checked.err) == (0, "")
    assert json.loads(checked.out)["ok"]


def test_a_split_that_does_not_fit_the_data(refuse: Refuse, tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    asked = (*tune("phantom:images=60,size=32"), "--split", table)
    table.write_text("picture,split\na,train\n")
    refuse(*asked, says=(str(table), "has columns picture,split; expected a CSV file with columns image,split"))
    table.write_text("image,split\nelsewhere,train\n")
    refuse(*asked, says=(str(table), "'elsewhere' is not in phantom"))


def test_a_cache_that_cannot_be_written(refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("RAYSEARCH_CACHE", str(file / "cache"))
    refuse(*tune("phantom:images=61,size=32"), says=(str(file), "cannot be written", "set RAYSEARCH_CACHE"))
