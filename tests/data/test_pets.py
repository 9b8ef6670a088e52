from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.data_layouts import save
from data.kind_layouts import PET_HEAD, make_pets
from raysearch.data import ABSENT, PRESENT, UNKNOWN, Collection, DataSpec, View, check, open_collection
from raysearch.errors import DataError


def opened(root: Path, options: str = "", view: View = "single") -> Collection:
    return open_collection(DataSpec.parse(f"pets:{root},size=60{options}"), view)


def test_the_folder_may_be_the_parent_of_one_release_whatever_its_name(tmp_path: Path) -> None:
    data = opened(make_pets(tmp_path / "mine"))
    (tmp_path / "other").mkdir()
    assert opened(tmp_path).fingerprint == data.fingerprint
    (tmp_path / "other" / "annotations").mkdir()
    with pytest.raises(DataError, match=r"holds mine, other, which may all be the folder of Oxford-IIIT Pet .*; name"):
        opened(tmp_path)


def test_breeds_and_species(tmp_path: Path) -> None:
    data = opened(make_pets(tmp_path))
    assert data.images.shape == (4, 3, 60, 60)
    assert data.classes == ("Abyssinian", "american_bulldog")
    assert data.labels.argmax(axis=1).tolist() == [0, 0, 1, 1]
    assert data.official.tolist() == ["train", "test", "train", "test"]
    assert len(np.unique(data.patients)) == 4
    species = opened(tmp_path, ",task=species", "multi")
    assert species.classes == ("cat", "dog")
    assert species.labels.argmax(axis=1).tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(species.truth, np.where(species.labels == PRESENT, PRESENT, ABSENT))


def test_the_border_of_a_trimap_is_the_pet_or_not(tmp_path: Path) -> None:
    make_pets(tmp_path)
    expected = np.zeros((60, 60), np.uint8)
    expected[20:40, 10:50] = 1
    np.testing.assert_array_equal(opened(tmp_path).mask(0, 0), expected)
    expected = np.zeros((60, 60), np.uint8)
    expected[25:35, 20:40] = 1
    np.testing.assert_array_equal(opened(tmp_path, ",border=background").mask(0, 0), expected)


def test_heads_are_boxes_where_they_were_drawn(tmp_path: Path) -> None:
    data = opened(make_pets(tmp_path), ",regions=heads")
    assert data.truth.tolist() == [[PRESENT, ABSENT], [UNKNOWN, ABSENT], [ABSENT, UNKNOWN], [ABSENT, UNKNOWN]]
    expected = np.zeros((60, 60), np.uint8)
    expected[20:30, 15:30] = 1  # pixels are counted from 1, and both ends belong to the box
    np.testing.assert_array_equal(data.mask(0, 0), expected)


HEAD = PET_HEAD.format(name="Abyssinian_100")
BOMB = '<!DOCTYPE a [<!ENTITY x "xxxx"><!ENTITY y "&x;&x;&x;">]>' + HEAD.replace("cat", "&y;")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (BOMB.encode(), "a document type or comment"),
        (BOMB.encode("utf-16"), "codec can't decode"),
        (HEAD.replace("cat", "&y;").encode(), "no XML (undefined entity"),
        (b"", "no XML (no element found"),
        (b"<annotation/>", "no box xmin, ymin, xmax, ymax inside its image"),
        (HEAD.replace("16", "31").encode(), "no box xmin, ymin, xmax, ymax inside its image"),
        (HEAD.replace(">30<", ">61<").encode(), "no box xmin, ymin, xmax, ymax inside its image"),
        (HEAD.replace(">20<", ">41<").encode(), "no box xmin, ymin, xmax, ymax inside its image"),
        (HEAD.replace("16", "inf").encode(), "xmin is inf"),
        (HEAD.replace("<xmin>16</xmin>", "").encode(), "could not convert string to float"),
        (b" " * 2_000_000, "oversized: more than 1,000,000 bytes"),
    ],
)
def test_xml_that_is_no_box_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    root = make_pets(tmp_path)
    (root / "annotations" / "xmls" / "Abyssinian_100.xml").write_bytes(content)
    problems = check(DataSpec.parse(f"pets:{root},size=16,regions=heads")).problems
    assert len(problems) == 1
    assert problems[0].startswith("Abyssinian_100: annotations/xmls/Abyssinian_100.xml: ")
    assert expected in problems[0]
    assert "\n" not in problems[0]


def test_a_head_outside_a_picture_whose_size_the_file_does_not_tell(tmp_path: Path) -> None:
    root = make_pets(tmp_path)
    text = HEAD.replace(">16<", ">516<").replace(">30<", ">530<")
    text = text[: text.index("<size>")] + text[text.index("<object>") :]
    (root / "annotations" / "xmls" / "Abyssinian_100.xml").write_text(text)
    with pytest.raises(DataError, match=r"Abyssinian_100.jpg: box \[515, 10, 15, 10\] is outside the image of 60x40"):
        opened(root, ",regions=heads")


def test_heads_that_are_not_there(tmp_path: Path) -> None:
    root = make_pets(tmp_path)
    expected = "3 images have no file in annotations/xmls/: where the head is is unknown"
    assert expected in opened(root, ",regions=heads").notes
    (root / "annotations" / "xmls").rename(root / "xmls")
    with pytest.raises(DataError, match=r"folder .*/annotations/xmls does not exist; get it, or set regions=trimaps"):
        opened(root, ",regions=heads")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0, 1, 2), "a value of 0; expected only 1, 2, 3"),
        ((1, 2, 255), "a value of 255; expected only 1, 2, 3"),
    ],
)
def test_trimaps_that_are_none(tmp_path: Path, values: tuple[int, ...], expected: str) -> None:
    root = make_pets(tmp_path)
    trimap = np.repeat(np.array(values, np.uint8), (20 * 60, 10 * 60, 10 * 60)).reshape(40, 60)
    save(root / "annotations" / "trimaps" / "Abyssinian_100.png", trimap)
    [problem] = check(DataSpec.parse(f"pets:{root},size=16")).problems
    assert problem.startswith(f"Abyssinian_100.jpg: mask trimaps/Abyssinian_100.png: {expected}")


