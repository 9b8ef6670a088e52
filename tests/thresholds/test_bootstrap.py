from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threshold_examples import random_batch

from raysearch.thresholds import (
    METRICS,
    Counts,
    Evidence,
    Logits,
    SweepMetric,
    at,
    bootstrap,
    cross_fit,
    find_metric,
    fit_interval,
    interval,
    mask_metric,
    paired_bootstrap,
    scores_at,
)
from raysearch.thresholds._average import entering_rows, weighted


def _slow(values: np.ndarray, groups: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """Draws patients with replacement, one resample at a time, concatenating their rows."""
    generator = np.random.default_rng(seed)
    names = np.unique(groups)
    means = []
    for _ in range(resamples):
        rows = [values[groups == name] for name in generator.choice(names, len(names))]
        means.append(np.concatenate(rows).mean())
    low, high = np.quantile(means, (0.025, 0.975))
    return low, high


def test_agrees_with_drawing_patients_one_resample_at_a_time() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 12, 60)
    values = rng.normal(0.5, 0.1, 60) + groups / 20
    found = bootstrap(values, groups, resamples=4000)
    low, high = _slow(values, groups, 4000, seed=1)
    width = high - low
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(low, abs=0.1 * width)
    assert found.high == pytest.approx(high, abs=0.1 * width)


def test_images_of_one_patient_are_not_independent() -> None:
    patients = np.repeat(np.arange(10), 20)
    values = patients / 10 + np.random.default_rng(0).normal(0, 0.01, 200)
    grouped, alone = bootstrap(values, patients), bootstrap(values, np.arange(200))
    assert grouped.high - grouped.low > 3 * (alone.high - alone.low)


def test_pairing_takes_out_what_two_methods_share() -> None:
    rng = np.random.default_rng(0)
    shared, patients = rng.random(100), np.arange(100) // 2
    first, second = shared + 0.02 + rng.normal(0, 0.01, 100), shared
    difference = paired_bootstrap(first, second, patients)
    assert difference.mean == pytest.approx(np.mean(first - second))
    assert 0 < difference.low < 0.02 < difference.high < 0.05


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=12), st.integers(0, 99))
def test_the_interval_lies_within_the_values(values: list[float], seed: int) -> None:
    found = bootstrap(values, np.arange(len(values)), resamples=50, seed=seed)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    values, groups = np.random.default_rng(0).random(30), np.arange(30)
    whole = bootstrap(values, groups, resamples=101)
    monkeypatch.setattr("raysearch.thresholds._bootstrap._BLOCK", 90)
    assert bootstrap(values, groups, resamples=101) == whole


def test_of_a_metric_at_a_threshold() -> None:
    counts = Counts.from_maps(**random_batch(0, images=20))
    metric = mask_metric("f1_plus")
    scores = scores_at(counts, metric, 100)
    by_metric = interval(counts, metric, 100)
    by_scores = bootstrap(scores, counts.patient)
    assert by_metric == pytest.approx(by_scores)
    pooled = interval(counts, mask_metric("iou_pooled:classes"), 100)
    assert pooled.mean == pytest.approx(at(counts, mask_metric("iou_pooled:classes"), 100))
    assert pooled.low < pooled.mean < pooled.high


def test_undefined_intervals() -> None:
    one = bootstrap([0.2, 0.4, np.nan], ["a", "a", "b"])
    assert one.mean == pytest.approx(0.3)
    assert np.isnan(one.low)
    assert np.isnan(one.high)
    with pytest.raises(ValueError, match="no value"):
        bootstrap([np.nan], ["a"])
    with pytest.raises(ValueError, match="as many values as groups"):
        bootstrap([1.0], ["a", "b"])
    with pytest.raises(ValueError, match="same images"):
        paired_bootstrap([0.1, np.nan], [0.1, 0.2], ["a", "b"])


