from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.data_layouts import make_glas, make_nih, save, texture
from data.made_collections import collection, lines, one_hot, parts, write
from raysearch.data import Collection, DataSpec, check, guard, make_split, open_collection, parse_data
from raysearch.data._twins import Twins
from raysearch.errors import DataError


def twinned(data: Collection, *pictures: Sequence[int]) -> Collection:
    """The collection with these rows as copies of each other."""
    picture = np.full(len(data), -1, np.int32)
    for number, rows in enumerate(pictures):
        picture[list(rows)] = number
    twins = Twins(named=data.patients, picture=picture)
    return replace(data, patients=twins.patients, twins=twins)


def plain(count: int = 40, **options: object) -> Collection:
    return collection(one_hot(np.arange(count) % 2), **options)  # type: ignore[arg-type]


def test_patients_who_share_a_picture_are_one_under_the_first_name() -> None:
    named = np.array(["d", "b", "c", "b", "a", "e"])
    twins = Twins(named=named, picture=np.array([-1, 0, 0, 1, 1, -1], np.int32))
    assert twins.patients.tolist() == ["d", "b", "b", "b", "b", "e"]
    assert [rows.tolist() for rows in twins.groups] == [[1, 2], [3, 4]]
    assert Twins(named=named, picture=np.full(6, -1, np.int32)).patients.tolist() == named.tolist()


@pytest.mark.parametrize("how", ["random", "fold:1/4", "official"])
def test_copies_are_in_one_part_and_the_split_says_so(how: str) -> None:
    official = np.where(np.arange(40) < 30, "train", "test")
    for seed in range(5):
        pairs = [(0, 7), (1, 12), (2, 23)]
        split = make_split(twinned(plain(official=official), *pairs), how, seed)
        for one, other in pairs:
            assert sum({one, other} <= set(rows.tolist()) for rows in parts(split)) == 1
        assert (
            "different patients share 3 pictures, 'i0' (patient p0) and 'i7' (patient p7) for one: such patients are"
            " one in the split"
        ) in split.warnings


def test_a_published_split_is_kept_and_says_what_it_tears_apart() -> None:
    official = np.where(np.arange(40) < 30, "train", "test")
    split = make_split(twinned(plain(official=official), (1, 35)), "official")
    assert 35 in split.test
    assert 1 not in split.test
    assert any(
        line.startswith("the split has 1 picture in several parts, 'i1' (t") and "'i35' (test) for one: what is" in line
        for line in split.warnings
    )


def test_files_are_followed_by_the_names_that_the_data_has(tmp_path: Path) -> None:
    data = twinned(plain(), (1, 35), (2, 3))
    told = [f"i{row},{'train' if row < 20 else 'tuning' if row < 30 else 'test'}" for row in range(40)]
    split = make_split(data, write(tmp_path / "images.csv", told))
    assert split.test.tolist() == list(range(30, 40))
    assert any("1 picture in several parts, 'i1' (train) and 'i35' (test)" in line for line in split.warnings)


def test_who_is_not_named_in_a_file_goes_where_the_copy_is(tmp_path: Path) -> None:
    data = twinned(plain(), (1, 35), (2, 3))
    split = make_split(data, f"test={lines(tmp_path / 'test.txt', [f'p{row}' for row in range(30, 40)])}")
    assert split.test.tolist() == [1, *range(30, 40)]
    assert not any("several parts" in line for line in split.warnings)


def test_patients_by_name_come_before_their_copies_in_a_file_that_does_not_name_all(tmp_path: Path) -> None:
    """p0 is told to be test and p2 train, and they share a picture; a second image of each goes with its name."""
    patients = np.array([f"p{row % 20}" for row in range(40)])
    data = twinned(plain(patients=patients), (0, 2))
    fold = lines(tmp_path / "folds.csv", ["image,fold", *(f"i{row},{row // 2 % 2}" for row in range(20))])
    split = make_split(data, f"{fold}:fold=0")
    assert {0, 20} <= set(split.test.tolist())
    assert not {2, 22} & set(split.test.tolist())


