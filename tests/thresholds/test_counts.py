from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from threshold_examples import naive_confusion, random_batch

from raysearch.thresholds import LEVELS, Confusion, Counts, areas_at, binarise


def _row(pixels: Confusion, row: int, level: int) -> tuple[int, int, int, int]:
    return tuple(int(count[row, level]) for count in (pixels.tp, pixels.fp, pixels.fn, pixels.tn))


@pytest.mark.parametrize("seed", range(3))
def test_equals_rethresholding_pixel_for_pixel_at_every_level(seed: int) -> None:
    batch = random_batch(seed)
    counts = Counts.from_maps(**batch)
    pixels = counts.confusion()
    known = np.argwhere(batch["truth"] >= 0)
    assert len(counts) == len(known)
    place = {(image, label): row for row, (image, label) in enumerate(zip(counts.image, counts.label, strict=True))}
    for n, k in known:
        row = place[batch["rows"][n], k]
        assert counts.patient[row] == batch["patients"][n]
        assert counts.present[row] == (batch["truth"][n, k] == 1)
        for level in range(LEVELS):
            predicted = binarise(batch["maps"][n, k], level)
            assert _row(pixels, row, level) == naive_confusion(predicted, batch["masks"][n, k] == 1)


@pytest.mark.parametrize("chosen", [0, 100, 256])
def test_areas_are_those_of_mask_and_region(chosen: int) -> None:
    batch = random_batch(2)
    counts = Counts.from_maps(**batch)
    levels = dict.fromkeys(counts.classes, 7) | {counts.classes[0]: chosen}
    row_of = {name: n for n, name in enumerate(batch["rows"])}
    for row, (mask, region) in enumerate(zip(*areas_at(counts, levels), strict=True)):
        n, k = row_of[counts.image[row]], counts.label[row]
        assert mask == binarise(batch["maps"][n, k], levels[counts.classes[k]]).mean()
        assert region == (batch["masks"][n, k] == 1).mean() * counts.present[row]


def test_one_map_is_compared_with_all_that_is_in_the_image() -> None:
    batch = random_batch(5, maps=1)
    batch["truth"] = np.array([[1, 0, -1], [1, 1, 0], [0, 0, -1], [-1, -1, -1], [-1, 1, -1], [-1, -1, 0]], np.int8)
    batch["rows"] = np.arange(6)
    batch["masks"][1] = np.random.default_rng(0).random((3, 12, 12)) < [[[0.2]], [[0.3]], [[0.0]]]
    counts = Counts.from_maps(**batch)
    pairs = list(zip(counts.image.tolist(), counts.label.tolist(), counts.present.tolist(), strict=True))
    # no absent row beside a present one: the map is about what is there
    assert pairs == [
        (0, 0, True), (1, 0, True), (1, 1, True), (2, 0, False), (2, 1, False), (4, 1, True), (5, 2, False),
    ]  # fmt: skip
    union = (batch["masks"][1, 0] | batch["masks"][1, 1]) == 1
    expected = naive_confusion(binarise(batch["maps"][1, 0], 100), union)
    assert _row(counts.confusion(), 1, 100) == _row(counts.confusion(), 2, 100) == expected


def test_does_not_depend_on_batches_or_their_order() -> None:
    batch = random_batch(1)
    whole = Counts.from_maps(**batch)
    parts = []
    for rows in ([4, 5], [0], [2, 1, 3]):
        part = {name: value if name == "classes" else np.asarray(value)[rows] for name, value in batch.items()}
        parts.append(Counts.from_maps(**part))
    merged = Counts.merge(parts)
    for field in dataclasses.fields(Counts):
        np.testing.assert_array_equal(getattr(merged, field.name), getattr(whole, field.name))


def test_a_pair_cannot_count_twice() -> None:
    counts = Counts.from_maps(**random_batch(1))
    with pytest.raises(ValueError, match="twice"):
        Counts.merge([counts, counts])


def test_select_keeps_rows_together() -> None:
    counts = Counts.from_maps(**random_batch(1))
    picked = counts.select(counts.label == 1)
    assert set(picked.label) == {1}
    np.testing.assert_array_equal(picked.foreground, counts.foreground[counts.label == 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": np.zeros((6, 3, 12, 12), np.float32)}, "expected uint8 maps"),
        ({"maps": np.zeros((6, 2, 12, 12), np.uint8)}, "expected uint8 maps"),
        ({"masks": np.zeros((6, 3, 12, 13), np.uint8)}, "expected uint8 maps"),
        ({"patients": ["p"] * 5}, "expected uint8 maps"),
    ],
)
def test_refuses_what_does_not_fit(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Counts.from_maps(**{**random_batch(0), **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"foreground": np.zeros((3, 255), np.uint32)}, "foreground of 3 rows"),
        ({"background": np.zeros((3, 256), np.int64)}, "background of 3 rows"),
        ({"label": np.array([0, 1, 2], np.int32)}, "labels of the classes"),
        ({"present": np.zeros(3, np.bool_)}, "absent pair has no foreground"),
    ],
)
def test_refuses_contradictions(change: dict, message: str) -> None:
    arrays = {
        "classes": ("a", "b"),
        "foreground": np.ones((3, 256), np.uint32),
        "background": np.ones((3, 256), np.uint32),
        "image": np.arange(3),
        "label": np.zeros(3, np.int32),
        "patient": np.array(["p", "q", "r"]),
        "present": np.ones(3, np.bool_),
    }
    Counts(**arrays)
    with pytest.raises(ValueError, match=message):
        Counts(**{**arrays, **change})
