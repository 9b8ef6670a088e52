from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.made_collections import collection, one_hot, parts, write
from raysearch.data import ABSENT, PRESENT, UNKNOWN, Collection, make_folds, make_split
from raysearch.errors import DataError


@st.composite
def patient_tables(draw: st.DrawFn) -> Collection:
    count = draw(st.integers(40, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    view = draw(st.sampled_from(["single", "multi"]))
    patients = rng.integers(0, draw(st.integers(20, 80)), count)
    labels = one_hot(rng.integers(0, 2, count)) if view == "single" else rng.integers(0, 2, (count, 3)).astype(np.int8)
    labels[rng.random(count) < draw(st.sampled_from([0.0, 0.1]))] = UNKNOWN
    known = (rng.random(labels.shape) < draw(st.sampled_from([0.5, 1.0]))) & (labels != UNKNOWN)
    return collection(labels, np.where(known, labels, UNKNOWN), patients, view=view)


@given(data=patient_tables(), seed=st.integers(0, 5))
def test_random_split_is_a_division_by_patient(data: Collection, seed: int) -> None:
    split = make_split(data, "random", seed)
    rows = np.concatenate(parts(split))
    labelled = np.flatnonzero((data.labels != UNKNOWN).any(axis=1))
    assert len(np.unique(rows)) == len(rows)
    assert set(labelled) <= set(rows.tolist())
    if data.view == "single":
        assert set(labelled) == set(rows.tolist())
    owners = [set(data.patients[part]) for part in parts(split)]
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]
    for part in parts(split):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    again = make_split(data, "random", seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts(split), parts(again), strict=True))
    assert again.digest == split.digest


def test_random_split_keeps_shares_of_classes_and_regions() -> None:
    rng = np.random.default_rng(0)
    labels = one_hot((rng.random(1000) < 0.1).astype(int))
    truth = np.where(labels == PRESENT, np.where(rng.random((1000, 1)) < 0.3, PRESENT, UNKNOWN), ABSENT)
    data = collection(labels, truth, rng.integers(0, 400, 1000))
    split = make_split(data)
    for part, share in zip(parts(split), (0.6, 0.2, 0.2), strict=True):
        for column in (0, 1):
            total = (labels[:, column] == PRESENT).sum()
            assert abs((labels[part, column] == PRESENT).sum() - share * total) <= max(2, 0.02 * total)
            regions = (truth[:, column] == PRESENT).sum()
            assert abs((truth[part, column] == PRESENT).sum() - share * regions) <= max(2, 0.05 * regions)


def test_other_seeds_give_other_splits_with_other_digests() -> None:
    data = collection(one_hot([0, 1] * 50))
    assert len({make_split(data, seed=seed).digest for seed in range(5)}) == 5


def test_unlabelled_images_train_in_the_multi_view_only() -> None:
    labels = np.concatenate([one_hot([0, 1] * 20), np.full((10, 2), UNKNOWN)])
    patients = [*range(40), *range(35, 45)]  # five of the ten belong to patients with labels
    single = make_split(collection(labels, patients=patients))
    assert sum(map(len, parts(single))) == 40
    assert single.notes == ("10 unlabelled images are in no part",)
    multi = make_split(collection(labels, patients=patients, view="multi"))
    held_out = {str(p) for part in (multi.tuning, multi.test) for p in np.asarray(patients)[part]}
    free = [row for row in range(40, 50) if str(patients[row]) not in held_out]
    assert set(free) == {row for row in multi.train.tolist() if row >= 40}
    assert not [row for row in [*multi.tuning, *multi.test] if row >= 40]


def nih_like() -> Collection:
    """Ten boxed patients of two images, all in the published test part; train has labels alone."""
    count = 100
    classes = np.arange(count) % 2
    labels = one_hot(classes)
    official = np.array(["train"] * 60 + ["test"] * 40)
    patients = np.arange(count) // 2
    truth = np.where(labels == PRESENT, UNKNOWN, ABSENT)
    truth[61:81:2, 1] = PRESENT
    return collection(labels, truth, patients, official)


def test_official_divides_the_boxed_patients_in_thirds() -> None:
    data = nih_like()
    split = make_split(data, "official")
    boxed = [sorted(set(data.patients[p]) & {str(n) for n in range(30, 40)}) for p in parts(split)]
    assert [len(names) for names in boxed] in ([4, 3, 3], [3, 4, 3], [3, 3, 4])
    published_test = np.arange(60, 100)
    rest = [row for row in published_test if data.patients[row] not in {str(n) for n in range(30, 40)}]
    assert set(rest) <= set(split.test.tolist())
    assert set(split.test.tolist()) <= set(published_test.tolist())
    from_train = np.intersect1d(split.tuning, np.arange(60))
    assert len(from_train) == 12
    assert len(np.unique(np.concatenate(parts(split)))) == 100