def test_an_empty_trimap_says_nothing_of_where_the_pet_is(tmp_path: Path) -> None:
    root = make_pets(tmp_path)
    save(root / "annotations" / "trimaps" / "Abyssinian_100.png", np.full((40, 60), 2, np.uint8))
    data = opened(root)
    row = data.image_ids.index("Abyssinian_100.jpg")
    assert data.truth[row, data.labels[row] == PRESENT] == UNKNOWN
    assert "1 masks are empty though the image shows its object: these regions are unknown" in data.notes


def test_what_is_absent_or_wrong_is_named(tmp_path: Path) -> None:
    root = make_pets(tmp_path)
    with (root / "annotations" / "list.txt").open("a") as file:
        file.write("../../x_1 1 1 1\nBengal_1 6 3 2\nAbyssinian_100 1 1 1\n")
    with (root / "annotations" / "test.txt").open("a") as file:
        file.write("Birman_7 3 1 1\n")
    (root / "annotations" / "trimaps" / "Abyssinian_101.png").unlink()
    (root / "images" / "american_bulldog_1.jpg").unlink()
    problems = check(DataSpec.parse(f"pets:{root},size=16")).problems
    assert problems == (
        "../../x_1: no name of the form Abyssinian_100 in list.txt",
        "Bengal_1: species '3' in list.txt; expected 1 (cat) or 2 (dog)",
        "Abyssinian_100: stands more than once in list.txt",
        "Abyssinian_101: annotations/trimaps/Abyssinian_101.png, its mask, is absent",
        "Birman_7: in test.txt, but no image of list.txt",
        "american_bulldog_1: listed in list.txt but absent (get it, or set missing=skip)",
    )


def test_nothing_left(tmp_path: Path) -> None:
    root = make_pets(tmp_path)
    (root / "annotations" / "list.txt").write_text("Abyssinian_100 1 9 1\n")
    with pytest.raises(DataError, match=r"no image is left; Abyssinian_100: species '9' in list.txt"):
        opened(root)


def test_without_the_lists_there_is_no_official_split(tmp_path: Path) -> None:
    root = make_pets(tmp_path)
    (root / "annotations" / "test.txt").unlink()
    data = opened(root)
    assert set(data.official) == {""}
    assert "there is no official split" in data.notes[-1]
    with pytest.raises(DataError, match=r"holds no annotations; name the folder of Oxford-IIIT Pet"):
        opened(tmp_path / "images")


def test_other_endings_and_two_files_of_one_name(tmp_path: Path) -> None:
    root = make_pets(tmp_path)
    expected = opened(root).fingerprint
    (root / "images" / "Abyssinian_100.jpg").rename(root / "images" / "Abyssinian_100.JPG")
    trimap = root / "annotations" / "trimaps" / "Abyssinian_100.png"
    trimap.rename(trimap.with_suffix(".PNG"))
    (root / "images" / "Abyssinian_100.mat").write_bytes(b"of the release")
    data = opened(root)
    assert (data.fingerprint, data.image_ids[0]) == (expected, "Abyssinian_100.JPG")
    (root / "images" / "Abyssinian_100.png").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"images holds both Abyssinian_100.JPG and Abyssinian_100.png; keep one of them"
    ):
        opened(root)


def test_names_of_lists_with_a_folder_before_them(tmp_path: Path) -> None:
    root = make_pets(tmp_path)
    expected = opened(root).official.tolist()
    path = root / "annotations" / "test.txt"
    text = path.read_text()
    path.write_text("".join(f"images/{line}\n" for line in text.splitlines()))
    data = opened(root)
    assert data.official.tolist() == expected
    assert any("2 names of test.txt are not as the images are called: images/" in note for note in data.notes)
    path.write_text(text.splitlines()[0] + "\n")
    assert any("1 images of list.txt are in neither trainval.txt nor test.txt" in note for note in opened(root).notes)
    path.rename(path.with_name("tests.txt"))
    with pytest.raises(
        DataError, match=r"1 problem: test.txt is absent, but tests.txt is there: rename it if it is the"
    ):
        opened(root)


def test_heads_of_no_image_and_folders_that_are_spelt_otherwise(tmp_path: Path) -> None:
    root = make_pets(tmp_path)
    xmls = root / "annotations" / "xmls"
    (xmls / "Birman_7.xml").write_text(HEAD)
    assert "1 files of annotations/xmls/ belong to no image and are left out" in opened(root, ",regions=heads").notes
    shares = HEAD.replace(">16<", ">0.2<").replace(">11<", ">0.2<").replace(">30<", ">0.5<").replace(">20<", ">0.5<")
    (xmls / "Abyssinian_100.xml").write_text(shares)
    with pytest.raises(DataError, match=r"Abyssinian_100.xml: boxes as shares of the image; expected pixels"):
        opened(root, ",regions=heads")
    (root / "annotations" / "trimaps").rename(root / "annotations" / "trimap")
    with pytest.raises(DataError, match=r"mask folder .*/trimaps does not exist, but trimap does: rename it if it is"):
        opened(root)
