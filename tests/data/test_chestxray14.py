from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.data_layouts import NIH_BOXES, NIH_ROWS, make_nih
from raysearch.data import ABSENT, PRESENT, UNKNOWN, Collection, DataSpec, View, check, make_split, open_collection
from raysearch.data.kinds import get_kind
from raysearch.errors import DataError


def opened(root: Path, options: str = "", view: View = "multi") -> Collection:
    return open_collection(DataSpec.parse(f"chestxray14:{root},size=32{options}"), view)


def pair(collection: Collection, image: str, name: str) -> tuple[int, int]:
    row, label = collection.image_ids.index(image), collection.classes.index(name)
    return int(collection.labels[row, label]), int(collection.truth[row, label])


def test_findings_are_14_classes_in_the_multi_view(tmp_path: Path) -> None:
    data = opened(make_nih(tmp_path / "nih"))
    assert data.images.shape == (6, 1, 32, 32)
    assert len(data.classes) == 14
    assert data.image_ids == tuple(name for name, _, _ in NIH_ROWS)
    assert data.patients.tolist() == ["1", "1", "2", "3", "4", "5"]
    assert data.official.tolist() == ["test", "train", "train", "test", "test", "test"]
    assert pair(data, "00000001_000.png", "Cardiomegaly") == (PRESENT, PRESENT)
    assert pair(data, "00000001_001.png", "Cardiomegaly") == (PRESENT, UNKNOWN)
    assert pair(data, "00000001_001.png", "Effusion") == (PRESENT, UNKNOWN)
    assert pair(data, "00000002_000.png", "Effusion") == (ABSENT, ABSENT)


def test_boxes_are_scaled_from_their_frame_and_united(tmp_path: Path) -> None:
    data = opened(make_nih(tmp_path / "nih"))
    box = data.mask(0, data.classes.index("Cardiomegaly"))
    expected = np.zeros((32, 32), np.uint8)
    expected[16:24, 8:16] = 1
    np.testing.assert_array_equal(box, expected)
    both = data.mask(4, data.classes.index("Infiltration"))
    expected = np.zeros((32, 32), np.uint8)
    expected[:8, :16] = expected[24:, :16] = 1
    np.testing.assert_array_equal(both, expected)


def test_the_single_view_of_findings_keeps_images_with_exactly_one(tmp_path: Path) -> None:
    data = opened(make_nih(tmp_path / "nih"), view="single")
    assert data.image_ids == ("00000001_000.png", "00000003_000.png", "00000004_000.png")
    assert (data.labels == PRESENT).sum(axis=1).tolist() == [1, 1, 1]
    assert "1 images without a finding and 2 with several are left out of the single view" in data.notes


def test_findings_of_the_eight_classes_with_boxes(tmp_path: Path) -> None:
    rows = (*NIH_ROWS, ("00000006_000.png", "Hernia", 6), ("00000007_000.png", "Hernia|Pneumonia", 7))
    root = make_nih(tmp_path / "nih", rows=rows)
    data = opened(root, ",classes=8")
    assert data.classes == opened(root).classes[:8]
    assert len(data) == 8
    assert (data.labels[6] == ABSENT).all(), "an image of other findings has none of these"
    assert pair(data, "00000001_000.png", "Cardiomegaly") == (PRESENT, PRESENT)
    np.testing.assert_array_equal(data.labels, opened(root).labels[:, :8])
    np.testing.assert_array_equal(data.truth, opened(root).truth[:, :8])
    single = opened(root, ",classes=8", "single")
    assert single.image_ids == ("00000001_000.png", "00000003_000.png", "00000004_000.png")
    assert "1 images with another finding than the 8 classes are left out" in single.notes


