from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.data_layouts import COVID_ROWS, make_covid, save
from raysearch.data import ABSENT, PRESENT, UNKNOWN, Collection, DataSpec, View, open_collection
from raysearch.errors import DataError

IMAGES = [name for _, _, modality, name in COVID_ROWS if modality == "X-ray"]


def opened(root: Path, options: str = "", view: View = "single") -> Collection:
    return open_collection(DataSpec.parse(f"covid_chestxray:{root},size=60{options}"), view)


def by_image(collection: Collection, values: np.ndarray) -> dict[str, list[int]]:
    return dict(zip([name[0] for name in collection.image_ids], values.tolist(), strict=True))


def test_single_view_is_covid_against_every_other_named_finding(tmp_path: Path) -> None:
    data = opened(make_covid(tmp_path / "covid"))
    assert data.classes == ("covid-19", "other")
    assert list(data.image_ids) == IMAGES
    assert data.images.shape == (7, 1, 60, 60)
    assert data.patients.tolist() == ["1", "1", "2", "3", "4", "6", "7"]
    assert by_image(data, data.labels) == {
        "a": [PRESENT, ABSENT],
        "b": [PRESENT, ABSENT],
        "c": [ABSENT, PRESENT],
        "d": [UNKNOWN, UNKNOWN],
        "e": [ABSENT, PRESENT],
        "g": [UNKNOWN, UNKNOWN],
        "h": [PRESENT, ABSENT],
    }
    assert "1 rows of other modalities than X-ray are left out: CT" in data.notes


def rewritten(root: Path, old: str, new: str) -> Path:
    path = root / "metadata.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return root


@pytest.mark.parametrize(
    "finding", ["Covid-19", "COVID19", "COVID 19", "covid-19 pneumonia", '"ARDS, COVID-19"', "COVID"]
)
def test_covid_is_that_however_it_is_written(tmp_path: Path, finding: str) -> None:
    data = opened(rewritten(make_covid(tmp_path / "covid"), "Streptococcus", finding))
    assert by_image(data, data.labels)["e"] == [PRESENT, ABSENT]


@pytest.mark.parametrize("finding", ["SARS-CoV-2", "suspected COVID", "COVID-195"])
def test_a_finding_that_may_be_covid_is_refused(tmp_path: Path, finding: str) -> None:
    root = rewritten(make_covid(tmp_path / "covid"), "Streptococcus", finding)
    with pytest.raises(DataError, match=rf"e.jpeg: the finding '{finding.lower()}' in metadata.csv, which may be"):
        opened(root)


@pytest.mark.parametrize("nothing", ["nan", "N/A", "None", ""])
def test_cells_that_say_nothing_are_no_finding_of_their_own(tmp_path: Path, nothing: str) -> None:
    data = opened(rewritten(make_covid(tmp_path / "covid"), "todo", nothing))
    assert by_image(data, data.labels)["d"] == [UNKNOWN, UNKNOWN]


def test_no_finding_has_no_lesion_however_it_is_written(tmp_path: Path) -> None:
    data = opened(rewritten(make_covid(tmp_path / "covid"), "No Finding", "no finding"), ",task=lesions", "multi")
    assert by_image(data, data.truth)["c"] == [ABSENT] * 4


@pytest.mark.parametrize("name", ["../metadata.csv", "", ".", "images/a.jpg"])
def test_a_file_name_that_is_none_of_the_folder(tmp_path: Path, name: str) -> None:
    root = rewritten(make_covid(tmp_path / "covid"), "a.jpg", name)
    with pytest.raises(DataError, match=f"patient 1: the file name '{name}' in metadata.csv, expected that of an"):
        opened(root)


def test_names_are_the_same_with_composed_letters_and_with_others(tmp_path: Path) -> None:
    root = rewritten(make_covid(tmp_path / "covid"), "b.png", "b\u00e9.png")
    for folder in ("images", "semantic_masks_v7labs_lungs"):
        (root / folder / "b.png").rename(root / folder / "be\u0301.png")
    assert by_image(data := opened(root), data.truth)["b"] == [PRESENT, UNKNOWN]


def test_other_spellings_of_x_ray_are_used_and_other_modalities_named(tmp_path: Path) -> None:
    root = rewritten(make_covid(tmp_path / "covid"), "todo,PA,X-ray", "todo,PA,X ray")
    data = opened(rewritten(root, "Unknown,PA,X-ray", "Unknown,PA,CXR"))
    assert [name[0] for name in data.image_ids] == list("abcdeh")
    assert "2 rows of other modalities than X-ray are left out: CT, CXR" in data.notes


@pytest.mark.parametrize(
    ("folder", "options"),
    [("semantic_masks_v7labs_lungs", ""), ("segmentations/consolidation", ",task=lesions")],
)
def test_masks_of_which_none_is_of_an_image_are_a_problem(tmp_path: Path, folder: str, options: str) -> None:
    root = make_covid(tmp_path / "covid")
    for path in (root / folder).iterdir():
        path.rename(path.with_name(f"mask_{path.name}"))
    with pytest.raises(DataError, match=rf"all \d masks in {folder} belong to no image of metadata.csv, mask_a"):
        opened(root, options)