def test_random_parts_of_data_with_published_ones_are_said_with_the_flag() -> None:
    published = plain(official=np.where(np.arange(40) < 30, "train", "test"))
    said = "made has a published split, and is divided at random here; --split official takes the published one"
    assert said in make_split(published, "random").warnings
    for data, how in ((published, "official"), (published, "fold:1/4"), (plain(), "random")):
        assert not any("published split" in line for line in make_split(data, how).warnings)
    shared = plain(official=np.where(np.arange(40) < 30, "train", "test"), patients=np.arange(40) // 4)
    with pytest.raises(DataError, match="share"):
        make_split(shared, "official")
    # it would be refused, with what to do about it
    assert any("--split official takes" in line for line in make_split(shared, "random").warnings)


def released(root: Path, copies: bool) -> Path:
    """ChestX-ray14 in which, with `copies`, patient 5 has the radiograph of patient 3, at half the size."""
    make_nih(root)
    shapes = Image.fromarray(texture(9, 6, 6))
    for name, side in (("00000003_000.png", 64), ("00000005_000.png", 48)) if copies else ():
        save(root / "images" / name, np.asarray(shapes.resize((side, side), Image.Resampling.BICUBIC)))
    return root


def test_copies_are_found_while_the_cache_is_built(tmp_path: Path) -> None:
    spec = DataSpec.parse(f"chestxray14:{released(tmp_path / 'nih', True)},size=64")
    data = open_collection(spec, "multi")
    for again in (data, open_collection(spec, "multi")):
        assert again.patients.tolist() == ["1", "1", "2", "3", "4", "3"]
        assert again.named_patients.tolist() == ["1", "1", "2", "3", "4", "5"]
    report = check(spec)
    assert report.patients == 4
    assert (
        "2 images of different patients show 1 picture: '00000003_000.png' (patient 3) and '00000005_000.png' (patient"
        " 5): such patients are one in every split and interval"
    ) in report.notes
    assert guard(data, np.array([0, 3])).patients.tolist() == data.patients.tolist()
    other = open_collection(DataSpec.parse(f"chestxray14:{released(tmp_path / 'other', False)},size=64"), "multi")
    assert other.patients.tolist() == other.named_patients.tolist()
    assert not any(
        "picture" in note for note in check(DataSpec.parse(f"chestxray14:{tmp_path / 'other'},size=64")).notes
    )


def test_padding_is_no_part_of_a_thumbnail(tmp_path: Path) -> None:
    """Different wide pictures have the same padding."""
    make_glas(tmp_path)
    data = open_collection(DataSpec.parse(f"glas:{tmp_path},size=64"), "single")
    assert data.twins is not None
    assert not data.twins.groups


def test_copies_in_two_sources_are_of_one_patient(tmp_path: Path, cache: Path) -> None:
    """Two releases in different places share two pictures, which each has once."""
    one, other = released(tmp_path / "one", False), make_nih(tmp_path / "other")
    for row, name in enumerate(("00000001_001.png", "00000002_000.png", "00000003_000.png", "00000005_000.png")):
        save(other / "images" / name, texture(90 + row, 64, 64))
    text = f"cls=chestxray14:{one},size=64,seg=chestxray14:{other},size=64"
    for _ in range(2):  # found, and as it was kept
        data = open_collection(parse_data(text), "multi")
        assert data.patients.tolist() == [
            *("cls/1", "cls/1", "cls/2", "cls/3", "cls/4", "cls/5"),
            *("cls/1", "cls/1", "seg/2", "seg/3", "cls/4", "seg/5"),
        ]
    assert len(list(cache.glob("pictures-*.npy"))) == 1


def test_pictures_that_are_labelled_in_several_ways_are_named(tmp_path: Path) -> None:
    rows = [("00000001_000.png", "Mass", 1), ("00000002_000.png", "No Finding", 2), ("00000003_000.png", "Mass", 3)]
    root = make_nih(tmp_path / "nih", rows, boxes=())
    spec = parse_data(f"chestxray14:{root},size=64")
    shutil.copy(root / "images" / rows[0][0], root / "images" / rows[2][0])
    assert not any("labelled in several ways" in note for note in check(spec, "multi", tmp_path / "cache").notes)
    shutil.copy(root / "images" / rows[0][0], root / "images" / rows[1][0])
    (said,) = [note for note in check(spec, "multi", tmp_path / "cache").notes if "labelled in several ways" in note]
    assert said.startswith("1 picture labelled in several ways: '00000001_000.png' (patient 1) and '00000002_000.png'")