def test_classes_are_of_the_findings(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    with pytest.raises(DataError, match=r"classes=8 is of task findings; leave it out with task normal-vs-abnormal"):
        opened(root, ",task=normal-vs-abnormal,classes=8")
    with pytest.raises(DataError, match=r"unknown classes '9'; known: 14, 8"):
        opened(root, ",classes=9")


def test_normal_vs_pneumonia(tmp_path: Path) -> None:
    boxes = (*NIH_BOXES, ("00000003_000.png", "Pneumonia", (0.0, 0.0, 1024.0, 512.0)))
    data = opened(make_nih(tmp_path / "nih", boxes=boxes), ",task=normal-vs-pneumonia", "single")
    assert data.classes == ("normal", "pneumonia")
    assert data.image_ids == ("00000002_000.png", "00000003_000.png", "00000005_000.png")
    assert [pair(data, name, "normal") for name in data.image_ids] == [
        (PRESENT, UNKNOWN),
        (ABSENT, UNKNOWN),
        (ABSENT, UNKNOWN),
    ]
    assert [pair(data, name, "pneumonia") for name in data.image_ids] == [
        (ABSENT, ABSENT),
        (PRESENT, PRESENT),
        (PRESENT, UNKNOWN),
    ]
    assert data.mask(1, 1)[:16].all()
    assert not data.mask(1, 1)[16:].any()


def test_abnormal_is_the_union_of_all_boxes(tmp_path: Path) -> None:
    boxes = (
        ("00000005_000.png", "Pneumonia", (0.0, 0.0, 512.0, 512.0)),
        ("00000005_000.png", "Infiltrate", (512.0, 512.0, 512.0, 512.0)),
    )
    data = opened(make_nih(tmp_path / "nih", boxes=boxes), ",task=normal-vs-abnormal")
    assert data.labels[:, 0].tolist() == [ABSENT, ABSENT, PRESENT, ABSENT, ABSENT, ABSENT]
    assert data.truth[:, 1].tolist() == [UNKNOWN, UNKNOWN, ABSENT, UNKNOWN, UNKNOWN, PRESENT]
    assert data.mask(5, 1).mean() == 0.5
    assert not any("of some of their findings" in note for note in data.notes)
    partly = opened(make_nih(tmp_path / "partly", boxes=boxes[:1]), ",task=normal-vs-abnormal")
    expected = "1 images have boxes of some of their findings alone: the region of abnormal is that of these"
    assert expected in partly.notes


def test_the_2017_table_and_the_numbered_archives_give_the_same(tmp_path: Path) -> None:
    new = opened(make_nih(tmp_path / "new"))
    old = opened(make_nih(tmp_path / "old", form="2017", archives=True))
    assert old.fingerprint == new.fingerprint
    assert old.patients.tolist() == new.patients.tolist()


def test_trailing_commas_without_a_header_for_them_do_not_shift_columns(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih", form="2017")
    path = root / "Data_Entry_2017.csv"
    header, rest = path.read_text().split("\n", 1)
    path.write_text(header.rstrip(",") + "\n" + rest)
    assert opened(root).patients.tolist() == ["1", "1", "2", "3", "4", "5"]


def test_without_the_lists_there_is_no_official_split(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    (root / "test_list.txt").unlink()
    data = opened(root)
    assert set(data.official) == {""}
    assert "there is no official split" in data.notes[-1]


def test_an_empty_list_and_boxes_without_their_header_are_refused(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    path = root / "BBox_List_2017.csv"
    header, rest = path.read_text().split("\n", 1)
    path.write_text(rest)
    expected = r"BBox_List_2017.csv begins with '00000001_000.png,.*'; expected the line 'Image Index,Finding Label"
    with pytest.raises(DataError, match=expected):
        opened(root)
    path.write_text(f"{header}\n{rest}")
    (root / "test_list.txt").write_text("\n")
    with pytest.raises(DataError, match=r"list .*test_list.txt is empty; expected one image name a line"):
        opened(root)


def test_a_box_that_exceeds_by_rounding_is_clipped(tmp_path: Path) -> None:
    boxes = (("00000001_000.png", "Cardiomegaly", (-0.4, 512.0, 1024.9, 512.3)),)
    mask = opened(make_nih(tmp_path / "nih", boxes=boxes)).masks[0]
    assert mask[16:].all()
    assert not mask[:16].any()


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        (
            [("00000001_000.png", "Cardiomegaly", (900, 0, 200, 9))],
            "box [900, 0, 200, 9] in BBox_List_2017.csv is not ins",
        ),
        ([("00000001_000.png", "Cardiomegaly", (9, 9, 0, 9))], "box [9, 9, 0, 9] in BBox_List_2017.csv is not inside"),
        (
            [("00000001_000.png", "Cardiomegaly", ("x", 9, 9, 9))],
            "box [nan, 9, 9, 9] in BBox_List_2017.csv is not inside",
        ),
        ([("00000001_000.png", "Cardiomegale", (9, 9, 9, 9))], "unknown finding 'Cardiomegale' of box [9, 9, 9, 9]"),
        ([("00000001_000.png", "Hernia", (9, 9, 9, 9))], "but the table does not label the image so"),
    ],
)
def test_wrong_boxes_are_named_with_their_file(tmp_path: Path, boxes: list, expected: str) -> None:
    root = make_nih(tmp_path / "nih", boxes=boxes)
    with pytest.raises(DataError, match=r"1 problem: 00000001_000.png: ") as error:
        opened(root)
    assert expected in str(error.value)
    assert "run `raysearch data check chestxray14:" in str(error.value)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            ("00000009_000.png", "Pneumonya", 9),
            "00000009_000.png: unknown finding 'Pneumonya' in Data_Entry_2017_v2020.csv; did",
        ),
        (("00000009_000.png", "Hernia|No Finding", 9), "00000009_000.png: both 'No Finding' and 'Hernia|No Finding'"),
        (("00000009_000.png", "Hernia", ""), "00000009_000.png: no patient in Data_Entry_2017_v2020.csv"),
        (("00000001_000.png", "Hernia", 1), "00000001_000.png: stands more than once in Data_Entry_2017_v2020.csv"),
    ],
)
def test_wrong_rows_are_named(tmp_path: Path, row: tuple[str, str, int], expected: str) -> None:
    root = make_nih(tmp_path / "nih", rows=(*NIH_ROWS, row), boxes=NIH_BOXES[1:])
    with pytest.raises(DataError) as error:
        opened(root)
    assert expected in str(error.value)


