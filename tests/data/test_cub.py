from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.data_layouts import save
from data.kind_layouts import CUB_IMAGES, make_cub
from raysearch.data import ABSENT, PRESENT, Collection, DataSpec, View, check, open_collection
from raysearch.errors import DataError


def opened(root: Path, options: str = "", view: View = "single") -> Collection:
    return open_collection(DataSpec.parse(f"cub:{root},size=60{options}"), view)


def add(root: Path, table: str, line: str) -> None:
    with (root / "CUB_200_2011" / table).open("a") as file:
        file.write(line + "\n")


def test_species_and_published_parts(tmp_path: Path) -> None:
    parent = make_cub(tmp_path)
    data = opened(parent)
    assert data.fingerprint == opened(parent / "CUB_200_2011").fingerprint == opened(parent, view="multi").fingerprint
    assert data.images.shape == (4, 3, 60, 60)
    assert data.image_ids == tuple(f"{name}/{file}" for name, file, _ in CUB_IMAGES)
    assert len(data.classes) == 6
    assert data.labels.argmax(axis=1).tolist() == [0, 0, 1, 2]
    assert data.official.tolist() == ["train", "test", "train", "test"]
    assert len(np.unique(data.patients)) == 4
    np.testing.assert_array_equal(data.truth, np.where(data.labels == PRESENT, PRESENT, ABSENT))


@pytest.mark.parametrize("beside", [True, False])
def test_the_region_is_where_more_than_half_of_the_annotators_agree(tmp_path: Path, beside: bool) -> None:
    data = opened(make_cub(tmp_path, beside=beside))
    expected = np.zeros((60, 60), np.uint8)
    expected[10:50, :30] = 1  # 3 and 5 of 5; the upper right has 2
    np.testing.assert_array_equal(data.mask(2, 1), expected)


def test_segmentations_with_transparency_mean_the_same(tmp_path: Path) -> None:
    parent = make_cub(tmp_path)
    expected = opened(parent).fingerprint
    name, file, _ = CUB_IMAGES[0]
    gray = np.zeros((40, 60), np.uint8)
    gray[:20, :30], gray[:20, 30:], gray[20:, :30] = 153, 102, 255
    layers = np.stack([gray, np.full_like(gray, 255)], axis=2)
    save(parent / "segmentations" / name / file.replace(".jpg", ".png"), layers)
    assert opened(parent).fingerprint == expected


def test_boxes_are_in_pixels_of_the_image(tmp_path: Path) -> None:
    data = opened(make_cub(tmp_path), ",regions=boxes")
    expected = np.zeros((60, 60), np.uint8)
    expected[20:40, 15:45] = 1
    np.testing.assert_array_equal(data.mask(0, 0), expected)


