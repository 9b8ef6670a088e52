from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.data_layouts import save, texture
from data.kind_layouts import JSRT_NODULES, make_jsrt
from raysearch.data import ABSENT, PRESENT, UNKNOWN, Collection, DataSpec, View, check, make_split, open_collection
from raysearch.errors import DataError


def opened(root: Path, options: str = "", view: View = "multi") -> Collection:
    return open_collection(DataSpec.parse(f"jsrt:{root},size=32{options}"), view)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_jsrt(tmp_path_factory.mktemp("released") / "jsrt")


def test_images_without_header_are_big_endian_12_bit_and_inverted(released: Path) -> None:
    data = opened(released)
    assert data.images.shape == (4, 1, 32, 32)
    assert data.image_ids == ("JPCLN001.IMG", "JPCLN002.IMG", "JPCNN001.IMG", "JPCNN002.IMG")
    assert not data.images[:, 0, :14].any(), "the highest value is black"
    assert data.images[:, 0, 31, 0].tolist() == [255, 255 - 62, 255 - 125, 255 - 187]


@pytest.mark.parametrize("view", ["single", "multi"])
def test_lungs_and_heart_are_scrs_masks(released: Path, view: View) -> None:
    data = opened(released, view=view)
    assert data.classes == ("lungs",)
    assert (data.labels == PRESENT).all()
    expected = np.zeros((32, 32), np.uint8)
    expected[16:, :8] = expected[16:, 16:] = 1
    for row in range(4):
        np.testing.assert_array_equal(data.mask(row, 0), expected)
    heart = opened(released, ",task=heart", view)
    expected = np.zeros((32, 32), np.uint8)
    expected[16:, 8:16] = 1
    np.testing.assert_array_equal(heart.mask(3, 0), expected)


def test_folds_are_the_published_parts(released: Path) -> None:
    data = opened(released)
    assert data.official.tolist() == ["train", "test", "train", "test"]
    assert len(np.unique(data.patients)) == 4
    split = make_split(data, "official")
    assert [data.image_ids[row] for row in split.test] == ["JPCLN002.IMG", "JPCNN002.IMG"]


def test_nodules_are_squares_of_their_size(released: Path) -> None:
    data = opened(released, ",task=nodule", "single")
    assert data.classes == ("normal", "nodule")
    assert data.labels.tolist() == [[0, 1], [0, 1], [1, 0], [1, 0]]
    assert data.truth.tolist() == [[UNKNOWN, PRESENT]] * 2 + [[UNKNOWN, ABSENT]] * 2
    expected = np.zeros((32, 32), np.uint8)
    expected[13:19, 13:19] = 1  # 70 mm are 400 pixels of 2048, 6.25 of 32
    np.testing.assert_array_equal(data.mask(1, 1), expected)
    row, column = np.argwhere(data.mask(0, 1)).mean(axis=0)
    assert (column, row) == pytest.approx((1634 / 64 - 0.5, 692 / 64 - 0.5), abs=0.5)


def test_pictures_of_the_same_names_in_a_plainer_folder(tmp_path: Path) -> None:
    for stem in ("JPCLN001", "JPCNN001"):
        save(tmp_path / "jsrt" / f"{stem}.png", texture(0, 64, 64))
    save(tmp_path / "jsrt" / "other.png", texture(0, 64, 64))
    for structure in ("left lung", "right lung"):
        save(tmp_path / "jsrt" / "fold1" / "masks" / structure / "JPCLN001.gif", np.full((32, 32), 255, np.uint8))
    data = opened(tmp_path / "jsrt")
    assert data.image_ids == ("JPCLN001.png", "JPCNN001.png")
    np.testing.assert_array_equal(data.truth, [[PRESENT], [UNKNOWN]])
    assert data.official.tolist() == ["train", ""]
    assert "1 images have no mask of lungs: their region is unknown" in data.notes
    assert any("CLNDAT_EN.txt is absent" in note for note in opened(tmp_path / "jsrt", ",task=nodule").notes)


