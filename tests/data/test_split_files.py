from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from data.made_collections import collection, lines, one_hot, parts, write
from raysearch.data import make_split
from raysearch.errors import DataError


def test_lists_as_other_programs_write_them(tmp_path: Path) -> None:
    """With a byte order mark, line ends of two characters, and names with spaces."""
    data = dataclasses.replace(
        collection(one_hot([0, 1] * 5)), image_ids=tuple(f"image {row}.png" for row in range(10))
    )
    listed = tmp_path / "test.txt"
    listed.write_bytes("\ufeffimage 0.png\r\nimage 1.png\r\n\r\n".encode())
    assert make_split(data, f"test={listed}").test.tolist() == [0, 1]


def test_split_from_a_file(tmp_path: Path) -> None:
    data = collection(one_hot([0, 1] * 5))
    names = ["train"] * 6 + ["tuning"] * 2 + ["test"] * 2
    split = make_split(data, write(tmp_path / "s.csv", [f"i{row},{name}" for row, name in enumerate(names)]))
    assert [part.tolist() for part in parts(split)] == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]
    assert split.how == str(tmp_path / "s.csv")
    names[0] = "unused"  # as a study writes it after --unannotated
    split = make_split(data, write(tmp_path / "s.csv", [f"i{row},{name}" for row, name in enumerate(names)]))
    assert [part.tolist() for part in parts(split)] == [[1, 2, 3, 4, 5], [6, 7], [8, 9]]


@pytest.mark.parametrize(
    ("replaced", "expected"),
    [
        ({0: "j0,train"}, "image 'j0' is not in made"),
        ({0: "i0,vaild"}, "image 'i0' is in 'vaild'; expected one of train, tuning, test"),
        ({0: "i1,train"}, "image 'i1' is named twice"),
        ({0: ""}, "1 labelled images of made are not named, 'i0' for one"),
        ({9: "i9,train"}, r"patient '8' is in test \('i8'\) and train \('i9'\)"),
    ],
)
def test_files_that_do_not_fit(tmp_path: Path, replaced: dict[int, str], expected: str) -> None:
    data = collection(one_hot([0, 1] * 5), patients=[0, 1, 2, 3, 4, 5, 6, 7, 8, 8])
    names = ["train"] * 6 + ["tuning"] * 2 + ["test"] * 2
    lines = [replaced.get(row, f"i{row},{name}") for row, name in enumerate(names)]
    with pytest.raises(DataError, match=expected):
        make_split(data, write(tmp_path / "s.csv", lines))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no such file; expected random, official, fold:I/K or a CSV"):
        make_split(collection(one_hot([0, 1] * 5)), str(tmp_path / "none.csv"))