@pytest.mark.parametrize(
    ("mask", "options"),
    [("semantic_masks_v7labs_lungs/a.jpg", ""), ("segmentations/left_lung/a.png", ",masks=segmentations")],
)
def test_where_a_lung_is_is_unknown_where_its_mask_is_empty(tmp_path: Path, mask: str, options: str) -> None:
    root = make_covid(tmp_path / "covid")
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(root / mask, format="PNG")
    data = opened(root, options)
    assert by_image(data, data.truth)["a"] == [UNKNOWN, UNKNOWN]
    assert "1 masks are empty though the image shows its object: these regions are unknown" in data.notes


def test_lungs_come_from_one_source_of_masks(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    v7labs, segmentations = opened(root), opened(root, ",masks=segmentations")
    own = [PRESENT, UNKNOWN]
    none = [UNKNOWN, UNKNOWN]
    assert by_image(v7labs, v7labs.truth) == {"a": own, "b": own, **dict.fromkeys("cdegh", none)}
    assert by_image(segmentations, segmentations.truth) == {"a": own, "e": own[::-1], **dict.fromkeys("bcdgh", none)}
    upper = np.zeros((60, 60), np.uint8)
    upper[10:30] = 1
    np.testing.assert_array_equal(v7labs.mask(0, 0), upper)
    sides = np.zeros((60, 60), np.uint8)
    sides[10:50, :20] = sides[10:50, 40:] = 1
    np.testing.assert_array_equal(segmentations.mask(0, 0), sides)


def test_lungs_in_the_multi_view_are_one_structure_that_every_image_has(tmp_path: Path) -> None:
    data = opened(make_covid(tmp_path / "covid"), view="multi")
    assert data.classes == ("lungs",)
    assert (data.labels == PRESENT).all()
    known = {name for name, [truth] in by_image(data, data.truth).items() if truth == PRESENT}
    assert known == {"a", "b", "g"}


def test_lesions_in_the_single_view_are_united(tmp_path: Path) -> None:
    data = opened(make_covid(tmp_path / "covid"), ",task=lesions")
    assert by_image(data, data.truth) == {
        "a": [PRESENT, UNKNOWN],
        "c": [ABSENT, ABSENT],  # No Finding
        "e": [UNKNOWN, ABSENT],  # annotated, without a lesion
        **{name: [UNKNOWN, UNKNOWN] for name in "bdgh"},
    }
    left = np.zeros((60, 60), np.uint8)
    left[10:50, :30] = 1
    np.testing.assert_array_equal(data.mask(0, 0), left)


def test_lesions_in_the_multi_view_are_known_where_annotated(tmp_path: Path) -> None:
    data = opened(make_covid(tmp_path / "covid"), ",task=lesions", "multi")
    assert data.classes == ("consolidation", "ground_glass_opacities", "pleural_effusion", "pneumothorax")
    none = [ABSENT] * 4
    expected = {
        "a": [PRESENT, PRESENT, ABSENT, ABSENT],
        "c": none,
        "e": none,
        **{name: [UNKNOWN] * 4 for name in "bdgh"},
    }
    assert by_image(data, data.labels) == expected
    assert by_image(data, data.truth) == expected
    assert data.masks.shape == (2, 60, 60)


def test_an_empty_mask_means_absent(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    save(root / "segmentations" / "pneumothorax" / "a.png", np.zeros((40, 60), np.uint8))
    data = opened(root, ",task=lesions", "multi")
    assert data.truth[0].tolist() == [PRESENT, PRESENT, ABSENT, ABSENT]
    assert "1 masks are empty: these regions are absent" in data.notes


def test_a_mask_of_another_shape_is_a_problem_and_one_without_image_a_note(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    save(root / "semantic_masks_v7labs_lungs" / "z.png", np.ones((40, 60), np.uint8))
    line = "1 masks in semantic_masks_v7labs_lungs belong to no image of metadata.csv and are left out"
    assert line in opened(root).notes
    save(root / "semantic_masks_v7labs_lungs" / "b.png", np.ones((40, 40), np.uint8))
    expected = r"1 problem: b.png: mask semantic_masks_v7labs_lungs/b.png: 40x40 does not fit the image of 60x40"
    with pytest.raises(DataError, match=expected):
        opened(root)


def test_a_mask_folder_that_is_not_there(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    (root / "segmentations").rename(root / "elsewhere")
    opened(root)
    with pytest.raises(DataError, match=r"mask folder .*/segmentations does not exist"):
        opened(root, ",task=lesions")


@pytest.mark.parametrize("folder", ["images", "semantic_masks_v7labs_lungs"])
def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    root, listed = make_covid(tmp_path / "covid"), Path.iterdir

    def refuse(path: Path) -> Iterator[Path]:
        if path.name == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=rf"folder .*/{folder} cannot be read \(Permission denied\); check its perm"):
        opened(root)


def test_absent_images(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    (root / "images" / "c.png").unlink()
    with pytest.raises(DataError, match=r"c.png: listed in metadata.csv but absent"):
        opened(root)
    data = opened(root, ",missing=skip,task=lesions", "multi")
    assert by_image(data, data.truth)["e"] == [ABSENT] * 4


def test_a_lesion_without_a_folder_is_unknown(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    (root / "segmentations" / "pneumothorax").rmdir()
    data = opened(root, ",task=lesions", "multi")
    assert by_image(data, data.truth)["e"] == [ABSENT, ABSENT, ABSENT, UNKNOWN]
    assert by_image(data, data.labels)["a"] == [PRESENT, PRESENT, ABSENT, UNKNOWN]
    assert by_image(data, data.truth)["c"] == [ABSENT] * 4, "No Finding"
    assert any("segmentations/pneumothorax does not exist: pneumothorax is unknown" in note for note in data.notes)
    single = opened(root, ",task=lesions")
    assert (single.truth[1:2] == UNKNOWN).all()
    assert by_image(single, single.truth) == {name: [ABSENT if name == "c" else UNKNOWN] * 2 for name in "abcdegh"}


def test_a_mask_of_no_image_may_be_that_of_one_without(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    before = by_image(opened(root, ",task=lesions", "multi"), opened(root, ",task=lesions", "multi").truth)
    save(root / "segmentations" / "consolidation" / "nobody.png", np.zeros((40, 60), np.uint8))
    data = opened(root, ",task=lesions", "multi")
    after = by_image(data, data.truth)
    for name, pairs in after.items():
        expected = UNKNOWN if before[name][0] == ABSENT and name != "c" else before[name][0]
        assert pairs == [expected, *before[name][1:]], name
    assert any("consolidation is unknown: a mask of no image may be theirs" in note for note in data.notes)


@pytest.mark.parametrize(
    ("folder", "spelt", "task"),
    [
        ("consolidation", "Consolidation", "lesions"),
        ("ground_glass_opacities", "ground_glass_opacity", "lesions"),
        ("left_lung", "left_lungs", "lungs,masks=segmentations"),
    ],
)
def test_a_folder_that_is_spelt_otherwise_is_a_problem(tmp_path: Path, folder: str, spelt: str, task: str) -> None:
    root = make_covid(tmp_path / "covid")
    (root / "segmentations" / folder).rename(root / "segmentations" / spelt)
    expected = f"1 problem: folder segmentations/{folder} does not exist, but {spelt} does: rename it if it is the same"
    with pytest.raises(DataError, match=expected):
        opened(root, f",task={task}", "multi")
    (root / "segmentations").rename(root / "segmentation")
    with pytest.raises(
        DataError, match=r"mask folder .*/segmentations does not exist; did you mean segmentation\? Ren"
    ):
        opened(root, f",task={task}", "multi")


def test_the_mask_of_one_lung_alone_says_nothing_of_both(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    (root / "segmentations" / "left_lung" / "e.png").unlink()
    data = opened(root, ",masks=segmentations", "multi")
    assert {name for name, [truth] in by_image(data, data.truth).items() if truth == PRESENT} == {"a"}
    assert "1 images have a mask of one lung alone: where their lungs are is unknown" in data.notes


def test_masks_of_two_images_of_one_stem_are_problems(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    table = root / "metadata.csv"
    table.write_text(table.read_text() + "\n9,0,M,50,COVID-19,PA,X-ray,images,a.png,http://x,")
    save(root / "images" / "a.png", np.zeros((40, 60), np.uint8))
    expected = r"consolidation/a.png: may be the mask of a.jpg or a.png; rename image and mask"
    with pytest.raises(DataError, match=expected):
        opened(root, ",task=lesions")
    data = opened(root)  # these masks have the names of their images, endings included
    assert data.truth[[0, -1], 0].tolist() == [PRESENT, UNKNOWN]


def test_endings_in_other_case_or_after_a_conversion(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    expected = opened(root).fingerprint
    (root / "images" / "b.png").rename(root / "images" / "b.PNG")
    (root / "images" / "a.jpg").rename(root / "images" / "a.jpeg")
    data = opened(root)
    assert (data.fingerprint, list(data.image_ids)) == (expected, IMAGES)
    assert "2 images have other endings than in metadata.csv, a.jpeg for a.jpg" in data.notes
    save(root / "images" / "a.png", np.zeros((40, 60), np.uint8))
    with pytest.raises(DataError, match=r"images holds a.jpeg and a.png, and either may be a.jpg; keep one of them"):
        opened(root)


def test_numbers_of_patients_in_several_spellings_are_one_patient(tmp_path: Path) -> None:
    root = make_covid(tmp_path / "covid")
    table = root / "metadata.csv"
    table.write_text(
        table.read_text().replace(
            "1,0,M,50,COVID-19,PA,X-ray,images,a.jpg", "01.0,0,M,50,COVID-19,PA,X-ray,images,a.jpg"
        )
    )
    data = opened(root)
    assert data.patients.tolist() == ["1", "1", "2", "3", "4", "6", "7"]
    assert any("several ways, 01.0 and 1 for one: 1 such" in note for note in data.notes)
