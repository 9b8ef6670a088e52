"""What holds of every kind of evidence."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from threshold_examples import MAKERS, assert_equal, random_batch

from raysearch.thresholds import KINDS, Counts, Evidence, Logits, Maps, Ranks

kinds = pytest.mark.parametrize("kind", list(KINDS))


def test_every_kind_is_tested() -> None:
    assert MAKERS.keys() == KINDS.keys()
    assert all(cls.kind == kind for kind, cls in KINDS.items())


@kinds
def test_does_not_depend_on_batches_or_their_order(kind: str) -> None:
    make = MAKERS[kind]
    whole = make(np.arange(6))
    assert len(whole) > 6 or kind == "logits"
    merged = KINDS[kind].merge([make(np.array(rows)) for rows in ([4, 5], [0], [2, 1, 3])])
    assert_equal(merged, whole)


@kinds
def test_a_row_cannot_count_twice(kind: str) -> None:
    evidence = MAKERS[kind](np.arange(6))
    with pytest.raises(ValueError, match="twice"):
        KINDS[kind].merge([evidence, evidence])


@kinds
def test_parts_must_be_about_the_same_classes(kind: str) -> None:
    first, second = MAKERS[kind](np.arange(3)), MAKERS[kind](np.arange(3, 6))
    renamed = dataclasses.replace(second, classes=("c0", "c1", "other"))
    with pytest.raises(ValueError, match="same classes"):
        KINDS[kind].merge([first, renamed])


@kinds
def test_select_keeps_rows_together(kind: str) -> None:
    evidence = MAKERS[kind](np.arange(6))
    picked = evidence.select(evidence.patient == "p1")
    assert 0 < len(picked) < len(evidence)
    others = evidence.select(np.flatnonzero(evidence.patient != "p1"))
    assert_equal(KINDS[kind].merge([others, picked]), evidence)


@kinds
def test_a_batch_without_a_known_pair_adds_nothing(kind: str) -> None:
    whole = MAKERS[kind](np.arange(6))
    nothing = whole.select(np.zeros(len(whole), np.bool_))
    assert len(nothing) == 0
    assert_equal(KINDS[kind].merge([nothing, whole, nothing]), whole)


@kinds
def test_columns_of_other_lengths_or_types_are_refused(kind: str) -> None:
    evidence = MAKERS[kind](np.arange(6))
    for name, (dtype, _) in evidence.columns.items():
        column = getattr(evidence, name)
        with pytest.raises(ValueError, match=rf"{name} of \d+ rows must be|image of|of \d+ rows"):
            dataclasses.replace(evidence, **{name: column[:-1]})
        if dtype is not np.str_:
            with pytest.raises(ValueError, match=f"{name} of {len(evidence)} rows must be"):
                dataclasses.replace(evidence, **{name: column.astype(np.complex64)})


def test_maps_of_two_sizes_do_not_add_up() -> None:
    parts = [Maps.from_maps(**{**random_batch(seed, size=size), "rows": [seed * 10 + n for n in range(6)]})
             for seed, size in ((1, 12), (2, 8))]  # fmt: skip
    with pytest.raises(ValueError, match=r"same maps a row, got \[\(12, 12\), \(8, 8\)\]"):
        Maps.merge(parts)


def test_maps_hold_map_and_region_of_every_known_pair() -> None:
    batch = random_batch(1, size=11)
    evidence = Maps.from_maps(**batch)
    place = {row: n for n, row in enumerate(batch["rows"])}
    regions = evidence.regions()
    for r, (image, k) in enumerate(zip(evidence.image, evidence.label, strict=True)):
        np.testing.assert_array_equal(evidence.maps[r], batch["maps"][place[image], k])
        np.testing.assert_array_equal(regions[r], batch["masks"][place[image], k] == 1)


@pytest.mark.parametrize(
    ("cls", "change", "message"),
    [
        (Counts, {"foreground": np.ones}, "absent pair has no foreground"),
        (Ranks, {"tp": lambda shape, dtype: np.full(shape, 10_000, dtype)}, "more pixels inside"),
        (Ranks, {"region": np.ones}, "absent pair has no region"),
        (Maps, {"packed": np.ones}, "bits are set"),
        (Maps, {"packed": lambda shape, dtype: np.zeros((shape[0], 3), dtype)}, "do not have 3 bytes"),
        (Logits, {"scores": lambda shape, dtype: np.full(shape, np.nan, dtype)}, "found NaN"),
        (Logits, {"labels": lambda shape, dtype: np.zeros((shape[0], 2), dtype)}, "of 3 classes"),
    ],
)
def test_contradictions_are_refused(cls: type[Evidence], change: dict[str, Any], message: str) -> None:
    evidence = MAKERS[cls.kind](np.arange(6))
    wrong = {name: make(getattr(evidence, name).shape, getattr(evidence, name).dtype) for name, make in change.items()}
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(evidence, **wrong)
