"""Results beside masks of the whole picture: the value that costs nothing, and what is said of those no better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from threshold_examples import random_batch

from raysearch.thresholds import (
    METRICS,
    AgainstTrivial,
    Blank,
    Components,
    Counts,
    MaskMetric,
    Sweep,
    SweepMetric,
    against_trivial,
    at,
    at_by_class,
    blank_levels,
    blank_masks,
    cross_fit,
    degenerate,
    find_metric,
    fit_interval,
    mask_metric,
    solve,
    sweep_metric,
)

SOUND = AgainstTrivial(
    metric="f1_plus",
    value=0.6,
    trivial=0.4,
    by_class={"a": 0.7, "b": 0.5},
    trivial_by_class={"a": 0.4, "b": 0.4},
)
NEITHER = Blank((), ())


@pytest.mark.parametrize(
    "name", ["f1_plus", "iou:classes", "iou_pooled:classes", "recall", "box_iou", "box_accuracy@0.3:classes"]
)
def test_the_trivial_value_is_that_of_a_mask_of_the_whole_picture(name: str) -> None:
    metric = find_metric(name)
    assert isinstance(metric, SweepMetric)
    batch = random_batch(3, images=12)
    everything = batch | {"maps": np.full_like(batch["maps"], 255)}
    kind = {"counts": Counts, "components": Components}[metric.evidence]
    evidence, whole = kind.from_maps(**batch), kind.from_maps(**everything)
    assert isinstance(evidence, Sweep)
    assert isinstance(whole, Sweep)
    fit = cross_fit(evidence, metric)
    found = against_trivial(evidence, metric, fit.value, fit.by_class)
    assert (found.metric, found.value, found.by_class) == (name, fit.value, fit.by_class)
    assert found.trivial == pytest.approx(at(whole, metric, 128))
    assert found.trivial_by_class == pytest.approx(at_by_class(whole, metric, 128))


def test_maps_that_say_nothing_are_found_out() -> None:
    """The regions are not where the maps are high: the best mask is everything, and the value is its."""
    batch = random_batch(3, images=12)
    batch["maps"] = np.where(batch["masks"], 10, 200).astype(np.uint8)
    counts, metric = Counts.from_maps(**batch), mask_metric("f1_plus")
    fit, solution = cross_fit(counts, metric, per_class=True), solve(counts, metric, per_class=True)
    assert set(solution.levels.values()) <= set(range(11)), "up to the lowest value of a map all masks are the same"
    found = against_trivial(counts, metric, fit.value, fit.by_class)
    assert not found.better
    assert set(found.no_better) == set(found.by_class)
    bounds = fit_interval(fit, counts, metric)
    assert min(solution.levels.values()) > 0, "no map goes down to 0"
    blank = blank_masks(counts, metric, solution.levels)
    assert blank == (counts.classes, ())
    zeroth, first, second = degenerate(found, blank, counts.classes, low=bounds.low, high=bounds.high)
    assert zeroth == "at the mask threshold the whole picture is taken, in every image"
    assert first == f"f1_plus {fit.value:.4f} is not above the {found.trivial:.4f} of a mask of the whole picture"
    assert second == "f1_plus is not above that of a mask of the whole picture in all of 3 classes"


@pytest.mark.parametrize("name", ["f1_plus", "box_iou", "iou_per_image:classes"])
def test_masks_that_are_all_alike(name: str) -> None:
    metric = sweep_metric(name)
    batch = random_batch(3, images=12)
    batch["maps"] = np.clip(batch["maps"], 40, 200)
    batch["truth"][:, 2] = -1
    evidence = {"counts": Counts, "components": Components}[metric.evidence].from_maps(**batch)
    assert isinstance(evidence, Sweep)
    assert blank_masks(evidence, metric, [40, 201, 100]) == (("c0",), ("c1",))
    assert blank_masks(evidence, metric, [180, 200, 0]) == (("c2",), ()), "of a class without a pair its level says it"
    assert blank_masks(evidence, metric, [100, 100, 256]) == ((), ("c2",))
    assert blank_levels({"a": 0, "b": 256, "c": 7}) == (("a",), ("b",))


def test_a_sound_result_has_no_notes() -> None:
    assert degenerate(SOUND, NEITHER, "ab") == ()
    assert degenerate(SOUND, NEITHER, "ab", low=0.5, high=0.7) == ()


@pytest.mark.parametrize(
    ("against", "blank", "bounds", "said"),
    [
        (SOUND, Blank(("a", "b"), ()), (0.5, 0.7), "at the mask threshold the whole picture is taken, in every image"),
        (SOUND, Blank(("a",), ()), (0.5, 0.7), "at the mask threshold of a the whole picture is taken, in every image"),
        (SOUND, Blank((), ("b",)), (0.5, 0.7), "at the mask threshold of b nothing is taken, in any image"),
        (SOUND, NEITHER, (0.35, 0.8), "the 95% interval of f1_plus, 0.3500 to 0.8000, includes the 0.4000 of a mask"),
        (replace(SOUND, value=0.4), NEITHER, (0.3, 0.5), "f1_plus 0.4000 is not above the 0.4000 of a mask"),
        (replace(SOUND, by_class={"a": 0.9, "b": 0.4}), NEITHER, (0.5, 0.7), "of a mask of the whole picture in b"),
    ],
)
def test_notes(against: AgainstTrivial, blank: Blank, bounds: tuple[float, float], said: str) -> None:
    (note,) = degenerate(against, blank, "ab", low=bounds[0], high=bounds[1])
    assert said in note


def test_of_many_classes_five_are_named() -> None:
    names = [f"c{n}" for n in range(9)]
    many = replace(SOUND, by_class=dict.fromkeys(names, 0.3) | {"c8": 0.5}, trivial_by_class=dict.fromkeys(names, 0.4))
    (note,) = degenerate(many, NEITHER, names)
    assert note.endswith("in c0, c1, c2, c3, c4 and 3 others of 9 classes")


def test_one_class_is_not_named() -> None:
    alone = replace(SOUND, value=0.4, by_class={"a": 0.4}, trivial_by_class={"a": 0.4})
    assert len(degenerate(alone, NEITHER, "a")) == 1


def test_where_less_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    error = MaskMetric(
        name="missed", title="share missed", function=lambda tp, fp, fn, tn: fn / (tp + fn), direction="minimize"
    )
    monkeypatch.setitem(METRICS, "missed", error)
    found = replace(SOUND, metric="missed")
    assert found.no_better == ("a", "b")
    assert degenerate(found, NEITHER, "ab")[0] == "missed 0.6000 is not below the 0.4000 of a mask of the whole picture"
    assert replace(found, value=0.3).better