def test_listed_but_absent_images_are_an_error_unless_skipped(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    (root / "images" / "00000002_000.png").unlink()
    with pytest.raises(DataError, match=r"00000002_000.png: listed in .* but absent \(get it, or set missing=skip\)"):
        opened(root)
    data = opened(root, ",missing=skip")
    assert len(data) == 5
    assert "1 of 6 images that Data_Entry_2017_v2020.csv lists are absent and left out (missing=skip)" in data.notes


def test_what_the_folder_holds_beside_the_table_is_noted(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih", boxes=(*NIH_BOXES, ("00000099_000.png", "Mass", (1, 1, 9, 9))))
    (root / "images" / "extra.png").write_bytes(b"")
    notes = opened(root).notes
    assert "1 images in the folder are not listed in Data_Entry_2017_v2020.csv and left out" in notes
    assert "1 boxes are of images that the table does not list" in notes


def test_folders_and_tables_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data folder .*/nothing does not exist; expected the folder of NIH ChestX-ray14"
    ):
        opened(tmp_path / "nothing")
    root = make_nih(tmp_path / "nih")
    (root / "Data_Entry_2017_v2020.csv").unlink()
    with pytest.raises(DataError, match=r"no table Data_Entry_2017_v2020.csv \(or Data_Entry_2017.csv\)"):
        opened(root)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"Image Index,Finding Labels\na.png,Mass\n", "has no column 'Patient ID'; found Image Index, Finding Labels"),
        (b"Image Index,Finding Labels,Patient ID\n", "has no rows"),
        (b"", "has no column 'Image Index'; found nothing"),
        (b"Image Index,Finding Labels,Patient ID\na.png,Mass,1,2\n", "the line of 'a.png' has 4 cells, expected 3"),
        (b"Image Index,Finding Labels,Patient ID\na.png,Ma", "the line of 'a.png' has 2 cells, expected 3"),
        (b"\xff\xfe\x00", "cannot be read"),
        (
            b"Image Index,Finding Labels,Patient ID\na.png,Mass,1\n",
            "none of the 1 images that .* lists is there, a.png",
        ),
    ],
)
def test_tables_that_are_not_what_they_should_be(tmp_path: Path, content: bytes, expected: str) -> None:
    root = make_nih(tmp_path / "nih")
    (root / "Data_Entry_2017_v2020.csv").write_bytes(content)
    with pytest.raises(DataError, match=expected) as error:
        opened(root)
    assert "\n" not in str(error.value)


