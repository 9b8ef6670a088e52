from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from data.kind_layouts import make_flowers
from raysearch.data import ABSENT, PRESENT, UNKNOWN, Collection, DataSpec, View, check, open_collection
from raysearch.errors import DataError


def opened(root: Path, options: str = "", view: View = "single") -> Collection:
    return open_collection(DataSpec.parse(f"flowers102:{root},size=64{options}"), view)


def test_species_by_number_and_the_three_published_parts(tmp_path: Path) -> None:
    data = opened(make_flowers(tmp_path / "flowers-102"))
    assert data.fingerprint == opened(tmp_path).fingerprint == opened(tmp_path, view="multi").fingerprint
    assert data.images.shape == (4, 3, 64, 64)
    assert len(data.classes) == 102
    assert [data.classes[label] for label in data.labels.argmax(axis=1)] == [
        *("species-001", "species-001", "species-002", "species-102")
    ]
    assert data.official.tolist() == ["test", "valid", "test", "train"]
    np.testing.assert_array_equal(data.truth, np.where(data.labels == PRESENT, PRESENT, ABSENT))


def test_the_region_is_what_is_not_blue(tmp_path: Path) -> None:
    data = opened(make_flowers(tmp_path))
    expected = np.zeros((64, 64), np.uint8)
    expected[24:40, 16:48] = 1
    wrong = data.mask(3, 101) != expected
    edge = np.zeros((64, 64), bool)
    edge[22:42, 14:50] = True
    edge[26:38, 18:46] = False
    assert not (wrong & ~edge).any(), "JPEG blurs the edge by two pixels at most"
    assert data.mask(3, 101)[24:40, 16:48].all()


@pytest.mark.parametrize("colour", [(200, 40, 60), (240, 240, 235), (60, 50, 180)])
def test_ringing_of_jpeg_is_background_and_a_blue_flower_is_none(tmp_path: Path, colour: tuple[int, ...]) -> None:
    root = make_flowers(tmp_path)
    y, x = np.mgrid[:192, :256]
    flower = np.hypot(y - 90, x - 120) < 50 + 15 * np.cos(6 * np.arctan2(y - 90, x - 120))
    pixels = np.where(flower[..., None], colour, (0, 0, 254)).astype(np.uint8)
    Image.fromarray(pixels).save(root / "segmim" / "segmim_00001.jpg", quality=90)
    Image.fromarray(pixels).save(root / "jpg" / "image_00001.jpg")
    data = open_collection(DataSpec.parse(f"flowers102:{root},size=256"), "single")
    read = data.mask(0, 0)[32:224].astype(bool)
    assert (read & flower).sum() / (read | flower).sum() > 0.92


def test_what_is_absent_or_wrong_is_named(tmp_path: Path) -> None:
    root = make_flowers(tmp_path, labels=(1, 103, 2, 102))
    (root / "segmim" / "segmim_00003.jpg").unlink()
    (root / "jpg" / "image_00004.jpg").unlink()
    parts = {"trnid": [[4]], "valid": [[9]], "tstid": [[1, 3, 4]]}
    scipy.io.savemat(root / "setid.mat", {name: np.array(rows, np.uint16) for name, rows in parts.items()})
    problems = check(DataSpec.parse(f"flowers102:{root},size=16")).problems
    assert problems == (
        "image_00002.jpg: class 103 in imagelabels.mat; expected 1 to 102",
        "image 9: in valid of setid.mat, but not labelled",
        "image_00004.jpg: in two parts of setid.mat",
        "image_00003.jpg: segmim/segmim_00003.jpg, its mask, is absent",
        "image_00004.jpg: listed in imagelabels.mat but absent (get it, or set missing=skip)",
    )


def test_a_mask_of_background_alone_says_nothing_of_where_the_flower_is(tmp_path: Path) -> None:
    root = make_flowers(tmp_path)
    Image.new("RGB", (64, 48), (0, 0, 254)).save(root / "segmim" / "segmim_00002.jpg")
    data = opened(root)
    assert (data.truth == UNKNOWN).any(axis=1).tolist() == [name == "image_00002.jpg" for name in data.image_ids]
    assert "1 masks are empty though the image shows its object: these regions are unknown" in data.notes


@pytest.mark.parametrize(
    "content",
    [b"", b"no matlab file", b"MATLAB 5.0 MAT-file" + b"\xff" * 300, b"\x89HDF\r\n\x1a\n" + bytes(200), bytes(300_000)],
)
def test_files_that_are_no_matlab_files(tmp_path: Path, content: bytes) -> None:
    root = make_flowers(tmp_path)
    (root / "imagelabels.mat").write_bytes(content)
    with pytest.raises(
        DataError, match=r"table .*imagelabels.mat cannot be read \(.*\); get the original file"
    ) as error:
        opened(root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("array", [np.array([[0.5]]), np.array([["a"]]), np.zeros((0, 0)), np.array([[{}]], object)])
def test_arrays_that_are_no_labels(tmp_path: Path, array: np.ndarray) -> None:
    root = make_flowers(tmp_path)
    scipy.io.savemat(root / "imagelabels.mat", {"labels": array})
    with pytest.raises(DataError, match=r"cannot be read \('labels' is no array of whole numbers\)"):
        opened(root)
    scipy.io.savemat(root / "imagelabels.mat", {"other": np.ones(3)})
    with pytest.raises(DataError, match=r"cannot be read \(no 'labels'\)"):
        opened(root)


def test_nothing_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no image is left; image_00001.jpg: class 0 in imagelabels.mat"):
        opened(make_flowers(tmp_path, labels=(0, 0, 0, 0)))


def test_folders_that_are_absent(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no imagelabels.mat or jpg; name the folder of Oxford 102 flowers"):
        opened(tmp_path)
    root = make_flowers(tmp_path)
    (root / "segmim").rename(root / "elsewhere")
    with pytest.raises(DataError, match=r"mask folder .*segmim does not exist"):
        opened(root)


def test_other_endings_two_files_of_one_name_and_images_in_no_part(tmp_path: Path) -> None:
    root = make_flowers(tmp_path)
    expected = opened(root)
    (root / "jpg" / "image_00001.jpg").rename(root / "jpg" / "image_00001.JPG")
    (root / "segmim" / "segmim_00001.jpg").rename(root / "segmim" / "segmim_00001.jpeg")
    data = opened(root)
    assert (data.fingerprint, data.image_ids) == (expected.fingerprint, expected.image_ids)
    parts = {"trnid": [[4]], "valid": [[2]], "tstid": [[1]]}
    scipy.io.savemat(root / "setid.mat", {name: np.array(rows, np.uint16) for name, rows in parts.items()})
    assert "1 images are in no part of setid.mat: in no published part" in opened(root).notes
    (root / "jpg" / "image_00001.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"jpg holds both image_00001.JPG and image_00001.png; keep one of them"):
        opened(root)
