from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threshold_examples import boxes_iou, random_batch

from raysearch.thresholds import LEVELS, Counts, Logits, Ranks, at, cross_fit, find_metric, solve, threshold
from raysearch.thresholds._box_metrics import (
    BOX_METRICS,
    V2_SHARES,
    BoxMetric,
    box_accuracy,
    box_iou,
    cross_fitted_box_acc_v2,
    max_box_acc_v2,
)
from raysearch.thresholds._boxes import BOX_RULES, CONNECTIVITIES, boxes_at, region_boxes
from raysearch.thresholds._components import BoxChoices, Components, top_one
from raysearch.thresholds._sweep_boxes import SWEPT

BOX_IOU = next(metric for metric in BOX_METRICS if isinstance(metric, BoxMetric))


def boxed_batch(seed: int, images: int = 6, classes: int = 2, size: int = 16, maps: int | None = None) -> dict:
    """`random_batch` with one or two rectangles a region and a map that is brighter there."""
    rng = np.random.default_rng(seed)
    batch = random_batch(seed, images, classes, size, maps)
    batch["masks"][:] = 0
    for n, k in np.argwhere(batch["truth"] == 1):
        for _ in range(rng.integers(1, 3)):
            (y, x), (h, w) = rng.integers(0, size // 2, 2), rng.integers(2, size // 2, 2)
            batch["masks"][n, k, y : y + h, x : x + w] = 1
    drawn = batch["masks"] if maps is None else batch["masks"].any(axis=1, keepdims=True)
    batch["maps"] = np.clip(150 * drawn + rng.integers(0, 150, drawn.shape), 0, 255).astype(np.uint8)
    return batch


def one_row_each(components: Components, shares: np.ndarray) -> Components:
    """Evidence whose IoU is `shares` (R, 257) percent under every rule."""
    overlap = np.broadcast_to(shares[:, None, None], components.overlap.shape).astype(np.float32)
    return dataclasses.replace(components, overlap=overlap, either=np.full_like(overlap, 100))


@pytest.mark.parametrize("maps", [None, 1])
def test_areas_are_those_of_the_boxes_of_every_mask(maps: int | None) -> None:
    batch = boxed_batch(1, maps=maps)
    components = Components.from_maps(**batch)
    present = np.argwhere(batch["truth"] == 1)
    assert len(components) == len(present)
    assert components.present.all()
    for r in range(0, len(components), 3):
        n = int(np.flatnonzero(batch["rows"] == components.image[r])[0])
        k = int(components.label[r])
        own = batch["maps"][n, 0 if maps else k]
        region = batch["masks"][n, batch["truth"][n] == 1].any(axis=0) if maps else batch["masks"][n, k] == 1
        for connectivity in CONNECTIVITIES:
            for rule in BOX_RULES:
                overlap, either = components.areas(rule, connectivity)
                shares = box_iou(overlap, either)[r]
                for level in range(0, LEVELS, 23):
                    boxes = boxes_at(own, level, rule, connectivity)
                    expected = boxes_iou(boxes, region_boxes(region), own.shape)
                    assert shares[level] == pytest.approx(expected)


def test_batches_and_order_do_not_matter() -> None:
    batch = boxed_batch(2)
    whole = Components.from_maps(**batch)
    shared = {"classes": batch.pop("classes")}
    parts = [
        Components.from_maps(**{name: value[part] for name, value in batch.items()}, **shared)
        for part in (slice(3, None), slice(0, 3))
    ]
    merged = Components.merge(parts)
    for name in whole.columns:
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    with pytest.raises(ValueError, match="twice"):
        Components.merge([whole, parts[0]])


def test_a_batch_without_regions_has_no_row_and_merges() -> None:
    batch = boxed_batch(3)
    none = Components.from_maps(**{**batch, "truth": np.minimum(batch["truth"], 0)})
    assert len(none) == 0
    other = Components.from_maps(**{**batch, "rows": batch["rows"] + 1000})
    assert len(Components.merge([none, other])) == len(other)


def test_a_region_that_vanished_never_overlaps() -> None:
    batch = boxed_batch(4)
    batch["masks"][:] = 0
    components = Components.from_maps(**batch)
    assert len(components) == (batch["truth"] == 1).sum()
    assert not components.overlap.any()
    assert at(components, BOX_IOU, 100) == 0


def test_what_contradicts_itself_is_refused() -> None:
    components = Components.from_maps(**boxed_batch(5))
    with pytest.raises(ValueError, match="absent pair has no truth box"):
        dataclasses.replace(components, present=np.zeros(len(components), np.bool_))
    with pytest.raises(ValueError, match="more pixels than they have"):
        dataclasses.replace(components, overlap=components.either + 1)
    with pytest.raises(ValueError, match=r"levels 0\.\.256"):
        dataclasses.replace(components, percentiles=np.full_like(components.percentiles, 257))
    counts = Counts.from_maps(**boxed_batch(5))
    with pytest.raises(ValueError, match="components"):
        solve(counts, BOX_IOU)
    with pytest.raises(ValueError, match="components"):
        at(counts, BOX_IOU, 1)


@pytest.mark.parametrize("rule", SWEPT)
def test_box_iou_is_solved_exactly_over_all_levels(rule: str) -> None:
    batch = boxed_batch(6)
    components = Components.from_maps(**batch)
    metric = dataclasses.replace(BOX_IOU, rule=rule, connectivity=4)
    solution = solve(components, metric, per_class=True)
    for name, level in solution.levels.items():
        rows = components.label == batch["classes"].index(name)
        curve = box_iou(*(area[rows] for area in components.areas(rule, 4))).mean(axis=0)
        assert curve[level] == pytest.approx(curve.max())
    assert solution.value == pytest.approx(at(components, metric, solution.levels))


def test_box_accuracy_is_closed_and_steps() -> None:
    components = Components.from_maps(**boxed_batch(7)).select(np.arange(2))
    shares = np.zeros((2, LEVELS))
    shares[0, :100] = 50
    shares[1, 50:60] = 49
    evidence = one_row_each(components, shares)
    assert at(evidence, box_accuracy(0.5, "box_accuracy@0.5"), 55) == 0.5
    assert at(evidence, box_accuracy(0.49, "box_accuracy@0.49"), 55) == 1
    assert at(evidence, box_accuracy(0.51, "box_accuracy@0.51"), 55) == 0
    assert at(evidence, BOX_IOU, 55) == pytest.approx(0.495)


def test_max_box_acc_v2_takes_the_best_threshold_for_each_share() -> None:
    components = Components.from_maps(**boxed_batch(8)).select(np.arange(3))
    rng = np.random.default_rng(0)
    shares = rng.integers(20, 90, (3, LEVELS))
    evidence = one_row_each(components, shares)
    expected = np.mean([(shares >= 100 * least).mean(axis=0).max() for least in V2_SHARES])
    ones = np.ones((1, 3))
    assert max_box_acc_v2(evidence, ones)[0] == pytest.approx(expected)
    # twice the first pair and none of the last
    weighted = max_box_acc_v2(evidence, np.array([[2.0, 1.0, 0.0]]))[0]
    assert weighted == pytest.approx(
        np.mean([((shares >= 100 * least) * [[2], [1], [0]]).sum(axis=0).max() / 3 for least in V2_SHARES])
    )
    assert np.isnan(max_box_acc_v2(evidence, np.zeros((1, 3)))[0])
    for label in np.unique(components.label):
        rows = components.label == label
        only = max_box_acc_v2(evidence, np.array([[0.0, 1.0, 3.0]]), int(label))[0]
        weight = np.array([0.0, 1.0, 3.0])[rows]
        hits = [(weight @ (shares[rows] >= 100 * least)).max() for least in V2_SHARES]
        expected = np.mean(hits) / weight.sum() if weight.sum() else np.nan
        assert only == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("seed", range(3))
def test_the_cross_fitted_value_is_not_above_the_one_that_chose_on_what_it_scores(seed: int) -> None:
    evidence = Components.from_maps(**boxed_batch(seed, images=12))
    honest = cross_fitted_box_acc_v2(evidence, repeats=4)
    assert 0 <= honest <= max_box_acc_v2(evidence, np.ones((1, len(evidence))))[0] + 1e-12
    means = [cross_fit(evidence, box_accuracy(least, "a", "best_match"), repeats=4).value for least in V2_SHARES]
    assert honest == pytest.approx(np.mean(means))


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["box_iou", "box_accuracy"]), st.booleans())
def test_no_pair_is_scored_at_a_threshold_that_it_helped_to_choose(seed: int, name: str, per_class: bool) -> None:
    rng = np.random.default_rng(seed)
    drawn = Components.from_maps(**boxed_batch(seed % 5, images=8, size=8))
    shares = rng.integers(0, 101, (len(drawn), LEVELS))
    metric = next(metric for metric in BOX_METRICS if metric.name == name)
    patient = str(rng.choice(drawn.patient))
    own = drawn.patient == patient
    changed = np.where(own[:, None], rng.integers(0, 101, shares.shape), shares)
    applied = []
    for table in (shares, changed):
        evidence = one_row_each(drawn, table)
        applied.append(cross_fit(evidence, metric, repeats=3, seed=1, per_class=per_class).applied(evidence))
    np.testing.assert_array_equal(applied[0][:, own], applied[1][:, own])