def test_check_lists_every_problem(tmp_path: Path) -> None:
    rows = (*NIH_ROWS, ("00000009_000.png", "Pneumonya", 9))
    root = make_nih(tmp_path / "nih", rows=rows, boxes=[(NIH_ROWS[0][0], "Cardiomegaly", (900, 0, 200, 9))])
    images = root / "images"
    (images / "00000001_001.png").write_bytes(b"")
    (images / "00000002_000.png").write_bytes((images / "00000002_000.png").read_bytes()[:900])
    (images / "00000003_000.png").unlink()
    spec = DataSpec.parse(f"chestxray14:{root},size=32")
    problems = check(spec).problems
    names = [line.split(":")[0] for line in problems]
    assert sorted(names) == [
        "00000001_000.png",
        "00000001_001.png",
        "00000002_000.png",
        "00000003_000.png",
        "00000009_000.png",
    ]
    with pytest.raises(DataError, match=r"3 problems"):  # of tables and names, before anything is decoded
        open_collection(spec, "multi")


def test_subsets_are_drawn_by_patient_and_nested(tmp_path: Path) -> None:
    rows = [(f"{patient:08d}_{image:03d}.png", "No Finding", patient) for patient in range(1, 9) for image in range(2)]
    rows[0] = (rows[0][0], "Cardiomegaly", 1)
    boxes = NIH_BOXES[:1]
    root = make_nih(tmp_path / "nih", rows=rows, boxes=boxes)
    drawn = {count: opened(root, f",subset={count}") for count in (3, 4, 11)}
    for count, data in drawn.items():
        assert len(data) == count
        images = np.unique(data.patients, return_counts=True)[1]
        assert (images < 2).sum() == count % 2, "all images of a patient, but of the last"
    assert set(drawn[3].image_ids) < set(drawn[4].image_ids) < set(drawn[11].image_ids)
    assert opened(root, ",subset=4,seed=1").image_ids != drawn[4].image_ids
    assert "12 of 16 images are not drawn (subset=4, normal=0, seed=0)" in drawn[4].notes
    assert opened(root, ",subset=99").image_ids == opened(root).image_ids


def test_normal_images_are_drawn_and_the_others_stay(tmp_path: Path) -> None:
    rows = [
        (f"{patient:08d}_000.png", "No Finding" if patient > 3 else "Pneumonia", patient) for patient in range(1, 20)
    ]
    boxes = [("00000001_000.png", "Pneumonia", (1, 1, 9, 9))]
    root = make_nih(tmp_path / "nih", rows=rows, boxes=boxes)
    data = opened(root, ",task=normal-vs-pneumonia,normal=5", "single")
    assert (data.labels == PRESENT).sum(axis=0).tolist() == [5, 3]
    with pytest.raises(DataError, match=r"normal is of tasks with the class normal; leave it out with task findings"):
        opened(root, ",normal=5")


def test_a_second_domain_of_real_images(real_data: Path) -> None:
    options = ",task=normal-vs-pneumonia,normal=10"
    data = opened(real_data / "chestxray14", options, "single")
    assert (data.labels == PRESENT).sum(axis=0).tolist() == [10, 35]
    assert (data.truth == PRESENT).sum(axis=0).tolist() == [0, 20]
    few = opened(real_data / "chestxray14", f"{options},subset=20", "single")
    assert len(few) == 20
    assert set(few.image_ids) < set(data.image_ids)


@pytest.mark.parametrize("form", ["absent", "empty"])
def test_without_boxes_their_place_is_unknown(tmp_path: Path, form: str) -> None:
    root = make_nih(tmp_path / "nih", boxes=())
    if form == "absent":
        (root / "BBox_List_2017.csv").rename(root / "regions.csv")
    data = opened(root, ",task=normal-vs-pneumonia")
    assert data.truth[:, 1].tolist() == [ABSENT, UNKNOWN, UNKNOWN]
    assert len(data.masks) == 0
    said = {"absent": "is absent", "empty": "has no rows"}[form]
    assert f"BBox_List_2017.csv {said}: where the findings are is unknown" in data.notes