def test_a_gif_whose_palette_begins_with_white_is_still_read_by_its_colours(tmp_path: Path) -> None:
    save(tmp_path / "JPCLN001.png", texture(0, 32, 32))
    indices = np.zeros((32, 32), np.uint8)
    indices[:16] = 1
    image = Image.fromarray(indices, "P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    for structure in ("left lung", "right lung"):
        path = tmp_path / "fold1" / "masks" / structure / "JPCLN001.gif"
        path.parent.mkdir(parents=True)
        image.save(path)
    np.testing.assert_array_equal(opened(tmp_path).mask(0, 0), (indices == 0))


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    root = make_jsrt(tmp_path / "jsrt", nodules=(*JSRT_NODULES[:1], "JPCLN002.IMG\t5\t?\t78\tFemale\t9\t9"))
    (root / "scratch" / "fold1" / "masks" / "left lung" / "JPCNN001.gif").unlink()
    save(root / "scratch" / "fold2" / "masks" / "left lung" / "JPCNN002.gif", np.zeros((512, 1024), np.uint8))
    (root / "All247images" / "JPCLN001.IMG").write_bytes(b"\0" * 9)
    np.full((2048, 2048), 5000, ">u2").tofile(root / "All247images" / "JPCLN002.IMG")
    problems = check(DataSpec.parse(f"jsrt:{root},size=32")).problems
    assert sorted(problems) == [
        "JPCLN001.IMG: 9 bytes, expected 8,388,608 for JSRT's 2048x2048 pixels",
        "JPCLN002.IMG: a value of 5000, expected at most 4095",
        "JPCNN001: fold1/masks/left lung/JPCNN001.gif, its mask, is absent",
        "JPCNN002.IMG: mask left lung/JPCNN002.gif: 1024x512 does not fit the image of 2048x2048; "
        "expected the same size or an exact rescale",
    ]
    nodules = check(DataSpec.parse(f"jsrt:{root},size=32,task=nodule")).problems
    assert "JPCLN002: no size, x and y in cells 3, 6 and 7 of CLNDAT_EN.txt, or not inside the image" in nodules


def plain(root: Path, stems: Sequence[str] = ("JPCLN001", "JPCLN002", "JPCNN001")) -> Path:
    for stem in stems:
        save(root / f"{stem}.png", texture(0, 32, 32))
    return root


def lungs(root: Path, fold: str, stem: str, value: int = 255) -> None:
    for structure in ("left lung", "right lung"):
        save(root / fold / "masks" / structure / f"{stem}.gif", np.full((32, 32), value, np.uint8))


def test_folds_of_scr(tmp_path: Path) -> None:
    scr = plain(tmp_path) / "scr"
    lungs(scr, "fold2", "JPCLN002")
    data = opened(tmp_path)
    assert data.truth[:, 0].tolist() == [UNKNOWN, PRESENT, UNKNOWN], "fold2 is found without fold1"
    assert data.official.tolist() == ["", "test", ""]
    lungs(scr, "fold1", "JPCLN077")
    assert "masks of 1 images that are not there are left out" in opened(tmp_path).notes
    lungs(scr, "fold1", "JPCLN002")
    with pytest.raises(DataError, match=r"1 problem: JPCLN002: masks in both fold1 and fold2; keep one fold's"):
        opened(tmp_path)


def test_structures_without_any_mask_are_refused_and_nodules_need_none(tmp_path: Path) -> None:
    plain(tmp_path)
    for task in ("lungs", "heart"):
        with pytest.raises(DataError, match=rf"no image has a mask of {task}; put SCR's fold1/masks"):
            check(DataSpec.parse(f"jsrt:{tmp_path},size=32,task={task}"))
    assert check(DataSpec.parse(f"jsrt:{tmp_path},size=32,task=nodule")).ok


def test_masks_of_zeros_and_ones_are_a_problem_and_no_absent_lungs(tmp_path: Path) -> None:
    lungs(plain(tmp_path), "fold1", "JPCLN001", value=1)
    with pytest.raises(DataError, match=r"mask left lung/JPCLN001.gif: values of 0 and 1 only"):
        opened(tmp_path)


def test_rows_of_the_table_of_nodules(tmp_path: Path) -> None:
    table = plain(tmp_path) / "CLNDAT_EN.txt"
    spec = DataSpec.parse(f"jsrt:{tmp_path},size=32,task=nodule")
    table.write_text("\n".join([*JSRT_NODULES, JSRT_NODULES[0].replace("001", "099")]), "utf-8-sig")
    report = check(spec)
    assert report.ok
    assert report.classes[1].present == 2
    assert "1 rows of CLNDAT_EN.txt are of images that are not there" in report.notes
    rows = (JSRT_NODULES[0], JSRT_NODULES[0].replace("1634", "100"), JSRT_NODULES[1].replace("JPCLN002", "JPCNN001"))
    table.write_text("\n".join(rows))
    assert check(spec).problems == (
        "JPCLN001: stands more than once in CLNDAT_EN.txt",
        "JPCNN001: has a row in CLNDAT_EN.txt, which is of images with a nodule: JPCLN001 and so on",
        "JPCLN002: no row in CLNDAT_EN.txt",
    )
    table.write_text("")
    with pytest.raises(DataError, match=r"table .*CLNDAT_EN.txt has no rows; get the original file again"):
        check(spec)


def test_the_folder_may_be_the_parent_of_one_release(tmp_path: Path) -> None:
    lungs(plain(tmp_path / "data" / "jsrt"), "fold1", "JPCLN001")
    (tmp_path / "data" / "other").mkdir()
    assert opened(tmp_path / "data").fingerprint == opened(tmp_path / "data" / "jsrt").fingerprint
    plain(tmp_path / "data" / "other")
    with pytest.raises(DataError, match=r"data holds jsrt, other, which may all be the folder of JSRT.*; name one of"):
        opened(tmp_path / "data")


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no image All247images/JPCLN001.IMG; name the folder of JSRT"):
        opened(tmp_path)


def test_images_in_two_places_are_told(tmp_path: Path) -> None:
    root = plain(tmp_path / "jsrt")
    lungs(root, "fold1", "JPCLN001")
    assert not any("there are also" in note for note in opened(root).notes)
    (root / "images").mkdir()
    for path in list(root.glob("*.png")):
        path.rename(root / "images" / path.name)
    save(root / "images" / "JPCLN001.bmp", np.zeros((64, 64), np.uint8))
    with pytest.raises(DataError, match=r"images holds both JPCLN001.bmp and JPCLN001.png; keep one of them"):
        opened(root)
    (root / "images" / "JPCLN001.bmp").rename(root / "JPCLN001.bmp")
    assert "images are read from images/, JPCLN001.png for one; there are also pictures in jsrt/" in opened(root).notes


def test_folders_and_tables_that_are_spelt_otherwise(tmp_path: Path) -> None:
    root = plain(tmp_path / "jsrt")
    lungs(root, "fold1", "JPCLN001")
    masks = root / "fold1" / "masks"
    (masks / "left lung").rename(masks / "left_lung")
    expected = (
        r"1 problem: folder fold1/masks/left lung does not exist, but left_lung does: rename it if it is the same"
    )
    with pytest.raises(DataError, match=expected):
        opened(root)
    (root / "clndat_en.txt").write_text("")
    expected = r"1 problem: CLNDAT_EN.txt is absent, but clndat_en.txt is there: rename it if it is the same"
    with pytest.raises(DataError, match=expected):
        opened(root, ",task=nodule")


def test_the_square_of_a_nodule_at_the_border_ends_there(tmp_path: Path) -> None:
    root = plain(tmp_path / "jsrt", stems=("JPCLN001",))
    (root / "CLNDAT_EN.txt").write_text("JPCLN001\t5\t70\t53\tFemale\t0\t2047\n")
    mask = opened(root, ",task=nodule").mask(0, 1)
    assert mask[-3:, :3].all()
    assert mask.sum() == 9


def small(root: Path, side: tuple[int, int] = (64, 64), nodules: Sequence[str] = JSRT_NODULES) -> Path:
    """The release with images of another size, without a fold's mask."""
    make_jsrt(root, nodules=nodules)
    for path in (root / "All247images").iterdir():
        save(path.with_suffix(".png"), texture(len(path.name), *side[::-1]))
        path.unlink()
    return root


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("fold1", "Fold1", "folder fold1 does not exist, but Fold1 does: rename it"),
        ("fold2/masks", "fold2/mask", "folder fold2/masks does not exist, but mask does: rename it"),
    ],
)
def test_folders_of_masks_that_are_spelt_otherwise_are_problems(tmp_path: Path, old: str, new: str, said: str) -> None:
    root = small(tmp_path / "jsrt")
    (root / "scratch" / old).rename(root / "scratch" / new)
    with pytest.raises(DataError, match=said):
        opened(root)