def test_official_keeps_published_test_whole_where_train_has_regions() -> None:
    labels = one_hot([0, 1] * 30)
    data = collection(labels, official=np.array(["train"] * 40 + ["test"] * 20))
    split = make_split(data, "official")
    assert split.test.tolist() == list(range(40, 60))
    assert len(split.tuning) == 8
    assert (labels[split.tuning] == PRESENT).sum(axis=0).tolist() == [4, 4]


def test_official_needs_published_parts_without_shared_patients() -> None:
    labels = one_hot([0, 1] * 30)
    with pytest.raises(DataError, match=r"made has no published split; use --split random"):
        make_split(collection(labels), "official")
    official = np.array(["train"] * 40 + ["test"] * 20)
    patients = np.arange(60)
    patients[50] = 3
    with pytest.raises(DataError, match=r"share 1 patients, '3' for one"):
        make_split(collection(labels, patients=patients, official=official), "official")
    official[5] = ""
    patients[50] = 50
    split = make_split(collection(labels, patients=patients, official=official), "official")
    assert split.notes == ("1 labelled images are in no published part and left out",)


@given(data=patient_tables(), folds=st.integers(2, 5), seed=st.integers(0, 5))
def test_each_annotated_patient_is_tested_once(data: Collection, folds: int, seed: int) -> None:
    boxed = (data.truth == PRESENT).any(axis=1)
    owners = set(data.patients[boxed].tolist())
    if len(owners) < 3 * folds:
        return  # too few for a tuning part
    splits = make_folds(data, folds, seed)
    tested = [set(data.patients[split.test].tolist()) for split in splits]
    assert len(splits) == folds
    assert set().union(*tested) == owners
    assert sum(map(len, tested)) == len(owners)
    assert len({split.digest for split in splits}) == folds
    for number, split in enumerate(splits, 1):
        assert split.how == f"fold:{number}/{folds}"
        again = make_split(data, split.how, seed)
        assert all(np.array_equal(a, b) for a, b in zip(parts(split), parts(again), strict=True))
        people = [set(data.patients[part].tolist()) for part in parts(split)]
        assert not people[0] & people[1]
        assert not people[0] & people[2]
        assert not people[1] & people[2]
        assert people[1] <= owners, "only annotated images are scored"
        known = (data.labels != UNKNOWN).any(axis=1)
        assert set(np.flatnonzero(known)) <= set(np.concatenate(parts(split)).tolist())


def test_folds_share_regions_alike() -> None:
    truth = np.full((200, 2), UNKNOWN)
    truth[:100, 0] = truth[80:120, 1] = PRESENT
    splits = make_folds(collection(np.ones((200, 2)), truth, view="multi"), 5)
    for split in splits:
        np.testing.assert_allclose((truth[split.test] == PRESENT).sum(axis=0), [20, 8], atol=2)
        np.testing.assert_allclose((truth[split.tuning] == PRESENT).sum(axis=0), [16, 6.4], atol=2)
        np.testing.assert_allclose([len(part) for part in parts(split)], [157, 19, 24], atol=2)


@pytest.mark.parametrize("how", ["fold:0/5", "fold:6/5", "fold:1/1", "fold:1", "fold:", "fold:a/b", "fold:1/5/2"])
def test_folds_that_are_none(how: str) -> None:
    with pytest.raises(DataError, match=rf"--split {how}: expected fold:I/K, fold I of K, with K at least 2") as error:
        make_split(collection(one_hot([0, 1] * 20)), how)
    assert "\n" not in str(error.value)


def test_more_folds_than_patients_with_a_region() -> None:
    truth = np.full((40, 2), UNKNOWN)
    truth[:3, 0] = PRESENT
    data = collection(one_hot([0, 1] * 20), truth, [0, 0, 1, *range(3, 40)])
    with pytest.raises(DataError, match=r"2 patients of made have a region; expected at most as many folds"):
        make_folds(data, 3)
    with pytest.raises(DataError, match=r"expected fold:I/K"):
        make_folds(data, 1)