def test_top_one_needs_the_right_class_too() -> None:
    batch = boxed_batch(9)
    components = Components.from_maps(**batch)
    rng = np.random.default_rng(0)
    scores = rng.random((len(batch["rows"]), 2)).astype(np.float32)
    logits = Logits.from_scores(scores, batch["truth"], batch["rows"], batch["patients"], batch["classes"], "multi")
    right = np.array(
        [
            scores[list(batch["rows"]).index(i)].argmax() == k
            for i, k in zip(components.image, components.label, strict=True)
        ]
    )
    assert 0 < right.sum() < len(right)
    gated = top_one(components, logits)
    for level in (0, 120, 200):
        expected = np.where(right, box_iou(*(area[:, level] for area in components.areas("largest", 8))), 0).mean()
        assert at(gated, BOX_IOU, level) == pytest.approx(expected)
    with pytest.raises(ValueError, match="no class scores"):
        top_one(components, logits.select(np.arange(2)))
    with pytest.raises(ValueError, match="classes"):
        top_one(components, dataclasses.replace(logits, classes=("x", "y")))


def test_percentiles_are_those_of_the_evidence_of_kind_ranks() -> None:
    batch = boxed_batch(10)
    components = Components.from_maps(**batch)
    choices = BoxChoices.from_components(components)
    overlap = choices.areas("", 8)[0]
    for position in (LEVELS, LEVELS + 37, LEVELS + 100):
        rule, connectivity, parameter, share = BoxChoices.choice(position)
        assert (rule, connectivity, parameter) == ("largest", 8, "percentile")
        for r in range(len(components)):
            n = int(np.flatnonzero(batch["rows"] == components.image[r])[0])
            own = batch["maps"][n, components.label[r]]
            value = np.sort(own.ravel())[max(1, round(own.size * Ranks.position(share) / 100)) - 1]
            level = int(value) + int(value == own.min())
            assert overlap[r, position] == components.areas("largest", 8)[0][r, level]


