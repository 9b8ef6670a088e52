"""Tables and lists as programs save them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from data.data_layouts import make_glas, make_nih
from data.kind_layouts import make_cub, make_flowers, make_pets
from raysearch.data import check, open_collection, parse_data
from raysearch.data.kinds._tables import read_header, read_names, read_table
from raysearch.errors import DataError

PLAIN = 'image,split,note\na.png,train,"x, y"\nb.png,test,\n'


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_way_in_which_spreadsheets_save_a_table(tmp_path: Path, encoding: str, ends: str, delimiter: str) -> None:
    text = PLAIN.replace('"x, y"', "x y").replace(",", delimiter).replace("\n", ends)
    path = written(tmp_path / "t.csv", text, encoding)
    assert read_table(path, ("image", "split")).to_numpy().tolist() == [["a.png", "train"], ["b.png", "test"]]
    assert read_header(path, ("image",)) == ["image", "split", "note"]


def test_commas_divide_where_the_header_has_them_whatever_the_cells_hold(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "image,split\na;b.png,train\n")
    assert read_table(path, ("image", "split"))["image"].tolist() == ["a;b.png"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_lists_of_names(tmp_path: Path, encoding: str) -> None:
    assert read_names(written(tmp_path / "l.txt", "\u00e4.png\r\nb.png\r\n\r\n", encoding)) == ["\u00e4.png", "b.png"]


def test_another_encoding_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "image,split\n\u00e4.png,train\n", "latin-1")
    expected = (
        r"cannot be read \(byte 13 is in another encoding; save it as UTF-8\); expected a CSV file with image, spl"
    )
    with pytest.raises(DataError, match=expected):
        read_table(path, ("image", "split"))


@pytest.mark.parametrize(
    ("kind", "make", "folder"),
    [
        ("chestxray14", lambda root: make_nih(root), "images"),
        ("cub", lambda root: make_cub(root), "CUB_200_2011/images"),
        ("flowers102", lambda root: make_flowers(root), "jpg"),
        ("pets", lambda root: make_pets(root), "images"),
    ],
)
def test_a_folder_of_images_that_is_spelt_otherwise_is_named(
    tmp_path: Path, kind: str, make: Callable[[Path], Path], folder: str
) -> None:
    root = make(tmp_path / kind)
    (root / folder).rename((root / folder).with_name("Images" if folder != "jpg" else "JPG"))
    with pytest.raises(DataError, match=rf"image folder .*{folder} does not exist, but (Images|JPG) does: rename it"):
        open_collection(parse_data(f"{kind}:{root},size=32"), "multi")


def test_a_table_that_is_spelt_otherwise_is_named(tmp_path: Path) -> None:
    root = make_glas(tmp_path)
    (grade,) = root.rglob("Grade.csv")
    grade.rename(grade.with_name("grade.csv"))
    with pytest.raises(DataError, match=r"Grade.csv is absent, but grade.csv is there: rename it if it is the same"):
        check(parse_data(f"glas:{root}"))


def test_a_link_to_nowhere_is_an_image_that_is_absent(tmp_path: Path) -> None:
    image = next(make_glas(tmp_path).rglob("train_1.bmp"))
    image.unlink()
    image.symlink_to(tmp_path / "nowhere.bmp")
    report = check(parse_data(f"glas:{tmp_path},size=32"), cache_root=tmp_path / "cache")
    assert [line for line in report.problems if re.fullmatch(r"train_1.bmp: absent", line)]
