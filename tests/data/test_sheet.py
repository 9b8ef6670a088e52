from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from data.data_layouts import make_covid, make_nih
from raysearch._draw import COLOURS
from raysearch.data import DataSpec, open_collection, parse_data, write_sheets
from raysearch.data._sheet import _PADDING, _said, sheet, sheet_rows


def test_classes_and_patients_take_turns() -> None:
    data = open_collection(DataSpec.parse("phantom:images=200,size=32"), "single")
    rows = sheet_rows(data)
    assert len(set(rows.tolist())) == 12
    assert len(set(data.patients[rows].tolist())) == 12
    assert (data.labels[rows] == 1).sum(axis=0).min() >= 2


def test_a_small_collection_is_shown_whole(tmp_path: Path) -> None:
    data = open_collection(DataSpec.parse(f"chestxray14:{make_nih(tmp_path / 'nih')},size=32"), "multi")
    assert sorted(sheet_rows(data).tolist()) == list(range(6))
    page = sheet(data)
    assert page.dtype == np.uint8
    assert page.shape[2] == 3
    said = {data.image_ids[row]: _said(data, row) for row in range(6)}
    assert said["00000001_001.png"] == "Cardiomegaly ?, Effusion ?"
    assert said["00000004_000.png"] == "Infiltration"
    assert said["00000002_000.png"].startswith("none of the classes")


def test_padding_and_regions_have_colours_of_their_own(tmp_path: Path) -> None:
    data = open_collection(DataSpec.parse(f"covid_chestxray:{make_covid(tmp_path / 'covid')},size=60"), "multi")
    page = sheet(data).reshape(-1, 3)
    for colour in (*_PADDING, COLOURS[0]):
        assert (page == colour).all(axis=1).sum() > 200
    square = sheet(open_collection(DataSpec.parse("phantom:images=16,size=32"), "multi")).reshape(-1, 3)
    assert not (square == _PADDING[0]).all(axis=1).any()


def test_a_sheet_a_source(tmp_path: Path) -> None:
    spec = parse_data("cls=phantom:images=16,size=32,task=normal-vs-abnormal,seg=phantom:images=16,size=32,task=lungs")
    written = write_sheets(open_collection(spec, "multi"), tmp_path)
    assert [path.name for path in written] == ["cls.png", "seg.png"]
    assert all(Image.open(path).mode == "RGB" for path in written)
    alone = write_sheets(open_collection(DataSpec.parse("phantom:images=16,size=32"), "multi"), tmp_path)
    assert [path.name for path in alone] == ["sheet.png"]