def test_nodules_in_other_ways_than_the_release_has_them(tmp_path: Path) -> None:
    shares = small(tmp_path / "shares", nodules=[JSRT_NODULES[0].replace("1634\t692", "0.8\t0.3"), JSRT_NODULES[1]])
    with pytest.raises(DataError, match="JPCLN001: no size, x and y in cells 3, 6 and 7"):
        opened(shares, ",task=nodule")
    with pytest.raises(DataError, match="boxes are of an image of 2048x2048, the image is 64x48, of another shape"):
        opened(small(tmp_path / "cropped", (64, 48)), ",task=nodule")
    rows = [row.replace("\t70\t", "\t1\t").replace("1024\t1024", "32\t32") for row in JSRT_NODULES]
    scaled = [rows[0].replace("\t15\t", "\t1\t").replace("1634\t692", "51\t21"), rows[1]]
    notes = opened(small(tmp_path / "scaled", nodules=scaled), ",task=nodule").notes
    assert any(note.startswith("no nodule of CLNDAT_EN.txt reaches beyond its image") for note in notes)
    plain = small(tmp_path / "plain")
    assert not any("no nodule" in note for note in opened(plain, ",task=nodule").notes)
    table = plain / "Clinical_Information" / "CLNDAT_EN.txt"
    table.write_bytes(table.read_text().encode("utf-16"))
    with pytest.raises(DataError, match=r"cannot be read \(UTF-16\); get the original file again"):
        opened(plain, ",task=nodule")
