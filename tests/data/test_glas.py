from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.data_layouts import GLAS_FOLDER, GLAS_ROWS, make_glas, save
from raysearch.data import ABSENT, PRESENT, UNKNOWN, Collection, DataSpec, make_split, open_collection
from raysearch.errors import DataError


def opened(path: Path, options: str = "") -> Collection:
    return open_collection(DataSpec.parse(f"glas:{path},size=78{options}"), "single")


def test_released_folder_or_its_parent(tmp_path: Path) -> None:
    parent = make_glas(tmp_path / "glas")
    data = opened(parent)
    assert opened(parent / GLAS_FOLDER).fingerprint == data.fingerprint
    assert data.images.shape == (7, 3, 78, 78)
    assert data.image_ids == tuple(f"{name}.bmp" for name, _, _ in GLAS_ROWS)
    assert data.patients.tolist() == ["4", "5", "5", "1", "2", "3", "6"]
    assert data.official.tolist() == ["test"] * 3 + ["train"] * 4


def test_region_is_the_union_of_the_glands_for_the_images_own_class(tmp_path: Path) -> None:
    data = opened(make_glas(tmp_path / "glas"))
    assert data.classes == ("benign", "malignant")
    assert data.labels[:2].tolist() == [[PRESENT, ABSENT], [ABSENT, PRESENT]]
    np.testing.assert_array_equal(data.truth, data.labels)
    expected = np.zeros((78, 78), np.uint8)
    expected[13:39, :39] = expected[39:65, 39:] = 1
    np.testing.assert_array_equal(data.mask(0, 0), expected)


def test_official_split_divides_published_train(tmp_path: Path) -> None:
    rows = [(f"train_{i}", i, "malignant" if i % 2 else "benign") for i in range(1, 11)]
    data = opened(make_glas(tmp_path / "glas", rows=[*rows, ("testA_1", 20, "benign"), ("testB_1", 21, "malignant")]))
    split = make_split(data, "official")
    assert [data.image_ids[row] for row in split.test] == ["testA_1.bmp", "testB_1.bmp"]
    assert len(split.tuning) == 2
    assert (data.labels[split.tuning] == PRESENT).sum(axis=0).tolist() == [1, 1]


def test_published_parts_that_share_patients_are_refused_unless_patients_are_ignored(tmp_path: Path) -> None:
    rows = [*GLAS_ROWS, ("train_5", 4, "benign"), ("train_6", 9, "malignant")]
    parent = make_glas(tmp_path / "glas", rows=rows)
    with pytest.raises(DataError, match=r"share 1 patients, '4' for one, .*patients=image"):
        make_split(opened(parent), "official")
    data = opened(parent, ",patients=image")
    assert len(make_split(data, "official").test) == 3
    assert any("scores are optimistic" in note for note in data.notes)


def test_wrong_grades_and_absent_masks_are_named(tmp_path: Path) -> None:
    parent = make_glas(tmp_path / "glas", rows=[*GLAS_ROWS, ("train_9", 9, "begnin")])
    (parent / GLAS_FOLDER / "train_1_anno.bmp").unlink()
    with pytest.raises(DataError) as error:
        opened(parent)
    assert "train_9: unknown grade 'begnin' in Grade.csv; did you mean 'benign'?" in str(error.value)
    assert "train_1: train_1_anno.bmp, its mask, is absent" in str(error.value)


def test_other_endings_and_two_files_of_one_name(tmp_path: Path) -> None:
    root = make_glas(tmp_path / "glas") / GLAS_FOLDER
    expected = opened(root)
    (root / "train_1.bmp").rename(root / "train_1.BMP")
    (root / "train_1_anno.bmp").rename(root / "train_1_anno.BMP")
    data = opened(root)
    assert (data.fingerprint, data.image_ids[3]) == (expected.fingerprint, "train_1.BMP")
    (root / "train_1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds both train_1.BMP and train_1.png; keep one of them"):
        opened(root)


def test_numbers_of_patients_in_two_spellings(tmp_path: Path) -> None:
    rows = [*GLAS_ROWS[:3], ("train_1", "4.0", "benign"), *GLAS_ROWS[4:]]
    data = opened(make_glas(tmp_path / "glas", rows=rows))
    assert data.patients.tolist() == ["4", "5", "5", "4", "2", "3", "6"]


def test_parts_are_told_by_names_and_what_is_left_out_is_said(tmp_path: Path) -> None:
    rows = [*GLAS_ROWS[:-1], ("tile_4", 6, "malignant")]
    parent = make_glas(tmp_path / "glas", rows)
    save(parent / GLAS_FOLDER / "train_9_anno.bmp", np.ones((52, 78), np.uint8))
    save(parent / GLAS_FOLDER / "._train_9_anno.bmp", np.ones((52, 78), np.uint8))
    data = opened(parent)
    assert data.official.tolist() == ["test"] * 3 + ["train"] * 3 + [""]
    parts = "1 images are in no published part, tile_4 for one; expected names such as train_1 and testA_1"
    assert {parts, "1 masks in the folder are of no image that Grade.csv lists and are left out"} <= set(data.notes)


def test_an_image_of_glands_without_any_is_unknown(tmp_path: Path) -> None:
    parent = make_glas(tmp_path / "glas")
    save(parent / GLAS_FOLDER / "testA_1_anno.bmp", np.zeros((52, 78), np.uint8))
    assert opened(parent).truth[0].tolist() == [UNKNOWN, ABSENT]
