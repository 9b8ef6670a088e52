from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.data_layouts import save
from data.kind_layouts import make_montgomery
from raysearch.data import ABSENT, PRESENT, UNKNOWN, Collection, DataSpec, View, open_collection
from raysearch.errors import DataError


def opened(root: Path, options: str = "", view: View = "multi") -> Collection:
    return open_collection(DataSpec.parse(f"montgomery:{root},size=48{options}"), view)


@pytest.mark.parametrize("view", ["single", "multi"])
def test_lungs_are_the_union_of_both_masks(tmp_path: Path, view: View) -> None:
    parent = make_montgomery(tmp_path)
    data = opened(parent, view=view)
    assert data.fingerprint == opened(parent / "MontgomerySet", view=view).fingerprint
    assert data.classes == ("lungs",)
    assert data.image_ids == ("MCUCXR_0001_0.png", "MCUCXR_0002_0.png", "MCUCXR_0104_1.png")
    assert (data.truth == PRESENT).all()
    assert set(data.official) == {""}
    expected = np.zeros((48, 48), np.uint8)
    expected[4:24, 24:] = expected[4:24, :12] = 1
    np.testing.assert_array_equal(data.mask(2, 0), expected)


def test_the_last_digit_is_the_label(tmp_path: Path) -> None:
    data = opened(make_montgomery(tmp_path), ",task=normal-vs-abnormal", "single")
    assert data.classes == ("normal", "abnormal")
    assert data.labels.tolist() == [[1, 0], [1, 0], [0, 1]]
    assert data.truth.tolist() == [[UNKNOWN, ABSENT], [UNKNOWN, ABSENT], [UNKNOWN, UNKNOWN]]
    assert data.patients.tolist() == ["MCUCXR_0001_0", "MCUCXR_0002_0", "MCUCXR_0104_1"]


def test_masks_whose_image_is_gone_are_noted(tmp_path: Path) -> None:
    parent = make_montgomery(tmp_path)
    (parent / "MontgomerySet" / "CXR_png" / "MCUCXR_0002_0.png").unlink()
    assert "2 masks belong to no image of CXR_png and are left out" in opened(parent).notes


def test_files_of_one_stem_and_empty_lungs(tmp_path: Path) -> None:
    parent = make_montgomery(tmp_path)
    for name in ("leftMask", "rightMask"):
        save(parent / "MontgomerySet" / "ManualMask" / name / "MCUCXR_0001_0.png", np.zeros((40, 48), bool))
    assert "1 masks are empty though the image shows its object: these regions are unknown" in opened(parent).notes
    save(parent / "MontgomerySet" / "CXR_png" / "MCUCXR_0001_0.bmp", np.zeros((40, 48), np.uint8))
    with pytest.raises(DataError, match=r"CXR_png holds both MCUCXR_0001_0.bmp and MCUCXR_0001_0.png; keep one"):
        opened(parent)


def test_absent_and_other_masks_and_names(tmp_path: Path) -> None:
    parent = make_montgomery(tmp_path)
    root = parent / "MontgomerySet"
    save(root / "CXR_png" / "readme.png", np.zeros((9, 9), np.uint8))
    assert "1 images with other names than MCUCXR_0001_0.png are left out" in opened(parent).notes
    save(root / "ManualMask" / "leftMask" / "MCUCXR_0002_0.png", np.ones((40, 40), bool))
    with pytest.raises(DataError, match=r"mask leftMask/MCUCXR_0002_0.png: 40x40 does not fit the image of 48x40"):
        opened(parent)
    (root / "ManualMask" / "leftMask" / "MCUCXR_0002_0.png").unlink()
    with pytest.raises(DataError, match=r"MCUCXR_0002_0: ManualMask/leftMask/MCUCXR_0002_0.png is absent"):
        opened(parent)
    opened(parent, ",task=normal-vs-abnormal")
    (root / "ManualMask").rename(root / "elsewhere")
    with pytest.raises(DataError, match=r"mask folder .*/ManualMask does not exist; get it, or choose another task"):
        opened(parent)
    with pytest.raises(DataError, match=r"holds no CXR_png; name the folder of Montgomery County"):
        opened(tmp_path / "MontgomerySet" / "CXR_png")


def test_a_folder_of_masks_that_is_spelt_otherwise_is_named(tmp_path: Path) -> None:
    parent = make_montgomery(tmp_path)
    masks = parent / "MontgomerySet" / "ManualMask"
    (masks / "leftMask").rename(masks / "LeftMasks")
    with pytest.raises(
        DataError, match=r"mask folder .*/ManualMask/leftMask does not exist, but LeftMasks does: rename"
    ):
        opened(parent)


def test_where_the_lungs_are_is_unknown_where_one_mask_is_empty_and_other_files_are_noted(tmp_path: Path) -> None:
    root = make_montgomery(tmp_path) / "MontgomerySet"
    save(root / "ManualMask" / "leftMask" / "MCUCXR_0001_0.png", np.zeros((40, 48), bool))
    (root / "CXR_png" / "MCUCXR_0003_0.dcm").write_bytes(b"x")
    data = opened(root)
    assert data.truth[:, 0].tolist() == [UNKNOWN, PRESENT, PRESENT]
    assert "1 files beside the images are left out, MCUCXR_0003_0.dcm for one" in data.notes
