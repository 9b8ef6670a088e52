"""Annotated shares: nested, every class where the number allows, and refused where nothing would be left."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data.made_collections import collection, one_hot
from raysearch.data import ABSENT, PRESENT, UNKNOWN, Annotation, Collection, choose_annotated, choose_labelled
from raysearch.data._ranked import budget, smallest_share
from raysearch.errors import DataError


@st.composite
def sparse_tables(draw: st.DrawFn) -> Collection:
    """Up to 80 images of up to 40 patients; regions of 3 classes, some rare."""
    count = draw(st.integers(2, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    truth = np.where(rng.random((count, 3)) < rng.choice([0.02, 0.2, 0.9], 3), PRESENT, UNKNOWN)
    return collection(np.ones((count, 3)), truth, rng.integers(0, draw(st.integers(1, 40)), count), view="multi")


def train_rows(data: Collection) -> np.ndarray:
    """All but the last fifth."""
    return np.arange(len(data) - len(data) // 5)


@given(sparse_tables(), st.integers(0, 3), st.lists(st.floats(0, 1), min_size=2, max_size=4))
def test_shares_are_nested_and_reach_every_class(data: Collection, seed: int, shares: list[float]) -> None:
    train = train_rows(data)
    present = data.truth[train] == PRESENT
    candidates = set(train[present.any(axis=1)].tolist())
    assume(candidates)
    smaller: set[int] = set()
    for share in sorted(shares):
        wanted = int(share * len(train) + 0.5)
        if not wanted:
            with pytest.raises(DataError, match="leaves no annotated image"):
                choose_annotated(data, train, share, 1.0, seed)
            continue
        found = choose_annotated(data, train[::-1], share, 1.0, seed)
        chosen = set(found.annotated.tolist())
        assert len(chosen) == len(found.annotated) == min(wanted, len(candidates))
        assert smaller <= chosen <= candidates
        np.testing.assert_array_equal(found.train, train)
        if len(chosen) >= present.any(axis=0).sum():
            given_ = (data.truth[found.annotated] == PRESENT).any(axis=0)
            np.testing.assert_array_equal(given_, present.any(axis=0))
        assert bool(found.notes) == (wanted > len(candidates) or "leaves no annotated image of" in str(found.notes))
        smaller = chosen


def test_the_rarest_class_comes_first_and_patients_are_spread() -> None:
    truth = np.full((9, 3), UNKNOWN)
    truth[:6, 0] = truth[6:8, 1] = truth[8, 2] = PRESENT
    data = collection(np.ones((9, 3)), truth, [0, 0, 0, 1, 1, 1, 2, 2, 3], view="multi")

    def chosen(images: int, seed: int = 0) -> list[int]:
        return choose_annotated(data, np.arange(9), images / 9, 1.0, seed).annotated.tolist()

    assert chosen(1) == [8]
    assert [row // 6 for row in chosen(2)] == [1, 1]
    assert sum(row < 6 for row in chosen(3)) == 1
    for seed in range(10):
        of_class_0 = [row for row in chosen(5, seed) if row < 6]
        assert sorted(row // 3 for row in of_class_0) == [0, 1], "nobody's second image before another one's first"
    assert len({tuple(chosen(3, seed)) for seed in range(20)}) > 2


@given(sparse_tables(), st.sampled_from([None, 0.3, 1.0]), st.floats(0, 1), st.floats(0, 1))
def test_unannotated_images_are_limited(data: Collection, share: float | None, one: float, other: float) -> None:
    train = train_rows(data)
    boxed = (data.truth[train] == PRESENT).any(axis=1)
    assume(boxed.any())
    assume(share is None or int(share * len(train) + 0.5))
    less, more = (choose_annotated(data, train, share, unannotated, 1) for unannotated in sorted((one, other)))
    for found, unannotated in ((less, min(one, other)), (more, max(one, other))):
        kept = set(found.annotated) if share is not None else set(train[boxed])
        assert kept <= set(found.train) <= set(train)
        assert len(found.train) == len(kept) + int(unannotated * (len(train) - len(kept)) + 0.5)
        if share is None:
            np.testing.assert_array_equal(found.annotated, found.train)
    assert set(less.train) <= set(more.train)


def test_nothing_asked_nothing_hidden() -> None:
    data = collection(one_hot([0, 1] * 5))
    found = choose_annotated(data, np.arange(8), None, 1.0, 0)
    assert isinstance(found, Annotation)
    assert found.train.tolist() == found.annotated.tolist() == list(range(8))
    assert found.notes == ()


def few(regions: int, images: int = 300) -> Collection:
    truth = np.full((images, 2), UNKNOWN)
    truth[:regions, 0] = PRESENT
    return collection(one_hot([0, 1] * (images // 2)), truth)


def test_too_few_annotated_images_are_all_used_and_said() -> None:
    found = choose_annotated(few(4), np.arange(300), 0.02, 1.0, 0)
    assert found.annotated.tolist() == [0, 1, 2, 3]
    assert found.notes == ("--annotated 0.02 of 300 training images is 6, and 4 have a region: all of them are used",)


def test_a_class_without_annotated_image_is_said() -> None:
    truth = np.full((40, 2), UNKNOWN)
    truth[:20, 0] = truth[20:22, 1] = PRESENT
    found = choose_annotated(collection(np.ones((40, 2)), truth, view="multi"), np.arange(40), 1 / 40, 1.0, 0)
    assert found.notes == ("--annotated 0.025 leaves no annotated image of a",)


@given(st.integers(1, 10**6))
def test_the_share_that_is_named_is_enough(images: int) -> None:
    named = float(f"{smallest_share(images):g}")
    assert budget("--annotated", named, images) == 1
    assert budget("--annotated", named * 0.9, images) == 0 or named * 0.9 * images >= 0.5


@pytest.mark.parametrize(
    ("annotated", "unannotated", "expected"),
    [
        (0.0, 1.0, "--annotated 0 of 300 training images leaves no annotated image; give at least 0.0017"),
        (0.001, 1.0, "--annotated 0.001 of 300 training images leaves no annotated image; give at least 0.0017"),
        (-0.1, 1.0, "--annotated -0.1: expected a share of the training images from 0 to 1, or a whole number of them"),
        (1.5, 1.0, "--annotated 1.5: expected a share of the training images from 0 to 1, or a whole number of them"),
        (float("inf"), 1.0, "--annotated inf: expected a share of the training images from 0 to 1, or a whole number"),
        (float("nan"), 1.0, "--annotated nan: expected a share of the training images from 0 to 1"),
        (0.5, 1.5, "--unannotated 1.5: expected a share of the training images from 0 to 1"),
        (0.001, 0.0, "--annotated 0.001 of 300 training images leaves no annotated image; give at least 0.0017"),
        (None, 0.0, r"--unannotated 0 leaves no training image of class 'b' of made; give a larger share"),
    ],
)
def test_shares_that_cannot_be(annotated: float | None, unannotated: float, expected: str) -> None:
    data = few(0) if annotated is None else few(20)
    if annotated is None:
        data = collection(one_hot([0] * 150 + [1] * 150), np.r_[np.full((150, 2), PRESENT), np.full((150, 2), UNKNOWN)])
    with pytest.raises(DataError, match=re.escape(expected)):
        choose_annotated(data, np.arange(300), annotated, unannotated, 0)


def test_no_region_in_train_is_refused() -> None:
    with pytest.raises(DataError, match="no training image of made has a region to keep; use another --split"):
        choose_annotated(few(4), np.arange(4, 300), 0.02, 1.0, 0)
    with pytest.raises(DataError, match="--unannotated 0 leaves no training image; give a larger share"):
        choose_annotated(few(4), np.arange(4, 300), None, 0.0, 0)


def test_a_number_of_images_is_a_share_of_them() -> None:
    truth = np.full((60, 2), UNKNOWN)
    truth[:40, 0] = truth[30:50, 1] = PRESENT
    data = collection(np.ones((60, 2)), truth, view="multi")
    for number in (2, 10, 30):
        by_number = choose_annotated(data, np.arange(60), float(number), 0.5, 3)
        by_share = choose_annotated(data, np.arange(60), number / 60, 0.5, 3)
        np.testing.assert_array_equal(by_number.annotated, by_share.annotated)
        np.testing.assert_array_equal(by_number.train, by_share.train)
        assert len(by_number.annotated) == number
    all_of_them = choose_annotated(data, np.arange(60), 100.0, 1.0, 3)
    assert len(all_of_them.annotated) == 50
    assert "--annotated 100 of 60 training images is 100, and 50 have a region" in all_of_them.notes[0]


@st.composite
def labelled_tables(draw: st.DrawFn) -> Collection:
    """Up to 80 images of up to 40 patients; 3 classes, some rare, some images without any label or any class."""
    count = draw(st.integers(4, 80))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    labels = np.where(rng.random((count, 3)) < rng.choice([0.02, 0.2, 0.6], 3), PRESENT, ABSENT)
    labels[rng.random(count) < draw(st.sampled_from([0.0, 0.3]))] = UNKNOWN
    return collection(labels, None, rng.integers(0, draw(st.integers(1, 40)), count), view="multi")


@given(labelled_tables(), st.integers(0, 3), st.lists(st.integers(2, 60), min_size=2, max_size=4))
def test_labels_are_nested_and_reach_every_class(data: Collection, seed: int, numbers: list[int]) -> None:
    train = train_rows(data)
    labels = data.labels[train]
    known = (labels != UNKNOWN).any(axis=1)
    marks = np.column_stack([labels == PRESENT, known & ~(labels == PRESENT).any(axis=1)])
    assume(known.any())
    smaller: set[int] = set()
    for number in sorted(numbers):
        found = choose_labelled(data, train, float(number), seed)
        chosen = set(found.labelled.tolist())
        assert len(chosen) == min(number, int(known.sum()))
        assert smaller <= chosen <= set(train[known].tolist())
        if number >= marks.any(axis=0).sum():
            np.testing.assert_array_equal(marks[np.isin(train, found.labelled)].any(axis=0), marks.any(axis=0))
        smaller = chosen
    np.testing.assert_array_equal(choose_labelled(data, train, None, seed).labelled, train)


def test_labels_are_balanced_over_classes() -> None:
    data = collection(one_hot([0] * 90 + [1] * 10))
    for number in (2, 8, 20):
        chosen = choose_labelled(data, np.arange(100), float(number), 0).labelled
        assert (data.labels[chosen] == PRESENT).sum(axis=0).tolist() == [number / 2] * 2
    assert len(choose_labelled(data, np.arange(100), 0.3, 0).labelled) == 30
    sets = {tuple(choose_labelled(data, np.arange(100), 4.0, seed).labelled) for seed in range(10)}
    assert len(sets) > 2


def test_labels_that_cannot_be_spent() -> None:
    data = collection(one_hot([0, 1, 2] * 5, 3))
    expected = "--labelled 2 of 15 training images leaves no label of [abc]; give at least 3 images"
    with pytest.raises(DataError, match=expected):
        choose_labelled(data, np.arange(15), 2.0, 0)
    with pytest.raises(DataError, match="--labelled 0 of 15 training images leaves no label of a, b, c"):
        choose_labelled(data, np.arange(15), 0.0, 0)
    with pytest.raises(DataError, match=r"--labelled 3.5: expected a share .* or a whole number of them above 1"):
        choose_labelled(data, np.arange(15), 3.5, 0)
    assert choose_labelled(data, np.arange(15), 1.0, 0).notes == ()
    (note,) = choose_labelled(data, np.arange(15), 40.0, 0).notes
    assert note == "--labelled 40 of 15 training images is 40, and 15 have a label: all of them are used"