@pytest.mark.parametrize(
    ("name", "spelt"),
    [("BBox_List_2017.csv", "bbox_list_2017.csv"), ("test_list.txt", "test_list_NIH.txt")],
)
def test_optional_tables_that_are_spelt_otherwise_are_problems(tmp_path: Path, name: str, spelt: str) -> None:
    root = make_nih(tmp_path / "nih")
    (root / name).rename(root / spelt)
    with pytest.raises(
        DataError, match=rf"1 problem: {name} is absent, but {spelt} is there: rename it if it is the s"
    ):
        opened(root)


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("xmin,ymin,xmax,ymax", "256,512,512,768"),
        ("x_min,x_max,y_min,y_max", "256,512,512,768"),
        ("x1,y1,x2,y2,score", "256,512,512,768,0.9"),
        ("Bbox [x1,y1,x2,y2],,,", "256,512,512,768"),
        ("x,y,width,height", "256,512,256,256"),
        ('"Bbox [x,y,w,h]",,,', "256,512,256,256"),
        ("Bbox [x,y,w,h],Unnamed: 6,Unnamed: 7,Unnamed: 8", "256,512,256,256,,,"),
    ],
)
def test_the_header_says_what_the_numbers_of_a_box_are(tmp_path: Path, header: str, cells: str) -> None:
    root = make_nih(tmp_path / "nih", boxes=NIH_BOXES[:1])
    expected = opened(root).fingerprint
    line = f"Image Index,Finding Label,{header}\n00000001_000.png,Cardiomegaly,{cells}\n"
    (root / "BBox_List_2017.csv").write_text(line)
    assert opened(root).fingerprint == expected


@pytest.mark.parametrize("header", ["a,b,c,d", "x_center,y_center,width,height", "xmin,ymin,xmax,area", ",,,"])
def test_a_header_that_does_not_tell_what_a_box_is(tmp_path: Path, header: str) -> None:
    root = make_nih(tmp_path / "nih")
    (root / "BBox_List_2017.csv").write_text(
        f"Image Index,Finding Label,{header}\n00000001_000.png,Cardiomegaly,1,2,3,4\n"
    )
    with pytest.raises(
        DataError, match=rf"has the header 'Image Index,Finding Label,{header}', which does not tell wh"
    ):
        opened(root)


