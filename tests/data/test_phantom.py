"""The phantom as a collection: contract, reproducibility, labels, region truth, options."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN
from raysearch.data._manifest import ArrayManifest
from raysearch.data._phantom import PHANTOM_OPTIONS, PHANTOM_VERSION, TASKS, phantom_arrays
from raysearch.data.phantom import LABEL_NOISE, annotated_rows
from raysearch.errors import DataError

View = Literal["single", "multi"]


@pytest.fixture(scope="module")
def multi() -> ArrayManifest:
    return phantom_arrays("multi", size=32, images=400)


@pytest.fixture(scope="module")
def single() -> ArrayManifest:
    return phantom_arrays("single", size=32, images=400)


def foreground(data: ArrayManifest) -> dict[str, float]:
    """Mean share of the image that a class's region covers, over the images where it is present."""
    return {
        name: float(data.masks[data.mask_row[data.truth[:, k] == PRESENT, k]].mean())
        for k, name in enumerate(data.classes)
        if (data.truth[:, k] == PRESENT).any()
    }


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("view", ["single", "multi"])
@pytest.mark.parametrize("domain", ["a", "b"])
def test_arrays_keep_the_contract(task: str, view: View, domain: str) -> None:
    data = phantom_arrays(view, task=task, images=24, size=32, domain=domain, annotated=0.5)
    n, k = 24, len(TASKS[task])
    assert data.classes == TASKS[task]
    assert data.images.shape == (n, 1, 32, 32)
    assert data.labels.shape == data.truth.shape == data.mask_row.shape == (n, k)
    assert data.images.dtype.name == data.masks.dtype.name == "uint8"
    assert data.labels.dtype.name == data.truth.dtype.name == "int8"
    assert data.mask_row.dtype.name == "int32"
    assert set(np.unique(data.masks)) <= {0, 1}
    assert len(set(data.ids)) == n == len(data.patients) == len(data.official)
    present = data.truth == PRESENT
    assert sorted(data.mask_row[present]) == list(range(len(data.masks)))
    assert (data.mask_row[~present] == -1).all()
    unknown = (data.truth == UNKNOWN).all(1)
    assert abs(unknown.sum() - n // 2) <= 2
    assert (data.truth[~unknown] != UNKNOWN).all()


def test_same_options_same_arrays() -> None:
    one, two = phantom_arrays("multi", images=16, size=32), phantom_arrays("multi", images=16, size=32)
    for name in ("images", "labels", "truth", "mask_row", "masks", "patients"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_version_1_is_frozen() -> None:
    """A change here raises PHANTOM_VERSION, is a CHANGELOG entry and runs every published table again."""
    assert PHANTOM_VERSION == 1
    digest = hashlib.sha256()
    for task in TASKS:
        for view, domain in (("single", "a"), ("multi", "b")):
            data = phantom_arrays(view, task=task, images=16, size=32, domain=domain)  # type: ignore[arg-type]
            for array in (data.images, data.labels, data.truth, data.mask_row, data.masks):
                digest.update(np.ascontiguousarray(array).tobytes())
    assert digest.hexdigest()[:16] == "0278b79a55b3da44"


@pytest.mark.parametrize("change", [{"seed": 1}, {"domain": "b"}, {"task": "lungs"}])
def test_other_sources_show_other_patients(change: dict[str, Any]) -> None:
    one = phantom_arrays("multi", images=16, size=32)
    other = phantom_arrays("multi", **({"images": 16, "size": 32} | change))
    assert not set(one.patients) & set(other.patients)
    assert not set(one.ids) & set(other.ids)
    assert not (one.images == other.images).all((1, 2, 3)).any()


@pytest.mark.parametrize("task", TASKS)
def test_an_image_does_not_depend_on_how_many_there_are(task: str) -> None:
    few = phantom_arrays("multi", task=task, images=17, size=32, annotated=0.6)
    many = phantom_arrays("multi", task=task, images=40, size=32, annotated=0.6)
    for name in ("images", "labels", "truth", "mask_row", "patients"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name)[:17])
    np.testing.assert_array_equal(few.masks, many.masks[: len(few.masks)])


def test_shapes_do_not_depend_on_the_size() -> None:
    coarse, fine = (phantom_arrays("multi", images=16, size=size) for size in (48, 144))
    np.testing.assert_array_equal(coarse.truth, fine.truth)
    centre = fine.masks[:, 1::3, 1::3]
    overlap = (coarse.masks & centre).sum((1, 2)) / (coarse.masks | centre).sum((1, 2))
    assert overlap.min() > 0.99
    shrunk = fine.images.reshape(16, 48, 3, 48, 3).mean((2, 4))
    for small, large in zip(coarse.images[:, 0], shrunk, strict=True):
        assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.95


def test_single_view_holds_one_class_an_image(single: ArrayManifest) -> None:
    assert ((single.labels == PRESENT).sum(1) == 1).all()
    assert ((single.truth == PRESENT).sum(1) == 1).all()
    assert ((single.truth == PRESENT).sum(0) > 70).all()
    wrong = (single.labels != single.truth).any(1).mean()
    assert 0 < wrong < 2.5 * LABEL_NOISE


def test_multi_view_holds_any_number(multi: ArrayManifest) -> None:
    counts = np.bincount((multi.truth == PRESENT).sum(1))
    assert len(counts) > 3
    assert counts[0] > 40
    wrong = (multi.labels != multi.truth).mean()
    assert 0.4 * LABEL_NOISE < wrong < 2 * LABEL_NOISE
    assert len(multi.notes) == 1


def test_every_region_is_there_at_the_smallest_size(multi: ArrayManifest) -> None:
    assert multi.masks.any((1, 2)).all()


def test_findings_differ_in_size_and_leave_most_of_the_image_out(single: ArrayManifest) -> None:
    share = foreground(single)
    assert 0.02 < share["nodule"] < 0.6 * share["effusion"]
    assert max(share["effusion"], share["pneumothorax"]) < 0.8 * share["consolidation"] < 0.2
    assert 0.07 < np.mean(list(share.values())) < 0.12
    every = single.masks.mean((1, 2))
    assert (2 * every / (1 + every)).mean() < 0.2  # F1+ of predicting everything


def test_patients_have_one_to_four_images_and_their_own_anatomy() -> None:
    data = phantom_arrays("multi", task="lungs", images=120, size=32)
    _, owner, counts = np.unique(data.patients, return_inverse=True, return_counts=True)
    assert counts.max() == 4
    assert (np.diff(np.unique(data.patients, return_index=True)[1]) > 0).all()
    area = data.masks[data.mask_row[:, 0]].mean((1, 2))
    means = np.bincount(owner, area) / counts
    within = (area - means[owner]).std()
    assert within < 0.8 * area.std()


def test_a_patient_keeps_findings(multi: ArrayManifest) -> None:
    same = multi.patients[1:] == multi.patients[:-1]
    agree = (multi.truth[1:] == multi.truth[:-1]).mean(1)
    assert agree[same].mean() > agree[~same].mean() + 0.05


def test_normal_against_abnormal() -> None:
    data = phantom_arrays("single", task="normal-vs-abnormal", size=32, images=200)
    abnormal = data.truth[:, 1] == PRESENT
    assert 0.35 < abnormal.mean() < 0.65
    assert (data.truth[:, 0] == ABSENT).all()
    right = data.labels[:, 1] == abnormal
    assert 0.94 < right.mean() < 1
    np.testing.assert_array_equal(data.labels.sum(1), 1)
    assert 0.05 < foreground(data)["abnormal"] < 0.2


def test_lungs_without_masks_are_an_unlabelled_pool() -> None:
    data = phantom_arrays("multi", task="lungs", images=40, size=32, annotated=0.25)
    known = data.truth[:, 0] == PRESENT
    assert known.sum() == 10
    np.testing.assert_array_equal(data.labels, data.truth)
    assert (data.labels[~known] == UNKNOWN).all()
    assert 0.2 < foreground(data)["lungs"] < 0.4
    assert data.notes == ()


def test_annotated_none_and_all() -> None:
    none = phantom_arrays("multi", images=16, size=32, annotated=0.0)
    assert (none.truth == UNKNOWN).all()
    assert none.masks.shape == (0, 32, 32)
    everything = phantom_arrays("multi", images=16, size=32)
    assert (everything.truth != UNKNOWN).all()
    np.testing.assert_array_equal(none.labels, everything.labels)
    np.testing.assert_array_equal(none.images, everything.images)


@given(st.integers(0, 99), st.integers(1, 300), st.floats(0, 1), st.floats(0, 1))
def test_annotated_images_are_nested_and_even(seed: int, images: int, one: float, two: float) -> None:
    less, more = (annotated_rows(seed, (0, 0, 0), images, share) for share in sorted((one, two)))
    assert not (less & ~more).any()
    assert abs(less.sum() - min(one, two) * images) < 3


def test_defaults_are_the_signature() -> None:
    assert phantom_arrays.__kwdefaults__ == dict(PHANTOM_OPTIONS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 15}, "images=15 .* at least 16"),
        ({"size": 31}, "size=31 .* at least 32"),
        ({"annotated": 1.5}, "annotated=1.5 .* from 0 to 1"),
        ({"annotated": float("nan")}, "annotated=nan"),
        ({"task": "finding"}, "unknown task 'finding', did you mean 'findings'"),
        ({"domain": "c"}, "unknown domain 'c', known: a, b"),
        ({"seed": -1}, "seed=-1 .* 0 or more"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        phantom_arrays("multi", **options)
    assert "\n" not in str(caught.value)
