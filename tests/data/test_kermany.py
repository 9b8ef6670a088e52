from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data.kind_layouts import KERMANY_FILES, make_kermany
from raysearch.data import ABSENT, UNKNOWN, Collection, DataSpec, View, check, make_split, open_collection
from raysearch.errors import DataError


def opened(root: Path, view: View = "single") -> Collection:
    return open_collection(DataSpec.parse(f"kermany:{root},size=32"), view)


def patient(data: Collection, name: str) -> str:
    return str(data.patients[data.image_ids.index(name)])


def test_labels_and_parts_are_the_folders(tmp_path: Path) -> None:
    parent = make_kermany(tmp_path)
    data = opened(parent)
    assert data.fingerprint == opened(parent / "chest_xray").fingerprint
    assert sorted(data.image_ids) == sorted(KERMANY_FILES)
    for row, name in enumerate(data.image_ids):
        normal = "/NORMAL/" in name
        assert data.labels[row].tolist() == [int(normal), int(not normal)]
        assert data.truth[row].tolist() == [UNKNOWN, ABSENT if normal else UNKNOWN]
        assert data.official[row] == ("test" if name.startswith("test/") else "train")
    assert "the 2 images of val count as published train" in data.notes
    assert "patients are what the file names tell of them" in data.notes


def test_patients_are_read_from_names_within_a_part(tmp_path: Path) -> None:
    data = opened(make_kermany(tmp_path))
    assert patient(data, "train/PNEUMONIA/person1_bacteria_1.jpeg") == "train/person1"
    assert patient(data, "train/PNEUMONIA/person1_virus_6.jpeg") == "train/person1"
    assert patient(data, "test/PNEUMONIA/person1_virus_6.jpeg") == "test/person1", "numbered anew in test"
    assert patient(data, "val/PNEUMONIA/person1946_bacteria_4874.jpeg") == "train/person1946"
    assert patient(data, "train/NORMAL/IM-0115-0001.jpeg") == "train/IM-0115"
    assert patient(data, "train/NORMAL/NORMAL2-IM-0115-0001.jpeg") == "train/NORMAL2-IM-0115"
    assert patient(data, "train/NORMAL/IM-0119-0001-0002.jpeg") == "train/IM-0119"
    assert patient(data, "train/PNEUMONIA/BACTERIA-1008087-0001.jpeg") == "train/1008087"
    split = make_split(data, "official", needs_regions=False)
    assert sorted(data.image_ids[row] for row in split.test) == [
        "test/NORMAL/IM-0001-0001.jpeg",
        "test/PNEUMONIA/person1_virus_6.jpeg",
    ]


def test_names_that_tell_no_patient_are_noted(tmp_path: Path) -> None:
    data = opened(make_kermany(tmp_path, [*KERMANY_FILES, "train/NORMAL/scan.jpeg"]))
    assert patient(data, "train/NORMAL/scan.jpeg") == "train/scan"
    assert "1 file names tell no patient: each of these images is a patient of its own" in data.notes


def test_parts_and_classes_that_are_not_there_are_named(tmp_path: Path) -> None:
    parent = make_kermany(tmp_path)
    root = parent / "chest_xray"
    shutil.rmtree(root / "val")
    opened(parent)
    (root / "train" / "PNEUMONIA").rename(root / "train" / "Pneumonia")
    shutil.rmtree(root / "test")
    report = check(DataSpec.parse(f"kermany:{parent},size=16"))
    assert report.problems == (
        "train/PNEUMONIA: holds no image; get the original files again",
        "test/NORMAL: holds no image; get the original files again",
        "test/PNEUMONIA: holds no image; get the original files again",
    )
    assert "folders other than NORMAL and PNEUMONIA are left out: train/Pneumonia" in report.notes


def test_images_whose_names_differ_in_the_suffix_alone_are_two(tmp_path: Path) -> None:
    other = "train/PNEUMONIA/person1_virus_6.jpg"
    data = opened(make_kermany(tmp_path, [*KERMANY_FILES, other]))
    assert sorted(data.image_ids) == sorted([*KERMANY_FILES, other])
    assert patient(data, other) == "train/person1"
    assert (
        "1 images have another's name but for the ending, train/PNEUMONIA/person1_virus_6.jpeg and "
        "train/PNEUMONIA/person1_virus_6.jpg: they count as two"
    ) in data.notes


def test_a_name_in_both_classes_of_a_part_is_a_problem(tmp_path: Path) -> None:
    name = "person1_virus_6.jpeg"
    parent = make_kermany(tmp_path, [*KERMANY_FILES, f"train/NORMAL/{name}", f"val/NORMAL/{name}"])
    assert check(DataSpec.parse(f"kermany:{parent},size=16")).problems == tuple(
        f"{image}: an image of the same name is train/NORMAL/{name}; keep the one in the right folder"
        for image in (f"train/PNEUMONIA/{name}",)
    )


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = make_kermany(tmp_path)

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"folder .*/train/NORMAL cannot be read \(Permission denied\); check its perm"):
        opened(parent)


def test_folders_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no train; name the folder of Chest X-ray pneumonia"):
        opened(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"holds no image train/NORMAL/\*.jpeg"):
        opened(tmp_path)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    parent = make_kermany(tmp_path)
    (parent / "chest_xray" / KERMANY_FILES[0]).write_bytes(b"")
    with pytest.raises(DataError, match=r"1 problem: train/NORMAL/IM-0115-0001.jpeg: zero bytes"):
        opened(parent)


def test_a_part_that_is_spelt_otherwise_is_a_problem(tmp_path: Path) -> None:
    root = make_kermany(tmp_path) / "chest_xray"
    (root / "val").rename(root / "valid")
    with pytest.raises(DataError, match="folder valid holds images of these classes and is no part; expected train, v"):
        opened(root)


def test_what_lies_beside_the_images_is_noted(tmp_path: Path) -> None:
    folder = make_kermany(tmp_path) / "chest_xray" / "train" / "NORMAL"
    (folder / "Thumbs.db").write_bytes(b"")
    (folder / "more").mkdir()
    (folder / "IM-0115-0001.jpeg").rename(folder / "IM-0115-0001.webp")
    said = "2 files or folders beside the images are left out, train/NORMAL/IM-0115-0001.webp for one"
    assert said in opened(tmp_path).notes


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    """They would have to be recorded: in the split, in exports, in JSON."""
    root = make_kermany(tmp_path, [*KERMANY_FILES, "train/NORMAL/Bild \udcf6ffnen.jpeg"])
    with pytest.raises(DataError, match=r"the names of 1 image are not UTF-8, 'Bild .*ffnen.jpeg' for one; rename"):
        opened(root)