def test_boxes_as_shares_of_the_image_are_problems(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih", boxes=[("00000001_000.png", "Cardiomegaly", (0.25, 0.5, 0.25, 0.25))])
    with pytest.raises(
        DataError, match=r"box \[0.25, 0.5, 0.25, 0.25\] in .* is smaller than a pixel; expected pixels"
    ):
        opened(root)


def test_boxes_that_were_scaled_along_with_the_images(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih", boxes=[("00000001_000.png", "Cardiomegaly", (16, 32, 16, 16))])
    data = opened(root)
    assert data.masks.sum() == 1, "as of 1024x1024"
    assert any("set frame=image if they were scaled along" in note for note in data.notes)
    scaled = opened(root, ",frame=image")
    expected = np.zeros((32, 32), np.uint8)
    expected[16:24, 8:16] = 1
    np.testing.assert_array_equal(scaled.masks[0], expected)
    assert not any("frame=image" in note for note in scaled.notes)
    original = opened(make_nih(tmp_path / "original"))
    assert not any("frame=image" in note for note in original.notes)
    with pytest.raises(DataError, match=r"box \[256, 512, 256, 256\] is outside the image of 64x64"):
        opened(make_nih(tmp_path / "other"), ",frame=image")


def test_names_of_lists_with_a_folder_before_them(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    expected = opened(root).official.tolist()
    path = root / "test_list.txt"
    names = path.read_text().split()
    path.write_text("\n".join(f"images/{name}" for name in names))
    data = opened(root)
    assert data.official.tolist() == expected
    assert any("are not as the images are called: images/00000001_000.png is" in note for note in data.notes)
    path.write_text("\n".join(Path(name).stem for name in names))
    assert opened(root).official.tolist() == expected


def test_names_of_lists_that_are_no_image(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    path = root / "test_list.txt"
    path.write_text("\n".join(["00000077_000.png", *path.read_text().split()[1:]]))
    notes = opened(root).notes
    assert "1 names of test_list.txt are no image of Data_Entry_2017_v2020.csv, 00000077_000.png for one" in notes
    assert any("1 images of Data_Entry_2017_v2020.csv are in neither list" in note for note in notes)
    path.write_text("a.png\nb.png\n")
    with pytest.raises(
        DataError, match=r"all 2 names of test_list.txt are no image of .*, a.png for one; expected names"
    ):
        opened(root)


def test_an_image_in_two_folders_is_a_problem_and_a_link_is_not(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    name = NIH_ROWS[0][0]
    again = root / "images_001" / "images"
    again.mkdir(parents=True)
    (again / name).symlink_to(root / "images" / name)
    opened(root)
    (again / name).unlink()
    (again / name).write_bytes((root / "images" / name).read_bytes())
    with pytest.raises(
        DataError, match=rf"{name}: there are both images/{name} and images_001/images/{name}; keep one"
    ):
        opened(root)


def test_endings_in_other_case_or_after_a_conversion(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    expected = opened(root)
    images = root / "images"
    (images / "00000001_000.png").rename(images / "00000001_000.PNG")
    data = opened(root)
    assert (data.fingerprint, data.image_ids) == (expected.fingerprint, expected.image_ids)
    assert any("1 images have other endings than in Data_Entry" in note for note in data.notes)
    (images / "00000001_000.bmp").write_bytes(b"")
    with pytest.raises(DataError, match=r"00000001_000.png: may be either 00000001_000.PNG or 00000001_000.bmp"):
        opened(root)


@pytest.mark.parametrize(("first", "second"), [("1.0", "1"), ("0001", "1"), ("0001", "1.0"), (" 1 ", "1")])
def test_a_number_in_two_spellings_is_one_patient(tmp_path: Path, first: str, second: str) -> None:
    rows = [(NIH_ROWS[0][0], NIH_ROWS[0][1], first), (NIH_ROWS[1][0], NIH_ROWS[1][1], second), *NIH_ROWS[2:]]
    data = opened(make_nih(tmp_path / "nih", rows=rows))
    assert data.patients.tolist() == ["1", "1", "2", "3", "4", "5"]
    assert any("in several ways" in note for note in data.notes) == (first != " 1 ")


def test_numbers_in_one_spelling_stay_and_those_that_tell_no_patient_are_problems(tmp_path: Path) -> None:
    rows = [(name, findings, f"{patient:05d}") for name, findings, patient in NIH_ROWS]
    assert opened(make_nih(tmp_path / "zeros", rows=rows)).patients.tolist()[:2] == ["00001", "00001"]
    rows[0] = (*rows[0][:2], "1.2E+10")
    rows[1] = (*rows[1][:2], "nan")
    with pytest.raises(DataError, match=r"patient 1.2E\+10 in .* is a number that a program has rounded") as error:
        opened(make_nih(tmp_path / "wrong", rows=rows))
    assert "00000001_001.png: no patient in" in str(error.value)


def test_a_box_that_stands_twice_counts_once(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih", boxes=(NIH_BOXES[0], *NIH_BOXES))
    data = open_collection(DataSpec.parse(f"chestxray14:{root},size=64"), "multi")
    assert len(data.boxes) == len(NIH_BOXES)
    assert "1 boxes of BBox_List_2017.csv stand there more than once: each counts once" in data.notes


def test_a_box_in_shares_of_the_whole_image_is_refused(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih", boxes=[("00000001_000.png", "Cardiomegaly", (0, 0, 1, 1))])
    with pytest.raises(DataError, match=r"box \[0, 0, 1, 1\] in .* is smaller than a pixel; expected pixels"):
        open_collection(DataSpec.parse(f"chestxray14:{root},size=64"), "multi")


def test_views_and_tasks_that_leave_nothing_out_say_nothing_of_it(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih", rows=[NIH_ROWS[0], NIH_ROWS[3]], boxes=())
    cases: tuple[tuple[str, View], ...] = (("", "single"), (",task=normal-vs-pneumonia", "multi"))
    for options, view in cases:
        manifest = get_kind("chestxray14").read(DataSpec.parse(f"chestxray14:{root}{options}"), view)
        assert not [note for note in manifest.notes if note.startswith("0 ") or " and 0 " in note]


def test_a_refusal_for_want_of_regions_says_what_is_absent(tmp_path: Path) -> None:
    root = make_nih(tmp_path / "nih")
    (root / "BBox_List_2017.csv").unlink()
    data = open_collection(DataSpec.parse(f"chestxray14:{root},size=64"), "multi")
    with pytest.raises(DataError, match=r"region in tuning .*Of the regions: BBox_List_2017.csv is absent: where the"):
        make_split(data)