def test_tables_of_patients(tmp_path: Path) -> None:
    data = collection(one_hot([0, 1] * 20), patients=np.arange(40) // 2)
    named = {name: ["train", "val", "test"][min(name // 7, 2)] for name in range(20)}
    table = lines(tmp_path / "p.csv", ["id,patient,split", *(f"x,{name},{part}" for name, part in named.items())])
    split = make_split(data, str(table))
    assert [part.tolist() for part in parts(split)] == [[*range(14)], [*range(14, 28)], [*range(28, 40)]]
    doubled = lines(tmp_path / "d.csv", [*table.read_text().split(), "x,0,train"])
    assert make_split(data, str(doubled)).digest == split.digest
    lines(tmp_path / "d.csv", [*table.read_text().split(), "x,0,test"])
    with pytest.raises(DataError, match="patient '0' is in train and in test; put it in one part"):
        make_split(data, str(doubled))


def test_a_table_without_tuning_gives_it_a_share_of_train(tmp_path: Path) -> None:
    data = collection(one_hot([0, 1] * 30), patients=np.arange(60) // 2)
    rows = [f"i{row},{'test' if row < 20 else 'train'}" for row in range(60)]
    split = make_split(data, write(tmp_path / "s.csv", rows))
    assert split.test.tolist() == [*range(20)]
    assert len(split.tuning) == 8
    assert not {*data.patients[split.tuning]} & {*data.patients[split.train]}


def test_tables_of_folds(tmp_path: Path) -> None:
    """As `fold:I/K`: patients that are not named are in train, and so are images of named patients that are not."""
    data = collection(one_hot([0, 1] * 40), patients=np.arange(80) // 2)
    table = lines(tmp_path / "f.csv", ["image,fold", *(f"i{row},{row // 12}" for row in range(0, 48, 2))])
    tested = []
    for fold in range(4):
        split = make_split(data, f"{table}:fold={fold}")
        assert split.how == f"{table}:fold={fold}"
        assert set(split.test.tolist()) == set(range(12 * fold, 12 * fold + 12))
        assert set(split.tuning.tolist()) < set(range(48))
        assert len(split.tuning) == 8, "4 of the 18 patients that are named and not tested"
        assert set(range(48, 80)) <= set(split.train.tolist())
        assert "labelled images are not named: they are in train" in split.notes[0]
        people = [set(data.patients[part]) for part in parts(split)]
        assert not people[0] & people[1]
        assert not people[1] & people[2]
        tested += split.test.tolist()
    assert sorted(tested) == [*range(48)]
    with pytest.raises(DataError, match=r"f.csv has no fold '7'; known: 0, 1, 2, 3"):
        make_split(data, f"{table}:fold=7")
    floats = lines(
        tmp_path / "1.csv", ["image,fold", *(f"i{row},{row // 12}{'.0' * (row % 4 == 0)}" for row in range(48))]
    )
    for fold in ("1", "1.0", " 1"):
        assert set(make_split(data, f"{floats}:fold={fold}").test.tolist()) == set(range(12, 24)), "1.0 is fold 1"


@pytest.mark.parametrize("by", ["image", "patient"])
def test_lists(tmp_path: Path, by: str) -> None:
    data = collection(one_hot([0, 1] * 30), patients=np.arange(60) // 2)
    names = {"image": [f"i{row}" for row in range(60)], "patient": [str(name) for name in range(30)]}[by]
    tenth = len(names) // 10
    train = lines(tmp_path / "a,b.txt", names[: 6 * tenth])
    tuning = lines(tmp_path / "v.txt", names[6 * tenth : 8 * tenth])
    test = lines(tmp_path / "t.txt", names[8 * tenth :])
    split = make_split(data, f"train={train},tuning={tuning},test={test}")
    assert [part.tolist() for part in parts(split)] == [[*range(36)], [*range(36, 48)], [*range(48, 60)]]
    rest = make_split(data, f"test={test}")
    assert rest.test.tolist() == [*range(48, 60)]
    assert len(rest.tuning) == 10
    assert len(rest.train) == 38
    with pytest.raises(DataError, match=r"12 labelled images of made are not named, 'i36' for one"):
        make_split(data, f"train={train},test={test}")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("train={a}", "no list of test; add test=FILE"),
        ("test={a},test={b}", "test is given twice; leave out one"),
        ("test=/none.txt", r"there is no file '/none.txt'; expected test=FILE, a list with one name a line"),
        (
            "test={a},tunning={b}",
            r"a,tunning=.*b', and no part 'tunning' \(did you mean 'tuning'\?\); expected test=FILE",
        ),
        ("tunning={b},test={a}", r"no such file, and no part 'tunning' \(did you mean 'tuning'\?\); expected random,"),
        ("test={a},tuning={b}", r"'i1' is in (tuning|test) and in (tuning|test); put it in one part"),
        ("test={c}", r"image 'j1' is not in made; expected names such as 'i0'"),
        ("{table}", r"has columns image,fold; expected a CSV file with columns image,split or patient,split"),
        ("{table}:fold=1:2", "has no fold '1:2'; known: 1"),
        ("{nan}:fold=1", r"n.csv: the line of image 'i1' has no fold; name one, or leave out the line"),
        ("{blank}:fold=1", r"b.csv: the line of image 'i1' has no fold; name one, or leave out the line"),
        ("test={empty}", r"list .*/none is empty; expected one image name a line"),
    ],
)
def test_lists_that_do_not_fit(tmp_path: Path, how: str, expected: str) -> None:
    data = collection(one_hot([0, 1] * 5))
    files = {
        "a": lines(tmp_path / "a", ["i0", "i1"]),
        "b": lines(tmp_path / "b", ["i1", "i2"]),
        "c": lines(tmp_path / "c", ["i0", "j1"]),
        "table": lines(tmp_path / "t.csv", ["image,fold", "i0,1"]),
        "blank": lines(tmp_path / "b.csv", ["image,fold", "i0,1", "i1,"]),
        "nan": lines(tmp_path / "n.csv", ["image,fold", "i0,1", "i1,NaN"]),
        "empty": lines(tmp_path / "none", []),
    }
    with pytest.raises(DataError, match=expected) as error:
        make_split(data, how.format(**files))
    assert "\n" not in str(error.value)


FOLDER = "Warwick_QU_Dataset_(Released_2016_07_08)"


@pytest.mark.parametrize(
    "form",
    [
        f"{FOLDER}/{{}}.bmp",
        f"{FOLDER}/{{0}}.bmp,{FOLDER}/{{0}}_anno.bmp,",
        "{0}.bmp,{0}_anno.bmp,benign",
        f"./{FOLDER}\\{{}}.BMP",
        "{}",
        "{}.png",
    ],
)
def test_lists_of_the_field_name_images_in_ways_of_their_own(tmp_path: Path, form: str) -> None:
    """Rony et al. (survey of weakly supervised localization in histology) have a folder before the name, Belharbi et
    al. (min-max entropy) mask and class after it."""
    stems = [f"train_{row}" for row in range(10)]
    data = dataclasses.replace(collection(one_hot([0, 1] * 5)), image_ids=tuple(f"{stem}.bmp" for stem in stems))
    files = {
        name: lines(tmp_path / f"{name}.txt", [form.format(stem) for stem in rows])
        for name, rows in (("train", stems[:6]), ("tuning", stems[6:8]), ("test", stems[8:]))
    }
    split = make_split(data, ",".join(f"{name}={path}" for name, path in files.items()))
    assert [part.tolist() for part in parts(split)] == [[*range(6)], [6, 7], [8, 9]]
    assert any("10 names of --split" in note and "is train_0.bmp" in note for note in split.notes)


def test_names_in_folders_of_the_data(tmp_path: Path) -> None:
    ids = [f"{folder}/{name}.jpg" for folder in ("019.Gray_Catbird", "099.Ovenbird") for name in "abcde"]
    data = dataclasses.replace(collection(one_hot([0] * 5 + [1] * 5)), image_ids=tuple(ids))
    named = lines(tmp_path / "test.txt", [f"CUB_200_2011/images/{name}" for name in ids[4:6]])
    assert make_split(data, f"test={named}").test.tolist() == [4, 5]
    lines(named, ["e.jpg"])
    with pytest.raises(
        DataError, match=r"image 'e.jpg' may be '019.Gray_Catbird/e.jpg' or '099.Ovenbird/e.jpg'; write"
    ):
        make_split(data, f"test={named}")
    lines(named, ["other/019.Gray_Catbird/e.jpg", "000.Gray_Catbird/e.jpg"])
    with pytest.raises(DataError, match=r"image '000.Gray_Catbird/e.jpg' is not in made; did you mean '019.Gray_Catbi"):
        make_split(data, f"test={named}")


def test_one_image_in_two_spellings_is_in_one_part(tmp_path: Path) -> None:
    data = collection(one_hot([0, 1] * 5))
    train, test = lines(tmp_path / "a", ["i0", "i1"]), lines(tmp_path / "b", ["x/i1", "i2"])
    with pytest.raises(
        DataError, match=r"image 'i1', also written 'x/i1', is in train and in test; put it in one part"
    ):
        make_split(data, f"train={train},test={test}")


def test_numbers_of_patients_in_another_spelling(tmp_path: Path) -> None:
    data = collection(one_hot([0, 1] * 5), patients=[f"{row:05d}" for row in range(10)])
    table = lines(
        tmp_path / "p.csv", ["patient,split", *(f"{row}.0,{'test' if row > 7 else 'train'}" for row in range(10))]
    )
    assert make_split(data, str(table)).test.tolist() == [8, 9]
    both = collection(one_hot([0, 1] * 5), patients=["1", "01", *range(2, 10)])
    with pytest.raises(DataError, match=r"patient '1.0' may be '1' or '01'; write the whole name"):
        make_split(both, str(lines(tmp_path / "p.csv", ["patient,split", "1.0,test"])))