@settings(max_examples=8)
@given(st.integers(0, 1000), st.booleans())
def test_the_joint_optimum_is_that_of_every_rule_connectivity_and_parameter(seed: int, per_class: bool) -> None:
    components = Components.from_maps(**boxed_batch(seed, images=4))
    solution = solve(BoxChoices.from_components(components), BOX_IOU, per_class=per_class)
    best = max(
        solve(components, dataclasses.replace(BOX_IOU, rule=rule, connectivity=connectivity), per_class=per_class).value
        for rule in BOX_RULES
        for connectivity in CONNECTIVITIES
    )
    assert solution.value >= best - 1e-12
    if per_class:
        return
    choice = BoxChoices.choice(solution.levels["c0"])
    if choice.parameter == "threshold":
        metric = dataclasses.replace(BOX_IOU, rule=choice.rule, connectivity=choice.connectivity)
        assert at(components, metric, round(choice.value * 255)) == pytest.approx(solution.value)
        assert solution.value == pytest.approx(best)


def test_every_choice_has_a_number_of_its_own() -> None:
    named = [BoxChoices.choice(n) for n in range(BoxChoices.positions)]
    assert len(set(named)) == BoxChoices.positions == 2148
    assert named[128] == ("largest", 8, "threshold", threshold(128))
    assert [BoxChoices.position(BoxChoices.setting(n)) for n in range(BoxChoices.positions)] == list(range(2148))
    # what `cross_fit` falls back to where nothing can be chosen
    assert BoxChoices.choice(BoxChoices.position(0.5)) == named[128]
    with pytest.raises(ValueError, match=r"0\.\.2147"):
        BoxChoices.choice(2148)


