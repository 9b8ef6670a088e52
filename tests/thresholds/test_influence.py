"""What each patient adds to a value, of every kind of metric."""

from __future__ import annotations

import math

import numpy as np
import pytest

from raysearch.thresholds import (
    Counts,
    Logits,
    at,
    cross_fit,
    find_metric,
    influence,
    jackknife,
    mask_metric,
    pack,
    quantise,
    unpack,
)

CLASSES = ("a", "b")


def counts(patients: list[str], truth: np.ndarray | None = None) -> Counts:  # type: ignore[type-arg]
    """Maps of noise, brighter inside the regions; two classes."""
    rng = np.random.default_rng(0)
    images = len(patients)
    masks = (rng.random((images, 2, 8, 8)) < 0.3).astype(np.uint8)
    maps = quantise(np.clip(0.6 * rng.random(masks.shape) + 0.4 * masks * rng.random(masks.shape), 0, 1))
    truth = np.ones((images, 2), np.int8) if truth is None else truth
    return Counts.from_maps(maps, masks, truth, np.arange(images), patients, CLASSES)


PATIENTS = ["p1", "p1", "p2", "p3", "p3", "p3", "p4", "p5"]


@pytest.mark.parametrize(
    "name", ["f1_plus", "f1_plus:classes", "iou_pooled:classes", "iou_per_image:classes", "cdice", "pxap"]
)
def test_it_is_the_value_minus_that_without_the_patient(name: str) -> None:
    found, metric = counts(PATIENTS), find_metric(name)
    plain = name in ("cdice", "pxap")
    added = influence(found, metric, None if plain else np.full((len(found), 1), 100))
    levels = None if plain else 100
    for patient, own in zip(sorted(set(PATIENTS)), added, strict=True):
        assert own == pytest.approx(
            at(found, metric, levels) - at(found.select(found.patient != patient), metric, levels)
        )


def test_thresholds_of_a_cross_fit_stay_as_they_were_chosen() -> None:
    found, metric = counts(PATIENTS), mask_metric("f1_plus")
    fit = cross_fit(found, metric)
    assert fit.scores is not None
    added = influence(found, metric, fit.applied(found).T)
    without = found.patient != "p3"
    assert added[2] == pytest.approx(fit.value - fit.scores[without].mean())


def test_a_patient_that_does_not_enter_adds_nothing_and_does_not_count() -> None:
    truth = np.ones((8, 2), np.int8)
    truth[6] = 0  # p4 has no region
    found, metric = counts(PATIENTS, truth), find_metric("f1_plus")
    levels = np.full((len(found), 1), 100)
    added = influence(found, metric, levels)
    assert added[3] == 0
    assert (np.delete(added, 3) != 0).all()
    assert jackknife(0.5, added) == jackknife(0.5, np.delete(added, 3))


def test_of_images_of_one_patient_each_the_interval_is_students() -> None:
    found, metric = counts([f"p{n}" for n in range(8)]), find_metric("f1_plus")
    added = influence(found, metric, np.full((len(found), 1), 100))
    scores = metric.function(*metric.statistics_at(found, np.full((16, 1), 100)))[:, 0].reshape(8, 2).mean(axis=1)  # type: ignore[union-attr]
    low, high = jackknife(0.5, added)[1:]
    assert (high - low) / 2 == pytest.approx(2.364624 * scores.std(ddof=1) / math.sqrt(8))


def test_labels_have_it_too() -> None:
    labels = np.tile(np.array([[1, 0], [0, 1]], np.int8), (4, 1))
    scores = np.random.default_rng(1).random((8, 2)).astype(np.float32)
    logits = Logits.from_scores(scores, labels, np.arange(8), [f"p{n}" for n in range(8)], CLASSES, "multi")
    metric = find_metric("auc")
    added = influence(logits, metric)
    assert added[0] == pytest.approx(at(logits, metric) - at(logits.select(np.arange(8) > 0), metric))


def test_a_patient_without_whom_there_is_no_value_has_none() -> None:
    truth = np.zeros((8, 2), np.int8)
    truth[6] = 1
    found = counts(PATIENTS, truth)
    added = influence(found, find_metric("f1_plus"), np.full((len(found), 1), 100))
    assert (added == 0).all()
    assert math.isnan(jackknife(0.4, added).low)


def test_many_patients_are_taken_together_and_the_interval_stays() -> None:
    rng = np.random.default_rng(2)
    images = 600
    masks = np.ones((images, 1, 4, 4), np.uint8)
    maps = (rng.random(masks.shape) * 255).astype(np.uint8)
    names = [f"p{n:04}" for n in range(images)]
    found = Counts.from_maps(maps, masks, np.ones((images, 1), np.int8), np.arange(images), names, ("a",))
    metric = find_metric("f1_plus")
    added = influence(found, metric, np.full((images, 1), 128))
    scores = metric.function(*metric.statistics_at(found, np.full((images, 1), 128)))[:, 0]  # type: ignore[union-attr]
    low, high = jackknife(0.0, added)[1:]
    assert len(added) == 256
    assert (high - low) / 2 == pytest.approx(1.96 * scores.std(ddof=1) / math.sqrt(images), rel=0.15)


def test_levels_are_needed_where_there_is_a_threshold() -> None:
    with pytest.raises(ValueError, match="f1_plus has a value at given levels only"):
        influence(counts(PATIENTS), find_metric("f1_plus"))


def test_it_is_written_in_four_bytes_a_patient() -> None:
    added = np.array([0.25, -0.125, 0.0])
    assert unpack(pack(added)).tolist() == added.tolist()
    assert len(pack(np.zeros(256))) < 1370
    with pytest.raises(ValueError, match="no influence"):
        unpack("###")
    with pytest.raises(ValueError, match="buffer size"):
        unpack("AAA=")
