from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threshold_examples import naive_confusion, random_batch, tables

from raysearch.thresholds import LEVELS, Counts, at, binarise, curves, mask_metric, scores_at, solve
from raysearch.thresholds._solve import TIE, optimum


def _naive_value(batch: dict, level: int, metric: str) -> float:
    """Re-threshold and count, from the definition: per image over present pairs, or pooled over known ones."""
    scores: dict[int, list] = {}
    for n, k in np.argwhere(batch["truth"] >= 0):
        counted = naive_confusion(binarise(batch["maps"][n, k], level), batch["masks"][n, k] == 1)
        scores.setdefault(k, []).append((batch["truth"][n, k] == 1, counted))
    if metric == "f1_plus":
        dice = [
            2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0
            for rows in scores.values()
            for present, (tp, fp, fn, _) in rows
            if present
        ]
        return float(np.mean(dice))
    pooled = [np.sum([c for _, c in rows], axis=0) for rows in scores.values() if any(present for present, _ in rows)]
    return float(np.mean([tp / (tp + fp + fn) for tp, fp, fn, _ in pooled]))


@pytest.mark.parametrize("metric", ["f1_plus", "iou_pooled:classes"])
@pytest.mark.parametrize("seed", range(3))
def test_is_the_exact_optimum_of_the_naive_sweep(metric: str, seed: int) -> None:
    batch = random_batch(seed)
    solution = solve(Counts.from_maps(**batch), mask_metric(metric))
    sweep = np.array([_naive_value(batch, level, metric) for level in range(LEVELS)])
    np.testing.assert_allclose(solution.curve, sweep, atol=1e-12)
    assert solution.value == pytest.approx(sweep.max())
    assert len(set(solution.levels.values())) == 1
    assert sweep[solution.levels["c0"]] >= sweep.max() - TIE


@settings(max_examples=40)
@given(tables(), st.sampled_from(["f1_plus", "iou", "iou_pooled:classes"]))
def test_levels_of_each_class_are_never_worse_on_the_same_images(counts: Counts, metric: str) -> None:
    shared, own = (solve(counts, mask_metric(metric), per_class=per_class) for per_class in (False, True))
    assert own.value >= shared.value - TIE
    assert own.value == pytest.approx(at(counts, mask_metric(metric), own.levels))
    assert shared.value == pytest.approx(shared.curve.max())
    without = set(range(len(counts.classes))) - set(counts.label[counts.present])
    assert [note.split(":")[0] for note in own.notes] == [f"class c{k}" for k in sorted(without)]
    assert all(own.levels[f"c{k}"] == shared.levels[f"c{k}"] for k in without)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5]), min_size=1, max_size=20), st.sampled_from(["maximize", "minimize"]))
def test_ties_go_to_the_centre_of_the_widest_run(values: list[float], direction: str) -> None:
    best = max(values) if direction == "maximize" else min(values)
    runs, start = [], None
    for place, value in enumerate([*values, None]):
        if value == best and start is None:
            start = place
        if value != best and start is not None:
            runs.append((start, place - 1))
            start = None
    first, last = max(runs, key=lambda run: (run[1] - run[0], -run[0]))
    assert optimum(np.array(values), direction) == (first + last) // 2


def test_a_perfect_map_is_cut_in_the_middle() -> None:
    masks = np.zeros((1, 1, 4, 4), np.uint8)
    masks[0, 0, :2] = 1
    maps = np.where(masks, 200, 100).astype(np.uint8)
    counts = Counts.from_maps(maps, masks, np.array([[1]], np.int8), [0], ["p"], ["a"])
    solution = solve(counts, mask_metric("f1_plus"))
    assert solution.value == 1
    assert solution.levels == {"a": 150}
    assert solution.thresholds["a"] == pytest.approx(150 / 255)


def test_false_positive_area_is_over_absent_pairs_and_undefined_without() -> None:
    counts = Counts.from_maps(**random_batch(2))
    metric = mask_metric("false_positive_area")
    pixels = counts.confusion()
    absent = ~counts.present
    expected = np.mean(pixels.fp[absent, 90] / (12 * 12))
    assert at(counts, metric, 90) == pytest.approx(expected)
    present_only = counts.select(counts.present)
    assert np.isnan(at(present_only, metric, 90))
    assert "false_positive_area" not in curves(present_only)
    with pytest.raises(ValueError, match="no absent pair"):
        solve(present_only, metric)


def test_pooling_counts_absent_images_of_classes_that_are_present_somewhere() -> None:
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 256, (3, 2, 8, 8), dtype=np.uint8)
    masks = np.zeros((3, 2, 8, 8), np.uint8)
    masks[0, 0, :4] = 1
    truth = np.array([[1, 0], [0, 0], [-1, -1]], np.int8)
    counts = Counts.from_maps(maps, masks, truth, np.arange(3), ["p", "q", "r"], ["seen", "never"])
    predicted = maps[:2, 0] >= 100
    both, either = np.sum(predicted & (masks[:2, 0] == 1)), np.sum(predicted | (masks[:2, 0] == 1))
    assert at(counts, mask_metric("iou_pooled:classes"), 100) == pytest.approx(both / either)


def test_levels_by_class() -> None:
    counts = Counts.from_maps(**random_batch(3))
    metric = mask_metric("iou")
    by_name = scores_at(counts, metric, {"c0": 10, "c1": 120, "c2": 250})
    for k, level in enumerate((10, 120, 250)):
        rows = (counts.label == k) & counts.present
        np.testing.assert_allclose(by_name[rows], scores_at(counts, metric, level)[rows])
    assert np.isnan(by_name[~counts.present]).all()
    with pytest.raises(ValueError, match="one level"):
        at(counts, metric, [1, 2])
    with pytest.raises(ValueError, match=r"in 0\.\.256"):
        at(counts, metric, 257)
    with pytest.raises(ValueError, match="pools pixels"):
        scores_at(counts, mask_metric("iou_pooled:classes"), 3)


def test_curves_hold_every_mask_metric_at_every_threshold() -> None:
    counts = Counts.from_maps(**random_batch(2))
    drawn = curves(counts)
    assert set(drawn) > {"threshold", "precision", "recall", "f1_plus", "f1_minus", "false_positive_area"}
    assert {len(curve) for curve in drawn.values()} == {LEVELS}
    assert drawn["recall"][0] == 1
    assert drawn["recall"][256] == 0
    assert drawn["f1_plus"][77] == pytest.approx(at(counts, mask_metric("f1_plus"), 77))