@pytest.mark.parametrize("by", ["patient", "image"])
@pytest.mark.parametrize("name", ["f1_plus", "iou_pooled:classes", "false_positive_area", "cdice", "pxap", "auc"])
def test_of_any_metric_is_that_of_drawn_rows(name: str, by: Literal["patient", "image"]) -> None:
    """Resamples made one at a time, the metric computed on the drawn rows themselves."""
    rng = np.random.default_rng(1)
    metric = METRICS[name]
    batch = random_batch(2, images=20)
    batch["patients"] = [f"p{n // 2}" for n in range(20)]
    counts = Counts.from_maps(**batch)
    evidence: Evidence = counts
    rows = np.arange(len(counts))
    if metric.evidence == "logits":
        scores, about = rng.random((20, 3)), (batch["rows"], batch["patients"], batch["classes"])
        evidence = Logits.from_scores(scores, batch["truth"], *about, "multi")
        rows = np.arange(20)
    elif isinstance(metric, SweepMetric) and metric.pairs != "known":
        rows = np.flatnonzero(counts.present == (metric.pairs == "present"))
    found = interval(evidence, metric, 100, by=by, resamples=3000)
    owner = getattr(evidence, by)[rows]
    values = []
    for _ in range(1000):
        drawn = np.concatenate([rows[owner == each] for each in rng.choice(np.unique(owner), len(set(owner)))])
        arrays = {column: getattr(evidence, column)[drawn] for column in evidence.columns}
        arrays["image"] = np.arange(len(drawn))  # a row drawn twice is two rows
        values.append(at(dataclasses.replace(evidence, **arrays), metric, 100))
    low, high = np.nanquantile(values, (0.025, 0.975))
    assert found.mean == at(evidence, metric, 100)
    width = high - low
    assert width > 0
    assert found.low == pytest.approx(low, abs=0.2 * width)
    assert found.high == pytest.approx(high, abs=0.2 * width)


def test_an_interval_needs_something_to_judge() -> None:
    counts = Counts.from_maps(**random_batch(0))
    with pytest.raises(ValueError, match="nothing in the evidence to value f1_plus by"):
        interval(counts.select(~counts.present), mask_metric("f1_plus"), 3)
    with pytest.raises(ValueError, match="f1_plus has a value at given levels only"):
        interval(counts, mask_metric("f1_plus"))


def test_patients_who_do_not_enter_are_not_drawn() -> None:
    batch = random_batch(0, images=12)
    batch["patients"] = [f"p{n}" for n in range(12)]
    counts = Counts.from_maps(**batch)
    entering = counts.select(counts.present)
    assert set(entering.patient) < set(counts.patient)
    assert interval(counts, mask_metric("iou"), 90) == interval(entering, mask_metric("iou"), 90)


def _one_present_patient() -> Counts:
    """One patient with the finding, two images; nine without it."""
    batch = random_batch(1, images=11, classes=1)
    batch["truth"][:] = 0
    batch["truth"][:2] = 1
    batch["patients"] = ["ill", "ill", *(f"p{n}" for n in range(9))]
    batch["masks"][2:] = 0
    batch["masks"][:2, :, :4, :4] = 1
    return Counts.from_maps(**batch)


@pytest.mark.parametrize("name", ["f1_plus", "iou:classes", "cdice", "cdice:classes", "pxap", "iou_pooled:classes"])
def test_one_patient_who_enters_has_no_interval_however_many_others_there_are(name: str) -> None:
    counts, metric = _one_present_patient(), find_metric(name)
    found = interval(counts, metric, 100)
    assert found.mean == at(counts, metric, 100)
    assert np.isnan([found.low, found.high]).all()
    if isinstance(metric, SweepMetric):
        fit = cross_fit(counts, metric)
        assert np.isnan(fit_interval(fit, counts, metric)[1:]).all()


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.evidence in ("counts", "logits")])
def test_rows_that_do_not_enter_change_no_interval(name: str) -> None:
    rng = np.random.default_rng(2)
    metric = METRICS[name]
    batch = random_batch(3, images=24)
    batch["patients"] = [f"p{n}" for n in range(24)]
    batch["truth"][:, 2] = np.minimum(batch["truth"][:, 2], 0)  # no present pair, one label
    batch["truth"][::3, :2] = -1
    batch["truth"][::6, 2] = -1
    batch["masks"][batch["truth"] != 1] = 0
    evidence: Evidence = Counts.from_maps(**batch)
    if metric.evidence == "logits":
        about = (batch["rows"], batch["patients"], batch["classes"])
        evidence = Logits.from_scores(rng.random((24, 3)), batch["truth"], *about, "multi")
    value, whole = at(evidence, metric, 100), np.ones((1, len(evidence)))
    # a row enters if the value changes with its weight
    moves = []
    for row in range(len(evidence)):
        for factor in (0, 7):
            weights = whole.copy()
            weights[0, row] = factor
            moves.append(abs(weighted(evidence, metric, 100, weights)[0] - value) > 1e-12)
    said = entering_rows(evidence, metric)
    assert not (np.reshape(moves, (-1, 2)).any(axis=1) & ~said).any()
    assert 0 < said.sum() < len(evidence)
    assert interval(evidence, metric, 100) == interval(evidence.select(said), metric, 100)


def test_auc_of_one_label_has_no_interval() -> None:
    labels = np.array([[1, 0]] * 5, np.int8)
    found = Logits.from_scores(np.random.default_rng(0).random((5, 2)), labels, range(5), list("abcde"), "xy", "multi")
    assert interval(found, METRICS["auc"])[0] == 0.5
    assert np.isnan(interval(found, METRICS["auc"])[1:]).all()
