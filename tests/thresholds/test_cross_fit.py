from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threshold_examples import random_batch, tables

from raysearch.thresholds import (
    FROM_MAPS,
    Components,
    Counts,
    CrossFit,
    Ranks,
    Sweep,
    at,
    cross_fit,
    mask_metric,
    scores_at,
    solve,
    sweep_metric,
)

metrics = st.sampled_from(["f1_plus", "iou", "iou_pooled:classes"])


def _deciding(counts: Counts) -> int:
    return len(set(counts.patient[counts.present]))


OBJECTIVES = [
    *(
        (kind, name)
        for kind in ("counts", "ranks")
        for name in ("f1_plus", "iou", "iou_pooled:classes", "iou_accuracy@0.3")
    ),
    ("components", "box_iou"),
    ("components", "box_accuracy@0.3"),
]


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize(("kind", "name"), OBJECTIVES)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), patients=st.integers(1, 8), images=st.integers(1, 10))
def test_no_image_has_a_say_in_its_own_threshold(
    kind: str, name: str, per_class: bool, seed: int, patients: int, images: int
) -> None:
    """Whatever a patient's maps and regions look like, the positions at which that patient is scored stay the same."""
    rng = np.random.default_rng(seed)
    batch = random_batch(seed, images=max(images, 2), size=5)
    batch["patients"] = rng.choice([f"p{n}" for n in range(patients)], len(batch["rows"]))
    changed = copy.deepcopy(batch)
    patient = rng.choice(np.unique(batch["patients"][(batch["truth"] == 1).any(axis=1)]))
    own = batch["patients"] == patient
    changed["maps"][own] = rng.integers(0, 256, changed["maps"][own].shape)
    changed["masks"][own] = rng.random(changed["masks"][own].shape) < 0.3
    first, second = (FROM_MAPS[kind].from_maps(**each) for each in (batch, changed))
    assert isinstance(first, Sweep)
    assert isinstance(second, Sweep)
    fit, again = (cross_fit(part, sweep_metric(name), repeats=3, per_class=per_class) for part in (first, second))
    rows = first.patient == patient
    np.testing.assert_array_equal(fit.half, again.half)
    np.testing.assert_array_equal(fit.applied(first)[:, rows], again.applied(second)[:, rows])


def test_maps_of_other_patients_do_have_a_say() -> None:
    """The test above would pass if nothing depended on anything."""
    batch = random_batch(0, images=12)
    counts = Counts.from_maps(**batch)
    batch["maps"] = batch["maps"] // 3
    changed = Counts.from_maps(**batch)
    fits = [cross_fit(part, mask_metric("f1_plus"), repeats=3).applied(part) for part in (counts, changed)]
    assert (fits[0] != fits[1]).all()


def test_box_metrics_are_reported_at_mask_thresholds_and_the_other_way_round() -> None:
    batch = random_batch(0, images=12)
    counts, components = Counts.from_maps(**batch), Components.from_maps(**batch)
    by_masks = cross_fit(counts, mask_metric("iou"), repeats=3)
    by_boxes = cross_fit(components, sweep_metric("box_iou"), repeats=3)
    for fit, evidence, name in ((by_masks, components, "box_iou"), (by_boxes, counts, "iou")):
        found = fit.rescore(evidence, sweep_metric(name))
        applied = fit.applied(evidence)
        values = [
            [
                scores_at(evidence.select(np.array([row])), sweep_metric(name), int(level))[0]
                for row, level in enumerate(each)
            ]
            for each in applied
        ]
        assert found.value == pytest.approx(np.nanmean(values))
        own = fit.applied(counts)[:, counts.present]
        np.testing.assert_array_equal(own, fit.applied(components))


def test_thresholds_are_not_percentiles() -> None:
    batch = random_batch(0, images=12)
    fit = cross_fit(Counts.from_maps(**batch), mask_metric("iou"), repeats=2)
    with pytest.raises(ValueError, match="a threshold of 3 classes was chosen: evidence of kind ranks"):
        fit.rescore(Ranks.from_maps(**batch), mask_metric("iou"))


@settings(max_examples=40)
@given(tables(), metrics, st.booleans())
def test_each_half_is_scored_at_what_the_other_half_solves(counts: Counts, metric: str, per_class: bool) -> None:
    fit = cross_fit(counts, mask_metric(metric), repeats=2, per_class=per_class)
    for patient in set(counts.patient):
        assert (fit.halves(counts)[:, counts.patient == patient].std(axis=1) == 0).all()
    if _deciding(counts) < 2:
        assert fit.notes
        assert fit.value == pytest.approx(at(counts, mask_metric(metric), 128))
        return
    assert not fit.notes
    for half, levels in zip(fit.halves(counts), fit.levels, strict=True):
        for side in (0, 1):
            solution = solve(counts.select(half == side), mask_metric(metric), per_class=per_class)
            assert levels[side].tolist() == list(solution.levels.values())


def test_value_is_the_mean_of_scores_at_the_applied_levels() -> None:
    counts = Counts.from_maps(**random_batch(0, images=12))
    fit = cross_fit(counts, mask_metric("f1_plus"), repeats=4, per_class=True)
    pixels, applied = counts.confusion(), fit.applied(counts)
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
    fit = cross_fit(counts, mask_metric("iou_pooled:classes"), repeats=1)
    pixels, applied = counts.confusion(), fit.applied(counts)[0]
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
    half = cross_fit(counts, mask_metric("f1_plus"), repeats=20).halves(counts)
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
    pixels, applied = counts.confusion(), fit.applied(counts)
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
        cross_fit(counts.select(~counts.present), mask_metric("iou_pooled:classes"))


@pytest.mark.parametrize("name", ["f1_plus", "iou_pooled:classes", "false_positive_area"])
def test_many_pairs_are_looked_at_in_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counts.from_maps(**random_batch(3, images=12))
    fit = cross_fit(counts, mask_metric("iou"), seed=1)
    whole = fit.rescore(counts, mask_metric(name))
    monkeypatch.setattr("raysearch.thresholds._average._BLOCK", 5)
    parts = fit.rescore(counts, mask_metric(name))
    assert parts.value == whole.value
    np.testing.assert_array_equal(parts.scores, whole.scores)
