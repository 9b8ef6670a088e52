from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.data_layouts import save, texture
from data.kind_layouts import CHEXPERT_TRAIN, CHEXPERT_VALID, chexpert_mask, make_chexpert, write_json
from raysearch.data import ABSENT, PRESENT, UNKNOWN, Collection, DataSpec, View, check, make_split, open_collection
from raysearch.data._split_checks import refuse_unusable
from raysearch.data.kinds import get_kind
from raysearch.data.kinds._chexlocalize import read_annotations
from raysearch.errors import DataError

HEART = "valid/patient64541/study1/view1_frontal.jpg"
NORMAL = "valid/patient64542/study1/view1_frontal.jpg"
EDEMA = "test/patient64741/study1/view1_frontal.jpg"


def opened(root: Path, options: str = "", view: View = "multi") -> Collection:
    return open_collection(DataSpec.parse(f"chexpert:{root},size=80{options}"), view)


def pair(data: Collection, image: str, name: str) -> tuple[int, int]:
    row, label = data.image_ids.index(image), data.classes.index(name)
    return int(data.labels[row, label]), int(data.truth[row, label])


def test_findings_in_the_order_of_the_paper(tmp_path: Path) -> None:
    data = opened(make_chexpert(tmp_path))
    assert data.classes == (
        *("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Lesion", "Airspace Opacity", "Edema", "Consolidation"),
        *("Atelectasis", "Pneumothorax", "Pleural Effusion", "Support Devices"),
    )
    assert len(data) == 7
    assert data.official.tolist() == ["train"] * 4 + ["valid"] * 2 + ["test"]
    assert data.patients.tolist()[:4] == ["patient00001", "patient00002", "patient00002", "patient00003"]
    assert "1 lateral images are left out (views=frontal)" in data.notes
    assert len(opened(make_chexpert(tmp_path / "other"), ",views=all")) == 8


def test_region_truth(tmp_path: Path) -> None:
    data = opened(make_chexpert(tmp_path))
    assert pair(data, "train/patient00002/study1/view1_frontal.jpg", "Airspace Opacity") == (PRESENT, UNKNOWN)
    assert pair(data, "train/patient00002/study1/view1_frontal.jpg", "Pleural Effusion") == (ABSENT, ABSENT)
    assert pair(data, HEART, "Cardiomegaly") == (PRESENT, PRESENT)
    assert pair(data, HEART, "Edema") == (ABSENT, ABSENT)
    assert pair(data, EDEMA, "Edema") == (PRESENT, PRESENT)
    expected = np.zeros((80, 80), np.uint8)
    expected[40:70, 20:60] = 1  # 60 rows are centred on 80
    np.testing.assert_array_equal(data.mask(data.image_ids.index(HEART), 1), expected)
    expected = np.zeros((80, 80), np.uint8)
    expected[10:70, :40] = 1
    np.testing.assert_array_equal(data.mask(data.image_ids.index(EDEMA), 4), expected)


def test_the_folder_may_be_the_release_or_its_parent(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    assert opened(root).fingerprint == opened(tmp_path).fingerprint
    (tmp_path / "CheXlocalize").rename(root / "CheXlocalize")
    assert opened(root).fingerprint == opened(tmp_path).fingerprint
    plain = opened(make_chexpert(tmp_path / "plain", localized=False))
    assert not len(plain.masks)
    said = [
        f"gt_segmentations_{file}.json is absent: where the findings of published {part} are is unknown"
        for part, file in (("valid", "val"), ("test", "test"))
    ]
    assert {f"CheXlocalize's {line}" for line in said} <= set(plain.notes)


def problems_of(root: Path, view: View = "multi") -> list[str]:
    return list(get_kind("chexpert").read(DataSpec.parse(f"chexpert:{root},size=80"), view).problems)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "CheXlocalize/gt_segmentations_val.json",
            "CheXlocalize/gt_segmentation_val.json",
            "rename it if it is the same",
        ),
        ("CheXlocalize", "chexlocalize", "folder .*CheXlocalize does not exist, but chexlocalize does: rename it"),
        (
            "CheXpert-v1.0-small/valid.csv",
            "CheXpert-v1.0-small/Valid.csv",
            "valid.csv is absent, but Valid.csv is there",
        ),
        (
            "CheXpert-v1.0-small/train",
            "CheXpert-v1.0-small/Train",
            "image folder .*train does not exist, but Train does",
        ),
    ],
)
def test_what_is_spelt_otherwise_is_a_problem(tmp_path: Path, old: str, new: str, said: str) -> None:
    root = make_chexpert(tmp_path)
    assert not problems_of(root)
    (tmp_path / old).rename(tmp_path / new)
    assert any(re.search(said, line) for line in problems_of(root))