def test_parts_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(DataError, match=r"leaves test empty \(2 patients\)"):
        make_split(collection(one_hot([0, 1] * 5), patients=[0, 1] * 5))
    labels = one_hot([0, 1] * 10)
    nothing = np.full_like(labels, UNKNOWN)
    with pytest.raises(DataError, match=r"has an annotated region in tuning \(0 in all parts\), .* such as auc"):
        make_split(collection(labels, nothing))
    assert len(make_split(collection(labels, nothing), needs_regions=False).train) == 12
    with pytest.raises(DataError, match=r"made holds no image of class 'b' to learn from; choose another task"):
        make_split(collection(one_hot([0] * 20)))


def test_train_without_a_class_is_refused_in_the_single_view(tmp_path: Path) -> None:
    data = collection(one_hot([0, 0, 0, 1, 1, 0]))
    path = write(tmp_path / "s.csv", ["i0,train", "i1,train", "i2,tuning", "i3,tuning", "i4,test", "i5,test"])
    with pytest.raises(DataError, match=r"train holds no image of class 'b' to learn from; use another --split"):
        make_split(data, path)


def test_warnings_say_what_to_do() -> None:
    rng = np.random.default_rng(0)
    labels = one_hot(rng.integers(0, 3, 900), 3)
    truth = np.where(labels == PRESENT, UNKNOWN, ABSENT)
    truth[labels[:, 0] == PRESENT, 0] = PRESENT
    truth[np.flatnonzero(labels[:, 1] == PRESENT)[:5], 1] = PRESENT
    split = make_split(collection(labels, truth))
    assert [warning.split(":")[0] for warning in split.warnings] == [
        "tuning has fewer than 5 patients with a region of b 1",
        "the data has no annotated region of c",
    ]
    few = make_split(collection(one_hot([0, 1] * 50)))
    assert few.warnings[0].startswith("tuning has fewer than 50 images of a 10, b 10: ")
    enough = make_split(collection(one_hot([0, 1] * 300)))
    assert enough.warnings == ()


def test_unlabelled_images_train_where_a_method_uses_them() -> None:
    labels = np.concatenate([one_hot([0, 1] * 20), np.full((10, 2), UNKNOWN)])
    patients = [*range(40), *range(35, 45)]
    data = collection(labels, patients=patients)
    without, used = make_split(data), make_split(data, unlabelled=True)
    np.testing.assert_array_equal(without.test, used.test)
    np.testing.assert_array_equal(without.tuning, used.tuning)
    held_out = {patients[row] for row in (*used.tuning, *used.test)}
    assert {*used.train} - {*without.train} == {row for row in range(40, 50) if patients[row] not in held_out}


def chexpert_like() -> Collection:
    """Regions in published valid and test alone."""
    labels = one_hot([0, 1] * 60)
    official = np.array(["train"] * 60 + ["valid"] * 40 + ["test"] * 20)
    truth = np.full_like(labels, UNKNOWN)
    truth[61:91:2, 1] = truth[100:, 0] = PRESENT
    return collection(labels, truth, np.arange(120) // 2, official)


def test_official_divides_the_boxed_patients_of_a_published_validation_part() -> None:
    data = chexpert_like()
    split = make_split(data, "official")
    boxed = set(range(30, 45))
    assert set(split.test.tolist()) == set(range(100, 120))
    assert set(range(60)) <= set(split.train.tolist())
    from_valid = {int(p) for p in data.patients[split.train] if int(p) >= 30}
    assert from_valid <= boxed
    assert len(from_valid) == 11
    assert {int(p) for p in data.patients[split.tuning]} == set(range(30, 50)) - from_valid


def test_a_published_validation_part_is_tuning() -> None:
    labels = one_hot([0, 1] * 30)
    official = np.array(["train"] * 30 + ["valid"] * 10 + ["test"] * 20)
    split = make_split(collection(labels, official=official), "official")
    assert [part.tolist() for part in parts(split)] == [[*range(30)], [*range(30, 40)], [*range(40, 60)]]
    with pytest.raises(DataError, match="made has no labelled image in a published test part; use --split random"):
        make_split(collection(labels, official=np.where(official == "test", "", official)), "official")


def test_folds_of_images_without_regions() -> None:
    labels = one_hot([0, 1] * 20)
    data = collection(labels, np.full_like(labels, UNKNOWN), np.arange(40) // 2)
    tested = [make_split(data, f"fold:{fold}/4", needs_regions=False).test for fold in range(1, 5)]
    assert sorted(np.concatenate(tested).tolist()) == list(range(40))
    with pytest.raises(DataError, match="0 patients of made have a region"):
        make_split(data, "fold:1/4")
