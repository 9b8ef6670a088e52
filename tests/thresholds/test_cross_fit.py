from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threshold_examples import random_batch, tables

from raysearch.thresholds import Counts, CrossFit, at, confusion, cross_fit, mask_metric, solve

metrics = st.sampled_from(["f1_plus", "iou", "iou_pooled"])


def _deciding(counts: Counts) -> int:
    return len(set(counts.patient[counts.present]))


@settings(deadline=None, max_examples=60)
@given(tables(), metrics, st.booleans(), st.data())
def test_no_image_has_a_say_in_its_own_threshold(
    counts: Counts, metric: str, per_class: bool, data: st.DataObject
) -> None:
    """Whatever a patient's maps look like, the levels at which that patient is scored stay the same."""
    fit = cross_fit(counts, mask_metric(metric), repeats=3, per_class=per_class)
    patient = data.draw(st.sampled_from(sorted(set(counts.patient))))
    own = counts.patient == patient
    foreground, background = counts.foreground.copy(), counts.background.copy()
    foreground[own] = np.where(counts.present[own, None], foreground[own, ::-1] * 7 + 1, 0)
    background[own] = background[own, ::-1] * 3 + 2
    changed = dataclasses.replace(counts, foreground=foreground, background=background)
    again = cross_fit(changed, mask_metric(metric), repeats=3, per_class=per_class)
    np.testing.assert_array_equal(fit.half, again.half)
    np.testing.assert_array_equal(fit.applied(counts)[:, own], again.applied(changed)[:, own])


@settings(deadline=None, max_examples=40)
@given(tables(), metrics, st.booleans())
def test_each_half_is_scored_at_what_the_other_half_solves(counts: Counts, metric: str, per_class: bool) -> None:
    fit = cross_fit(counts, mask_metric(metric), repeats=2, per_class=per_class)
    for patient in set(counts.patient):
        assert (fit.half[:, counts.patient == patient].std(axis=1) == 0).all()
    if _deciding(counts) < 2:
        assert fit.notes
        assert fit.value == pytest.approx(at(counts, mask_metric(metric), 128))
        return
    assert not fit.notes
    for half, levels in zip(fit.half, fit.levels, strict=True):
        for side in (0, 1):
            solution = solve(counts.select(half == side), mask_metric(metric), per_class=per_class)
            assert levels[side].tolist() == list(solution.levels.values())


def test_value_is_the_mean_of_scores_at_the_applied_levels() -> None:
    counts = Counts.from_maps(**random_batch(0, images=12))
    fit = cross_fit(counts, mask_metric("f1_plus"), repeats=4, per_class=True)
    pixels, applied = confusion(counts), fit.applied(counts)
    scores = np.zeros((4, len(counts)))
    for repeat in range(4):
        for row in range(len(counts)):
            column = applied[repeat, row]
            tp, fp, fn = (int(count[row, column]) for count in (pixels.tp, pixels.fp, pixels.fn))
            scores[repeat, row] = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1
    assert fit.value == pytest.approx(scores[:, counts.present].mean())
    np.testing.assert_allclose(fit.scores[counts.present], scores.mean(axis=0)[counts.present])
    assert np.isnan(fit.scores[~counts.present]).all()


def test_pooled_metric_pools_the_two_halves() -> None:
    counts = Counts.from_maps(**random_batch(0, images=12, classes=1))
    fit = cross_fit(counts, mask_metric("iou_pooled"), repeats=1)
    pixels, applied = confusion(counts), fit.applied(counts)[0]
    tp, fp, fn = (count[np.arange(len(counts)), applied].sum() for count in (pixels.tp, pixels.fp, pixels.fn))
    assert fit.value == pytest.approx(tp / (tp + fp + fn))
    assert fit.scores is None


def _honest_and_optimistic(seed: int) -> tuple[CrossFit, float]:
    counts = Counts.from_maps(**random_batch(seed, images=10))
    metric = mask_metric("f1_plus")
    return cross_fit(counts, metric, seed=seed), solve(counts, metric).value


def test_is_not_above_what_the_same_images_allow() -> None:
    for seed in range(5):
        fit, optimistic = _honest_and_optimistic(seed)
        assert fit.value <= optimistic + 1e-12


def test_same_seed_same_halves_whatever_the_order_of_rows() -> None:
    counts = Counts.from_maps(**random_batch(0, images=12))
    shuffled = counts.select(np.random.default_rng(0).permutation(len(counts)))
    first, second, other = (
        cross_fit(evidence, mask_metric("f1_plus"), seed=seed)
        for evidence, seed in ((counts, 1), (shuffled, 1), (counts, 2))
    )
    np.testing.assert_array_equal(first.half, second.half)
    assert first.value == second.value
    assert (first.half != other.half).any()


def test_halves_are_balanced_by_class() -> None:
    rng = np.random.default_rng(0)
    rows = 12
    histograms = rng.integers(1, 9, (2, rows, 256)).astype(np.uint32)
    counts = Counts(
        classes=("common", "rare"),
        foreground=histograms[0],
        background=histograms[1],
        image=np.arange(rows),
        label=np.array([0] * 10 + [1] * 2, np.int32),
        patient=np.array([f"p{n}" for n in range(rows)]),
        present=np.ones(rows, np.bool_),
    )
    half = cross_fit(counts, mask_metric("f1_plus"), repeats=20).half
    assert (half[:, 10] != half[:, 11]).all()
    assert (half.sum(axis=1) == 6).all()


def test_one_patient_keeps_the_given_threshold_and_says_so() -> None:
    batch = random_batch(0)
    batch["patients"] = ["only"] * 6
    counts = Counts.from_maps(**batch)
    fit = cross_fit(counts, mask_metric("f1_plus"), fallback=0.25)
    assert fit.value == pytest.approx(at(counts, mask_metric("f1_plus"), 64))
    assert "kept at 0.25" in fit.notes[0]


def test_other_metrics_are_reported_at_the_same_thresholds() -> None:
    counts = Counts.from_maps(**random_batch(0, images=12))
    fit = cross_fit(counts, mask_metric("f1_plus"), repeats=3)
    area = fit.rescore(counts, mask_metric("false_positive_area"))
    assert area.metric == "false_positive_area"
    np.testing.assert_array_equal(area.levels, fit.levels)
    pixels, applied = confusion(counts), fit.applied(counts)
    expected = [
        (pixels.fp[row, level] / 144)
        for repeat in applied
        for row, level in enumerate(repeat)
        if not counts.present[row]
    ]
    assert area.value == pytest.approx(np.mean(expected))


def test_nothing_to_choose_by() -> None:
    counts = Counts.from_maps(**random_batch(0))
    with pytest.raises(ValueError, match="no present pair"):
        cross_fit(counts.select(~counts.present), mask_metric("iou_pooled"))