def test_the_five_species_of_the_paper(tmp_path: Path) -> None:
    data = opened(make_cub(tmp_path), ",classes=5")
    assert data.classes == (
        *("019.Gray_Catbird", "099.Ovenbird", "108.White_necked_Raven", "171.Myrtle_Warbler"),
        "178.Swainson_Warbler",
    )
    assert [name.split("/")[0] for name in data.image_ids] == ["019.Gray_Catbird", "019.Gray_Catbird", "099.Ovenbird"]
    assert data.labels.argmax(axis=1).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("table", "line", "expected"),
    [
        ("images.txt", "5 ../../secret.jpg", "../../secret.jpg: leads out of images/"),
        ("images.txt", "5 /etc/passwd", "/etc/passwd: leads out of images/"),
        ("images.txt", "5 099.Ovenbird/x.jpg", "099.Ovenbird/x.jpg: no class or part in image_class_labels.txt"),
        ("images.txt", f"5 {CUB_IMAGES[0][0]}/{CUB_IMAGES[0][1]}", "stands more than once in images.txt"),
        ("images.txt", "1 099.Ovenbird/x.jpg", "1: stands more than once in images.txt"),
        ("image_class_labels.txt", "1 2", "1: stands more than once in image_class_labels.txt"),
        ("classes.txt", "1 other", "1: stands more than once in classes.txt"),
        ("classes.txt", "7 099.Ovenbird", "099.Ovenbird: stands more than once in classes.txt"),
        ("train_test_split.txt", "1 0", "1: stands more than once in train_test_split.txt"),
        ("bounding_boxes.txt", "1 0 0 5 9", "1: stands more than once in bounding_boxes.txt"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, table: str, line: str, expected: str) -> None:
    parent = make_cub(tmp_path)
    add(parent, table, line)
    problems = check(DataSpec.parse(f"cub:{parent},size=16,regions=boxes")).problems
    assert any(expected in problem for problem in problems), problems
    assert not any("\n" in problem for problem in problems)


@pytest.mark.parametrize(
    ("table", "line", "expected"),
    [
        ("train_test_split.txt", "1 7", "no class or part in train_test_split.txt"),
        ("bounding_boxes.txt", "1 0 0 -5 9", "no box x y width height in bounding_boxes.txt"),
        ("bounding_boxes.txt", "1 0 0 nan 9", "no box x y width height in bounding_boxes.txt"),
        ("bounding_boxes.txt", "1 500 500 30 20", "box [500, 500, 30, 20] is outside the image of 60x40"),
        ("bounding_boxes.txt", "1 5 -30 30 20", "box [5, -30, 30, 20] is outside the image of 60x40"),
        ("bounding_boxes.txt", "1 30 20 50 35", "box [30, 20, 50, 35] reaches beyond the image of 60x40, to 80 and 55"),
        ("bounding_boxes.txt", "1 -5 20 30 10", "box [-5, 20, 30, 10] reaches beyond the image of 60x40"),
        ("bounding_boxes.txt", "1 0.25 0.25 0.5 0.5", "box [0.25, 0.25, 0.5, 0.5] is smaller than a pixel; expected"),
    ],
)
def test_wrong_cells_are_named(tmp_path: Path, table: str, line: str, expected: str) -> None:
    parent = make_cub(tmp_path)
    path = parent / "CUB_200_2011" / table
    path.write_text("\n".join([line, *path.read_text().splitlines()[1:]]))
    [problem] = check(DataSpec.parse(f"cub:{parent},size=16,regions=boxes")).problems
    assert problem.startswith(f"{CUB_IMAGES[0][0]}/{CUB_IMAGES[0][1]}: {expected}")


def test_a_mask_of_zeros_and_ones_is_a_problem_and_no_absent_bird(tmp_path: Path) -> None:
    parent = make_cub(tmp_path)
    name, file, _ = CUB_IMAGES[0]
    mask = np.zeros((40, 60), np.uint8)
    mask[:20] = 1
    save(parent / "segmentations" / name / file.replace(".jpg", ".png"), mask)
    expected = r"1 problem: .*: mask 019.Gray_Catbird/Gray_Catbird_0001_1.png: values of 0 and 1 only; expected black"
    with pytest.raises(DataError, match=expected):
        opened(parent)
    (parent / "CUB_200_2011" / "images" / name / file).unlink()
    assert len(opened(parent, ",missing=skip")) == 3


def test_nothing_left(tmp_path: Path) -> None:
    parent = make_cub(tmp_path)
    (parent / "CUB_200_2011" / "images.txt").write_text("\n".join(f"{key} ../x{key}.jpg" for key in range(1, 5)))
    with pytest.raises(DataError, match=r"no image is left; ../x1.jpg: leads out of images/ \(the first of 4"):
        opened(parent)


def test_what_is_absent_is_named(tmp_path: Path) -> None:
    parent = make_cub(tmp_path)
    (parent / "segmentations" / "099.Ovenbird" / "Ovenbird_0001_4.png").unlink()
    with pytest.raises(DataError, match=r"segmentations/099.Ovenbird/Ovenbird_0001_4.png, its mask, is absent"):
        opened(parent)
    image = parent / "CUB_200_2011" / "images" / "099.Ovenbird" / "Ovenbird_0001_4.jpg"
    image.unlink()
    with pytest.raises(DataError, match=r"Ovenbird_0001_4.jpg: listed in images.txt but absent"):
        opened(parent)
    assert len(opened(parent, ",missing=skip")) == 3
    (parent / "segmentations").rename(parent / "elsewhere")
    with pytest.raises(DataError, match=r"mask folder .*segmentations does not exist; get it, or set regions=boxes"):
        opened(parent, ",missing=skip")


@pytest.mark.parametrize(
    ("content", "expected"), [("1 2 3\n", "has 3 cells, expected 2"), ("", "no rows"), ("\xff", "cannot")]
)
def test_tables_that_are_none(tmp_path: Path, content: str, expected: str) -> None:
    parent = make_cub(tmp_path)
    (parent / "CUB_200_2011" / "classes.txt").write_text(content, "latin-1")
    with pytest.raises(DataError, match=expected) as error:
        opened(parent)
    assert "\n" not in str(error.value)


def test_a_box_that_exceeds_by_rounding_is_clipped(tmp_path: Path) -> None:
    parent = make_cub(tmp_path)
    path = parent / "CUB_200_2011" / "bounding_boxes.txt"
    path.write_text("\n".join(["1 30 20 31 20", *path.read_text().splitlines()[1:]]))
    mask = opened(parent, ",regions=boxes").mask(0, 0)
    assert mask[30:50, 30:].all()
    assert mask.sum() == 20 * 30


def test_endings_in_other_case_or_after_a_conversion(tmp_path: Path) -> None:
    parent = make_cub(tmp_path)
    expected = opened(parent)
    folder, file, _ = CUB_IMAGES[0]
    image = parent / "CUB_200_2011" / "images" / folder / file
    image.rename(image.with_suffix(".JPG"))
    mask = (parent / "segmentations" / folder / file).with_suffix(".png")
    mask.rename(mask.with_suffix(".PNG"))
    data = opened(parent)
    assert (data.fingerprint, data.image_ids) == (expected.fingerprint, expected.image_ids)
    assert "1 images have other endings than in images.txt, Gray_Catbird_0001_1.JPG for Gray_Catbird_0001_1.jpg" in (
        data.notes
    )
    image.with_suffix(".png").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds .*_1.JPG and .*_1.png, and either may be .*_1.jpg; keep one of them"):
        opened(parent)


def test_one_file_is_not_two_listed_images(tmp_path: Path) -> None:
    parent = make_cub(tmp_path)
    folder, file, _ = CUB_IMAGES[0]
    add(parent, "images.txt", f"5 {folder}/{Path(file).with_suffix('.png')}")
    add(parent, "image_class_labels.txt", "5 1")
    add(parent, "train_test_split.txt", "5 1")
    with pytest.raises(DataError, match=r"_1.jpg may be both .*_1.jpg and .*_1.png; get the one that is absent"):
        opened(parent)


def test_numbers_that_are_no_images_are_noted(tmp_path: Path) -> None:
    parent = make_cub(tmp_path)
    add(parent, "train_test_split.txt", "77 1")
    add(parent, "bounding_boxes.txt", "78 1 1 9 9")
    notes = opened(parent, ",regions=boxes").notes
    assert "1 numbers of train_test_split.txt are no image's in images.txt" in notes
    assert "1 numbers of bounding_boxes.txt are no image's in images.txt" in notes


def test_a_misspelt_folder_of_masks_is_named(tmp_path: Path) -> None:
    parent = make_cub(tmp_path)
    (parent / "segmentations").rename(parent / "segmentation")
    with pytest.raises(DataError, match=r"segmentations does not exist, but segmentation does: rename it if it is the"):
        opened(parent)
