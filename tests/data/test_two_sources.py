"""Sources by name: one collection, divided as each of them is by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.data_layouts import make_covid, make_glas, make_nih
from data.kind_layouts import make_kermany
from data.made_collections import lines, parts
from raysearch.data import (
    PRESENT,
    UNKNOWN,
    Collection,
    DataSpec,
    JoinedSpec,
    Split,
    all_kinds,
    check_joined,
    choose_annotated,
    choose_labelled,
    guard,
    join,
    make_split,
    open_collection,
    parse_data,
)
from raysearch.data._joined import StackedArray
from raysearch.data._pool import pool_of
from raysearch.errors import DataError, RaysearchError
from raysearch.study import task_of

CLS = "phantom:task=normal-vs-abnormal,images=60,size=32"
SEG = "phantom:task=lungs,images=40,size=32,annotated=0.6"
BOTH = JoinedSpec.parse(f"cls={CLS},seg={SEG}")


@pytest.fixture
def both() -> Collection:
    return open_collection(BOTH, "single")


# What is asked for


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("cls=phantom,seg=phantom", "cls=phantom,seg=phantom"),
        ("seg=phantom:task=lungs,cls=phantom:images=300,size=64", "cls=phantom:images=300,seg=phantom:task=lungs"),
        ("cls=glas:/a,b/c:d/x=1,size=64,seg=phantom:size=64", "cls=glas:/a,b/c:d/x=1,size=64,seg=phantom"),
        (" cls=phantom , SEG=phantom:task=lungs , images=20", "cls=phantom,seg=phantom:task=lungs,images=20"),
        ("seg=phantom", "seg=phantom"),
    ],
)
def test_sources_by_name(text: str, canonical: str) -> None:
    spec = parse_data(text)
    assert isinstance(spec, JoinedSpec)
    assert str(spec) == canonical
    assert parse_data(canonical) == spec


def test_one_source_is_as_ever() -> None:
    for text in ("phantom", CLS, "glas:/a,b/c:d/x=1,size=64"):
        assert parse_data(text) == DataSpec.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clss=phantom,seg=phantom", "unknown source 'clss'; did you mean 'cls'?"),
        ("cls=phantom,segm=phantom:task=lungs", "unknown source 'segm'; did you mean 'seg'?"),
        ("cls=phantom,cls=phantom", "source 'cls' is named twice; leave out one"),
        ("cls=phantm,seg=phantom", "unknown kind of data 'phantm'; did you mean 'phantom'?"),
        ("cls=phantom,seg=phantm:task=lungs", "unknown kind of data 'phantm'; did you mean 'phantom'?"),
        ("cls=phantom,seg=phantom:size=128", "is cls of size 64 and seg of size 128; expected one size"),
        ("cls=phantom:size=64,size=64,seg=phantom", "option 'size' is given twice; leave out one"),
        ("cls=phantom:imges=30,seg=phantom", "phantom has no option 'imges'; did you mean 'images'?"),
        ("cls=,seg=phantom", "unknown kind of data ''"),
        ("cls=glas,seg=phantom", "data 'glas' names no folder"),
    ],
)
def test_sources_that_cannot_be_meant(text: str, expected: str) -> None:
    with pytest.raises(DataError) as error:
        parse_data(text)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@st.composite
def specs(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(all_kinds()))
    options = draw(st.lists(st.sampled_from(kind.options), unique_by=lambda option: option.name))
    chosen = ["size=64"]
    for option in options:
        if option.name != "size":
            value = draw(st.sampled_from(option.choices)) if option.choices else int(min(option.high, option.low + 7))
            chosen.append(f"{option.name}={value}")
    path = draw(st.from_regex(r"/[a-z:, /]{0,12}[a-z]", fullmatch=True))
    return f"{kind.name}:" + ",".join(([path] if kind.needs_path else []) + chosen)


@given(cls=specs(), seg=specs(), turned=st.booleans())
def test_canonical_spelling_parses_to_the_same_spec(cls: str, seg: str, turned: bool) -> None:
    text = f"seg={seg},cls={cls}" if turned else f"cls={cls},seg={seg}"
    spec = parse_data(text)
    assert spec == JoinedSpec((("cls", DataSpec.parse(cls)), ("seg", DataSpec.parse(seg))))
    assert parse_data(str(spec)) == spec


# Arrays


@st.composite
def stacked(draw: st.DrawFn) -> tuple[list[np.ndarray], Any]:
    sizes = draw(st.lists(st.integers(0, 4), min_size=1, max_size=3))
    total = sum(sizes)
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 255, (size, 2, 3), dtype=np.uint8) for size in sizes]
    rows = st.integers(-total, total - 1) if total else st.nothing()
    bounds = st.none() | st.integers(-6, 6)
    one = st.builds(slice, bounds, bounds, st.sampled_from([None, 1, 2, -1]))
    some = st.lists(rows, max_size=6).map(lambda found: np.array(found, np.int64)) if total else one
    masks = st.lists(st.booleans(), min_size=total, max_size=total).map(lambda found: np.array(found, bool))
    first = draw(st.one_of(one, some, masks, st.just(Ellipsis), st.none(), *([rows] if total else [])))
    rest = draw(st.lists(st.one_of(st.integers(0, 1), st.just(slice(1, None))), max_size=2))
    return arrays, (first, *rest) if rest else first


@given(stacked())
def test_stacked_arrays_read_as_their_concatenation(case: tuple[list[np.ndarray], Any]) -> None:
    arrays, key = case
    whole, view = np.concatenate(arrays), StackedArray(arrays)
    assert (view.shape, view.dtype, view.ndim, len(view)) == (whole.shape, whole.dtype, whole.ndim, len(whole))
    np.testing.assert_array_equal(np.asarray(view), whole)
    try:
        expected = whole[key]
    except IndexError:
        with pytest.raises(IndexError):
            view[key]
        return
    found = view[key]
    assert np.shape(found) == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_stacked_arrays_refuse_what_they_would_read_otherwise() -> None:
    view = StackedArray([np.zeros((2, 3)), np.ones((2, 3))])
    with pytest.raises(IndexError, match="no array behind the first place"):
        view[[0, 1], [0, 1]]
    with pytest.raises(IndexError):
        view[4]


# One collection


def test_what_a_source_does_not_know_is_unknown(both: Collection) -> None:
    cls, seg = both.parts
    assert both.sources == ("cls", "seg")
    assert both.classes == ("normal", "abnormal", "lungs")
    assert both.source_classes == (0, 0, 1)
    assert both.source_images == (60, 40)
    np.testing.assert_array_equal(both.source_of, [0] * 60 + [1] * 40)
    np.testing.assert_array_equal(both.labels[:60, :2], cls.labels)
    assert (both.labels[:60, 2] == UNKNOWN).all()
    assert (both.labels[60:] == UNKNOWN).all()
    assert (both.truth[:60] == UNKNOWN).all()
    assert (cls.truth != UNKNOWN).any()
    assert (both.truth[60:, :2] == UNKNOWN).all()
    np.testing.assert_array_equal(both.truth[60:, 2:], seg.truth)
    for row in range(100):
        part, own = (cls, row) if row < 60 else (seg, row - 60)
        np.testing.assert_array_equal(both.images[row], part.images[own])
        assert both.image_ids[row] == f"{'cls' if row < 60 else 'seg'}/{part.image_ids[own]}"
        if both.truth[row, 2] == PRESENT:
            np.testing.assert_array_equal(both.mask(row, 2), seg.mask(own, 0))
    assert len(set(both.image_ids)) == len(both)
    assert any("cls: the regions of" in note and "are not used" in note for note in both.notes)
    task = task_of(both)
    assert (task.sources, task.source_classes) == (("cls", "seg"), (0, 0, 1))


def test_the_same_data_has_the_same_fingerprint(both: Collection) -> None:
    assert open_collection(BOTH, "single").fingerprint == both.fingerprint
    others = [f"cls={CLS},seg={SEG},seed=1", f"cls={CLS},seed=1,seg={SEG}", f"cls={CLS}", f"seg={SEG}"]
    prints = {open_collection(parse_data(text), "single").fingerprint for text in others}
    assert len(prints | {both.fingerprint}) == 5


def test_classes_of_the_same_name_are_told_apart() -> None:
    spec = JoinedSpec.parse("cls=phantom:images=40,size=32,seg=phantom:images=40,size=32")
    found = open_collection(spec, "multi")
    names = ("nodule", "consolidation", "effusion", "pneumothorax")
    assert found.classes == tuple(f"{source}/{name}" for source in ("cls", "seg") for name in names)


def test_gray_and_rgb_are_refused(both: Collection) -> None:
    cls, seg = both.parts
    rgb = dataclasses.replace(seg, images=np.repeat(seg.images, 3, axis=1), source="b")
    with pytest.raises(DataError, match=r"has 1 and seg=b has 3 channels; expected both gray \(1\) or both RGB"):
        join(BOTH, {"cls": cls, "seg": rgb}, "single")


def test_one_source_of_the_two(both: Collection) -> None:
    cls, seg = (open_collection(JoinedSpec((source,)), "single") for source in BOTH.sources)
    np.testing.assert_array_equal(cls.labels, both.labels[:60, :2])
    np.testing.assert_array_equal(seg.truth, both.truth[60:, 2:])
    assert (cls.truth == UNKNOWN).all()
    assert (seg.labels == UNKNOWN).all()
    assert (cls.sources, cls.source_classes, seg.sources, seg.source_classes) == (("cls",), (0, 0), ("seg",), (0,))
    assert (seg.view, cls.image_ids[0], seg.image_ids[0]) == ("single", both.image_ids[0], both.image_ids[60])


def test_a_guard_hides_the_sources_themselves(both: Collection) -> None:
    split = make_split(both)
    guarded = guard(both, np.concatenate([split.train, split.tuning]))
    assert guarded.parts == ()
    np.testing.assert_array_equal(guarded.source_of, both.source_of)
    np.testing.assert_array_equal(guarded.images[split.tuning], both.images[split.tuning])
    with pytest.raises(RaysearchError, match="is outside the training and tuning splits"):
        guarded.images[split.test[:1]]
    assert (guarded.truth[split.test] == UNKNOWN).all()


# Division


def own_parts(both: Collection, split: Split, source: int) -> list[list[int]]:
    start = sum(both.source_images[:source])
    return [(part[both.source_of[part] == source] - start).tolist() for part in parts(split)]


@pytest.mark.parametrize("how", ["random", "fold:2/3"])
@pytest.mark.parametrize("seed", [0, 3])
def test_each_source_is_divided_as_it_is_alone(both: Collection, how: str, seed: int) -> None:
    split = make_split(both, how, seed, unlabelled=True)
    cls = make_split(open_collection(parse_data(CLS), "single"), how, seed, needs_regions=False, unlabelled=True)
    seg = make_split(open_collection(parse_data(SEG), "multi"), how, seed)
    assert own_parts(both, split, 0) == [part.tolist() for part in parts(cls)]
    assert own_parts(both, split, 1) == [part.tolist() for part in parts(seg)]
    assert any(note.startswith("seg: ") and "unlabelled images are in train" in note for note in split.notes)
    assert {warning.partition(":")[0] for warning in split.warnings} <= {"cls", "seg"}


def test_each_source_in_its_own_way(both: Collection, tmp_path: Path) -> None:
    seg = both.parts[1]
    known = np.flatnonzero((seg.truth != UNKNOWN).any(axis=1))
    owners = sorted(set(seg.patients[known].tolist()))
    test = lines(tmp_path / "t.txt", owners[:3])
    split = make_split(both, f"cls=random,seg=test={test}", seed=2)
    assert own_parts(both, split, 0) == own_parts(both, make_split(both, seed=2), 0)
    assert set(seg.patients[own_parts(both, split, 1)[2]]) == set(owners[:3])
    for how in ("cls=random", "cls=random,cls=random", "cls=random,seg=random,seg=official"):
        with pytest.raises(DataError, match="expected HOW for all, or for each source once: cls=HOW,seg=HOW"):
            make_split(both, how)
    with pytest.raises(DataError, match="is one source, with no name; expected HOW alone"):
        make_split(seg, "cls=random,seg=random")
    with pytest.raises(DataError, match=r"seg=phantom:.* has no published split"):
        make_split(both, "cls=random,seg=official")


def test_one_file_for_both(both: Collection, tmp_path: Path) -> None:
    """As the split.csv of a study of two sources."""
    split = make_split(both, seed=4)
    rows = [f"{both.image_ids[row]},{name}" for name in ("train", "tuning", "test") for row in getattr(split, name)]
    again = make_split(both, str(lines(tmp_path / "s.csv", ["image,split", *rows])))
    for one, other in zip(parts(split), parts(again), strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.digest == split.digest
    bare = lines(tmp_path / "b.csv", ["image,split", *(row.partition("/")[2] for row in rows)])
    with pytest.raises(DataError, match=r"is of no source; expected names that begin with cls/ or seg/, or a file for"):
        make_split(both, str(bare))


def linked(both: Collection) -> Collection:
    """Every third patient of the one source is one of the other too."""
    patients = both.patients.copy()
    names = sorted(set(patients[:60].tolist()))
    for number, name in enumerate(sorted(set(patients[60:].tolist()))[::3]):
        patients[patients == name] = names[number]
    return dataclasses.replace(both, patients=patients)


@pytest.mark.parametrize("seed", range(4))
def test_patients_of_both_sources_are_in_one_part(both: Collection, seed: int) -> None:
    data = linked(both)
    split = make_split(data, seed=seed)
    owners = [set(data.patients[part].tolist()) for part in parts(split)]
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]
    assert own_parts(data, split, 0) == own_parts(both, make_split(both, seed=seed), 0)


def test_the_same_folder_has_the_same_patients(tmp_path: Path) -> None:
    make_nih(tmp_path / "nih")
    make_covid(tmp_path / "covid")
    nih = f"chestxray14:{tmp_path}/nih,size=32"
    twice = open_collection(parse_data(f"cls={nih},task=normal-vs-pneumonia,seg={nih}"), "multi")
    other = open_collection(parse_data(f"cls={nih},seg=covid_chestxray:{tmp_path}/covid,size=32"), "multi")
    first, second = (set(twice.patients[twice.source_of == source].tolist()) for source in (0, 1))
    assert first & second
    first, second = (set(other.patients[other.source_of == source].tolist()) for source in (0, 1))
    assert not first & second


# What training may see


def test_limits_count_images_of_their_source(both: Collection) -> None:
    split = make_split(both, seed=1)
    of = both.source_of
    cls, seg = (split.train[of[split.train] == source] for source in (0, 1))
    found = choose_annotated(both, split.train, 5.0, 0.5, 1)
    assert len(found.annotated) == 5
    assert set(found.annotated) <= set(seg)
    assert set(cls) <= set(found.train)
    assert len(found.train) == len(cls) + 5 + round(0.5 * (len(seg) - 5) + 1e-9)
    share = choose_annotated(both, split.train, 5 / len(seg), 0.5, 1)
    np.testing.assert_array_equal(share.annotated, found.annotated)
    labels = choose_labelled(both, split.train, 10.0, 1).labelled
    assert set(labels) <= set(cls)
    assert (both.labels[labels] == PRESENT).sum(axis=0).tolist() == [5, 5, 0]
    pool = pool_of(both, found.train, found.annotated, labels)
    assert pool.labelled.sum() == 10
    assert pool.annotated.sum() == 5
    assert not (pool.labelled & pool.annotated).any()
    np.testing.assert_array_equal(pool.source, of[found.train])


# What `data check` says


def test_check_of_both() -> None:
    report = check_joined(BOTH)
    assert report.ok
    assert report.joined is not None
    lungs = report.joined.classes[2]
    alone = report.sources["seg"].classes[0]
    assert (lungs.name, lungs.images, lungs.present, lungs.unknown) == ("lungs", 0, alone.present, 100 - alone.present)
    assert lungs.foreground_share == alone.foreground_share is not None
    assert report.joined.images == 100
    assert [report.joined.classes[label].absent for label in (0, 1)] == [0, 0]
    assert report.sources["cls"].classes[0].absent > 0
    assert set(report.as_dict()) == {"source", "sources", "joined", "ok"}
    text = "\n".join(report.lines())
    assert text.index("cls:") < text.index("seg:") < text.index("together:")


def test_check_names_the_problems_of_each(tmp_path: Path) -> None:
    (make_nih(tmp_path) / "images" / sorted(p.name for p in (tmp_path / "images").iterdir())[0]).unlink()
    report = check_joined(JoinedSpec.parse(f"cls=chestxray14:{tmp_path},size=64,seg=phantom"))
    assert not report.ok
    assert report.joined is None
    assert all(problem.startswith("cls: ") for problem in report.problems)


@pytest.mark.parametrize("other", ["", "/chest_xray", "/../link"])
def test_a_release_has_the_same_patients_by_all_its_paths(tmp_path: Path, other: str) -> None:
    """By its own folder, its parent or a link to either."""
    root = make_kermany(tmp_path / "kermany")
    (tmp_path / "link").symlink_to(root)
    spec = JoinedSpec.parse(f"cls=kermany:{root},size=32,seg=kermany:{root}{other},size=32")
    owners = open_collection(spec, "single").patients
    assert owners[:11].tolist() == owners[11:].tolist()


def test_a_patient_of_one_source_is_nobody_else_in_the_other(tmp_path: Path) -> None:
    """Images of one patient could fall in two parts otherwise."""
    root = make_glas(tmp_path)
    spec = JoinedSpec.parse(f"cls=glas:{root},size=32,seg=glas:{root},patients=image,size=32")
    with pytest.raises(DataError, match=r"image 'testA_1.bmp' has another patient in each source; give both the same"):
        open_collection(spec, "single")