@pytest.mark.parametrize("rule", BOX_RULES)
def test_metrics_take_the_rule_of_the_evidence_unless_they_name_one(rule: str) -> None:
    components = dataclasses.replace(Components.from_maps(**boxed_batch(4, images=10)), rule=rule)
    named = dataclasses.replace(BOX_IOU, rule=rule)
    plain = Components.from_maps(**boxed_batch(4, images=10))
    for level in (60, 128, 200):
        assert at(components, BOX_IOU, level) == at(plain, named, level)
    assert cross_fit(components, BOX_IOU).value == cross_fit(plain, named).value
    assert solve(components, BOX_IOU).levels == solve(plain, named).levels
    other = dataclasses.replace(BOX_IOU, rule="largest")
    assert at(components, other, 60) == at(plain, BOX_IOU, 60)
    scores = np.ones((10, 2), np.float32)
    rows = boxed_batch(4, images=10)["rows"]
    logits = Logits.from_scores(scores, np.zeros((10, 2), np.int8), rows, ["p"] * 10, ("c0", "c1"), "multi")
    assert top_one(components, logits).rule == rule
    assert components.select(np.arange(3)).rule == rule
    with pytest.raises(ValueError, match="parts must have the same rule"):
        Components.merge([components, dataclasses.replace(plain.select(np.arange(0)), rule=_another(rule))])


def _another(rule: str) -> str:
    return next(other for other in BOX_RULES if other != rule)


def test_a_rule_that_is_none() -> None:
    with pytest.raises(ValueError, match="a box rule is one of largest, most_active, union, got best_match"):
        dataclasses.replace(Components.from_maps(**boxed_batch(1)), rule="best_match")


def test_areas_that_were_rounded_reach_the_share_that_they_stand_for_and_nothing_reaches_a_tiny_one() -> None:
    components = Components.from_maps(**boxed_batch(3))
    either = np.full_like(components.either, np.float32(1.1))
    just = dataclasses.replace(components, overlap=either * np.float32(0.7) * np.float32(1 - 1e-7), either=either)
    assert float((just.overlap / just.either).max()) < 0.7
    for name in ("box_accuracy@0.7", "box_accuracy@0.3"):
        assert at(just, find_metric(name), 128) == 1
    assert max_box_acc_v2(just, np.ones((1, len(just))))[0] == 1
    apart = dataclasses.replace(components, overlap=np.zeros_like(either), either=either)
    assert at(apart, find_metric("box_accuracy@0.0000001"), 128) == 0