@pytest.mark.parametrize(("old", "new"), [("/", "\\"), ("/train/", "/Train/"), (",,", ",nan,")])
def test_other_spellings_of_the_same_table(tmp_path: Path, old: str, new: str) -> None:
    root = make_chexpert(tmp_path)
    expected = opened(root)
    (root / "train.csv").write_text((root / "train.csv").read_text().replace(old, new))
    data = opened(root)
    assert (data.fingerprint, data.image_ids) == (expected.fingerprint, expected.image_ids)


def test_an_image_is_no_lateral_one_for_want_of_a_name(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    table = root / "train.csv"
    table.write_text(
        table.read_text().replace("patient00001/study1/view1_frontal", "patient00001/study1/view1_Frontal")
    )
    (root / "train/patient00001/study1/view1_frontal.jpg").rename(root / "train/patient00001/study1/view1_Frontal.jpg")
    assert "train/patient00001/study1/view1_Frontal.jpg" in opened(root).image_ids
    table.write_text(table.read_text().replace("view1_Frontal", "view1"))
    assert any("view1.jpg: neither frontal nor lateral by its name; rename it" in line for line in problems_of(root))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_annotations_in_other_encodings_and_by_the_names_of_files(tmp_path: Path, encoding: str) -> None:
    root = make_chexpert(tmp_path)
    expected = opened(root)
    path = tmp_path / "CheXlocalize" / "gt_annotations_test.json"
    path.write_bytes(path.read_text().replace('_frontal"', '_frontal.jpg"').encode(encoding))
    assert opened(root).fingerprint == expected.fingerprint


def test_polygons_in_shares_are_refused_and_those_beyond_the_image_noted(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    path = tmp_path / "CheXlocalize" / "gt_annotations_test.json"
    path.write_text(path.read_text().replace("39, 59", "99, 59"))
    assert "1 regions of CheXlocalize reach beyond their images: they are cut there" in opened(root).notes
    path.write_text(
        json.dumps({"patient64741_study1_view1_frontal": {"img_size": [60, 80], "Edema": [[[0, 0], [1, 0.5]]]}})
    )
    assert any("a polygon in shares of the image; expected pixels" in line for line in problems_of(root))


def test_nothing_that_is_left_out_is_no_note(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    notes = get_kind("chexpert").read(DataSpec.parse(f"chexpert:{root},task=normal-vs-abnormal"), "multi").notes
    assert not [note for note in notes if note.startswith("0 ")]


def test_the_other_names_of_chexlocalizes_release(tmp_path: Path) -> None:
    expected = opened(make_chexpert(tmp_path / "a", train=CHEXPERT_TRAIN[:1]))
    root = make_chexpert(tmp_path / "b" / "chexlocalize", train=CHEXPERT_TRAIN[:1], release="CheXpert")
    (root / "valid.csv").rename(root / "val_labels.csv")
    (root / "valid").rename(root / "val")
    data = opened(tmp_path / "b" / "chexlocalize")
    assert data.fingerprint == expected.fingerprint
    assert data.image_ids == expected.image_ids
    assert not any(".csv is absent" in note for note in data.notes)
    (root / "train.csv").unlink()
    assert set(opened(root).official) == {"valid", "test"}
    assert "train.csv is absent: no image is in published train" in opened(root).notes
    (root / "val_labels.csv").unlink()
    assert "valid.csv is absent: no image is in published valid" in opened(root).notes


@pytest.mark.parametrize(("policy", "expected"), [("ones", PRESENT), ("zeros", ABSENT), ("ignore", UNKNOWN)])
def test_uncertain_labels(tmp_path: Path, policy: str, expected: int) -> None:
    root = make_chexpert(tmp_path)
    data = opened(root, f",uncertain={policy}")
    assert f"(uncertain={policy})" in "".join(data.notes)
    assert pair(data, "train/patient00002/study1/view1_frontal.jpg", "Edema")[0] == expected
    if policy == "ones":
        assert data.fingerprint == opened(root).fingerprint


def test_blank_labels(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    image = "train/patient00003/study1/view1_frontal.jpg"
    assert pair(opened(root), image, "Edema") == (ABSENT, ABSENT)
    assert pair(opened(root, ",blank=ignore"), image, "Edema") == (UNKNOWN, UNKNOWN)


def test_observations_are_14_and_no_finding_has_no_region(tmp_path: Path) -> None:
    data = opened(make_chexpert(tmp_path), ",task=observations")
    assert len(data.classes) == 14
    assert pair(data, HEART, "Lung Opacity") == (PRESENT, PRESENT)
    assert pair(data, HEART, "No Finding") == (ABSENT, UNKNOWN)
    assert pair(data, "train/patient00002/study2/view1_frontal.jpg", "Pneumonia") == (PRESENT, UNKNOWN)


def test_the_single_view_keeps_images_with_exactly_one_certain_class(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    data = opened(root, view="single")
    names = ["train/patient00001/study1/view1_frontal.jpg", "train/patient00003/study1/view1_frontal.jpg", EDEMA]
    assert list(data.image_ids) == names
    assert (data.labels == PRESENT).sum(axis=1).tolist() == [1, 1, 1]
    assert any(note.startswith("4 images without exactly one of the classes") for note in data.notes)
    ignored = opened(root, ",uncertain=ignore", "single")
    assert list(ignored.image_ids) == names, "patient00002 has one finding for certain and another that is not"
    assert "train/patient00002/study1/view1_frontal.jpg" in opened(root, ",uncertain=zeros", "single").image_ids


def test_a_split_that_finds_too_little_names_the_images_that_the_view_left_out(tmp_path: Path) -> None:
    few = opened(make_chexpert(tmp_path / "few", train=CHEXPERT_TRAIN[1:4]), view="single")
    some = opened(make_chexpert(tmp_path / "some"), view="single")
    whole = np.arange(len(some)) % 3
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: make_split(few, "official"), "has no labelled image in a published train part"),
        (lambda: make_split(few, needs_regions=False), "leaves tuning empty"),
        (lambda: make_split(few, "fold:1/9", needs_regions=False), "1 patients of .* have a label"),
        (lambda: refuse_unusable(some, whole, needs_regions=False), "no image of class 'Enlarged Cardiomediastinum'"),
    ]
    for call, why in refused:
        with pytest.raises(DataError, match=why) as error:
            call()
        assert "4 images without exactly one of the classes, and that for certain, are left out" in str(error.value)
        assert "a method of the multi view" in str(error.value)
    table = tmp_path / "split.csv"
    table.write_text(f"image,split\n{HEART},train\n")
    with pytest.raises(DataError, match=rf"image '{HEART}' is not in .*4 images without exactly one of the classes"):
        make_split(some, str(table), needs_regions=False)


def test_nothing_is_said_of_other_notes_where_a_split_finds_too_little(tmp_path: Path) -> None:
    data = opened(make_chexpert(tmp_path, train=CHEXPERT_TRAIN[:3]))
    with pytest.raises(DataError, match=r"expected at most as many folds$"):
        make_split(data, "fold:1/9")


def test_normal_against_something(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    data = opened(root, ",task=normal-vs-pneumonia", "single")
    assert data.classes == ("normal", "pneumonia")
    assert data.labels.tolist() == [[1, 0], [0, 1], [1, 0]]
    assert data.truth.tolist() == [[UNKNOWN, ABSENT], [UNKNOWN, UNKNOWN], [UNKNOWN, ABSENT]]
    data = opened(root, ",task=normal-vs-abnormal", "single")
    assert pair(data, "train/patient00001/study1/view1_frontal.jpg", "abnormal") == (ABSENT, ABSENT)
    assert pair(data, NORMAL, "abnormal") == (ABSENT, ABSENT)
    union = data.mask(data.image_ids.index(HEART), 1)
    assert union.sum() == 30 * 40 + 30 * 20


def test_official_parts_keep_regions_for_train_and_tuning(tmp_path: Path) -> None:
    valid = [(f"patient{64541 + n}/study1/view1_frontal.jpg", {**CHEXPERT_VALID[1][1], "Edema": 1}) for n in range(8)]
    root = make_chexpert(tmp_path, valid=valid)
    masks = {
        f"patient{64541 + n}_study1_view1_frontal": {"Edema": chexpert_mask(slice(0, 9), slice(9))} for n in range(8)
    }
    write_json(tmp_path / "CheXlocalize" / "gt_segmentations_val.json", masks)
    data = opened(root)
    split = make_split(data, "official")
    boxed = (data.truth == PRESENT).any(axis=1)
    assert [int(boxed[part].sum()) for part in (split.train, split.tuning, split.test)] == [6, 2, 1]


def test_labels_and_regions_that_contradict_each_other_are_unknown(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    path = tmp_path / "CheXlocalize" / "gt_segmentations_val.json"
    masks = json.loads(path.read_text())
    entry = masks["patient64541_study1_view1_frontal"]
    entry["Cardiomegaly"], entry["Edema"] = chexpert_mask(), chexpert_mask(slice(0, 9), slice(0, 9))
    masks["patient99999_study1_view2_lateral"] = {}
    write_json(path, masks)
    data = opened(root)
    assert pair(data, HEART, "Cardiomegaly") == (PRESENT, UNKNOWN)
    assert pair(data, HEART, "Edema") == (ABSENT, UNKNOWN)
    assert "1 images that CheXlocalize annotated are not used" in data.notes
    assert any(note.startswith("1 labels of images") for note in data.notes)
    assert any(note.startswith("1 regions of CheXlocalize contradict") for note in data.notes)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ([], "no object of pathologies in gt_segmentations_val.json"),
        ({"Edem": chexpert_mask()}, "unknown pathology 'Edem' in gt_segmentations_val.json; did you mean 'Edema'?"),
        ({"Edema": 3}, "Edema in gt_segmentations_val.json: expected an object with size and counts, or a list of"),
        ({"Edema": {"size": [60, 80], "counts": "?"}}, "run lengths that do not add up to the 4,800 pixels"),
        ({"Edema": {"size": [1e9, 80], "counts": "0"}}, "the size [1000000000.0, 80], expected [height, width]"),
        ({"Edema": {"size": [10**9, 80], "counts": "0"}}, "oversized: 80x1000000000, at most 80,000,000 pixels"),
        ({"Edema": [[[0, 0], [9, 9]]]}, "the size None, expected [height, width] in pixels"),
        ({"img_size": [60, 80], "Edema": [[[0, 0]]]}, "a polygon that is no list of at least two points [x, y]"),
        ({"img_size": [60, 80], "Edema": [[[0, "x"], [1, 1]]]}, "a polygon that is no list of at least two points"),
        ({"img_size": [60, 80], "Edema": [[[0, 0], [9, 1e300]]]}, "a polygon far outside the image of 80x60"),
    ],
)
def test_annotations_that_cannot_be_read_are_named(tmp_path: Path, entry: object, expected: str) -> None:
    root = make_chexpert(tmp_path)
    write_json(tmp_path / "CheXlocalize" / "gt_segmentations_val.json", {"patient64541_study1_view1_frontal": entry})
    report = check(DataSpec.parse(f"chexpert:{root},size=32"))
    assert len(report.problems) == 1
    assert report.problems[0].startswith("patient64541_study1_view1_frontal: ")
    assert expected in report.problems[0]


def test_a_mask_of_another_shape_is_a_problem_and_a_shrunk_image_is_none(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    save(root / HEART, texture(0, 31, 41))  # of 80 x 60, both sides rounded
    assert opened(root).truth[4, 1] == PRESENT
    save(root / HEART, texture(0, 60, 60))
    with pytest.raises(DataError, match=r"mask in gt_segmentations_val.json: 80x60 does not fit the image of 60x60"):
        opened(root)


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000, '"x"', ""])
def test_files_that_hold_no_annotations(tmp_path: Path, content: str) -> None:
    root = make_chexpert(tmp_path)
    (tmp_path / "CheXlocalize" / "gt_segmentations_val.json").write_text(content)
    with pytest.raises(
        DataError, match=r"annotations .*gt_segmentations_val.json (hold no object|cannot be read)"
    ) as error:
        opened(root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name",
    [
        "../../secret/train/patient1/study1/view1_frontal.jpg",
        "train/patient1/../view1_frontal.jpg",
        "train/..\\x/study1/view1_frontal.jpg",
        "train/patient1/study1/view1_frontal.jpg/more",
        "patient00001/study1/view1_frontal.jpg",
        "train/patient1/study1/" + "x" * 5000,
    ],
)
def test_paths_that_lead_elsewhere_are_problems(tmp_path: Path, name: str) -> None:
    root = make_chexpert(tmp_path)
    save(tmp_path / "secret" / "train" / "patient1" / "study1" / "view1_frontal.jpg", texture(0, 8, 8))
    with (root / "train.csv").open("a") as file:
        file.write(f"{name},Male,1,Frontal,AP" + "," * 13 + ",\n")
    with pytest.raises(DataError, match=r"1 problem: .*(no path of the form train/patient00001|but absent)") as error:
        opened(root, ",views=all")
    assert "\n" not in str(error.value)


def test_two_paths_of_one_image_are_named(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    path = root / "train.csv"
    row = path.read_text().splitlines()[1]
    path.write_text(path.read_text() + row.removeprefix("CheXpert-v1.0-small/") + "\n")
    expected = r"1 problem: train/patient00001/study1/view1_frontal.jpg: stands more than once in train.csv"
    with pytest.raises(DataError, match=expected):
        opened(root)


def test_tables_without_a_row_of_use(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    header, row, *_ = (root / "train.csv").read_text().splitlines()
    for name in ("valid.csv", "test_labels.csv"):
        (root / name).unlink()
    (root / "train.csv").write_text(f"{header}\n{row.replace('train/', '../')}\n")
    with pytest.raises(DataError, match=r"no image is left; .*\(the first of 1 problems\)"):
        opened(root)


def test_absent_images_and_wrong_labels_are_named(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    (root / "train" / CHEXPERT_TRAIN[0][0]).unlink()
    text = (root / "valid.csv").read_text().replace("0.0,1.0,1.0", "0.0,1.0,yes")
    (root / "valid.csv").write_text(text)
    problems = check(DataSpec.parse(f"chexpert:{root},size=32")).problems
    assert len(problems) == 2
    assert problems[0].endswith("'yes' for Lung Opacity; expected 1.0, 0.0, -1.0 or nothing")
    assert problems[1].endswith(
        "patient00001/study1/view1_frontal.jpg: listed in the tables but absent (get it, or set missing=skip)"
    )
    (root / "valid.csv").write_text(text.replace("yes", "1.0"))
    assert len(opened(root, ",missing=skip")) == 6


def test_a_folder_without_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no train.csv or valid.csv .*; name the folder of CheXpert"):
        opened(tmp_path)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Edema", "Lung Opacity", "img_size", "size", "counts", "x\ny"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(content=st.dictionaries(st.sampled_from(["a", "b\nc"]), ANYTHING))
def test_any_json_object_is_read_or_named_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, object]
) -> None:
    drawn, problems = read_annotations(write_json(tmp_path_factory.mktemp("any") / "gt_annotations_val.json", content))
    assert drawn.keys() == content.keys()
    assert not any("\n" in line for line in problems)


def make_batches(parent: Path) -> Path:
    """The release as Stanford ships it since 2021."""
    root = make_chexpert(parent, release="CheXpert-v1.0", localized=False)
    (root / "test_labels.csv").unlink()
    first = parent / "CheXpert-v1.0 batch 1 (validate & csv)"
    for number, patient in ((2, "patient00001"), (3, "patient00002"), (3, "patient00003")):
        batch = parent / f"CheXpert-v1.0 batch {number} (train {number - 1})"
        batch.mkdir(exist_ok=True)
        (root / "train" / patient).rename(batch / patient)
    (root / "train").rmdir()
    root.rename(first)
    return parent


def test_the_batches_of_stanfords_release(tmp_path: Path) -> None:
    one = make_chexpert(tmp_path / "one", localized=False)
    (one / "test_labels.csv").unlink()
    expected = opened(one)
    parent = make_batches(tmp_path / "batches")
    data = opened(parent)
    assert (data.fingerprint, data.image_ids) == (expected.fingerprint, expected.image_ids)
    assert opened(parent / "CheXpert-v1.0 batch 1 (validate & csv)").fingerprint == expected.fingerprint
    for name in ("train.csv", "valid.csv"):
        (parent / "CheXpert-v1.0 batch 1 (validate & csv)" / name).rename(parent / name)
    assert opened(parent).fingerprint == expected.fingerprint
    image = "patient00001/study1/view1_frontal.jpg"
    save(parent / "CheXpert-v1.0 batch 3 (train 2)" / image, texture(0, 60, 80))
    with pytest.raises(DataError, match=rf"train/{image}: is in both .* batch 2 \(train 1\) and .*; keep one of them"):
        opened(parent)


def test_endings_in_other_case_or_after_a_conversion(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path)
    expected = opened(root)
    (root / HEART).rename((root / HEART).with_suffix(".JPG"))
    data = opened(root)
    assert (data.fingerprint, data.image_ids) == (expected.fingerprint, expected.image_ids)
    assert any("1 images have other endings than in the tables" in note for note in data.notes)


def test_what_run_lengths_do_not_name_is_unknown(tmp_path: Path) -> None:
    root = make_chexpert(tmp_path, valid=[(CHEXPERT_VALID[0][0], {"Cardiomegaly": 1, "Lung Opacity": 1, "Edema": 1})])
    path = tmp_path / "CheXlocalize" / "gt_segmentations_val.json"
    masks = json.loads(path.read_text())
    entry = masks["patient64541_study1_view1_frontal"]
    del entry["Airspace Opacity"]
    write_json(path, masks)
    data = opened(root)
    assert pair(data, HEART, "Airspace Opacity") == (PRESENT, UNKNOWN)
    assert pair(data, HEART, "Cardiomegaly") == (PRESENT, PRESENT)
    assert pair(data, HEART, "Consolidation") == (ABSENT, ABSENT)
    assert "1 regions are not told in full by CheXlocalize's files: these are unknown" in data.notes
    assert pair(opened(root, ",task=normal-vs-abnormal"), HEART, "abnormal") == (PRESENT, UNKNOWN)
    ignored = opened(root, ",blank=ignore")
    assert pair(ignored, HEART, "Consolidation") == (UNKNOWN, ABSENT)
    del entry["Consolidation"]
    write_json(path, masks)
    assert pair(opened(root, ",blank=ignore"), HEART, "Consolidation") == (UNKNOWN, UNKNOWN)
    assert pair(opened(root), HEART, "Consolidation") == (ABSENT, ABSENT), "as it is labelled"
