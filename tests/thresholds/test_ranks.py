from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from threshold_examples import naive_confusion, random_batch

from raysearch.thresholds import PERCENTILES, Counts, Ranks, at, find_metric, mask_metric, solve
from raysearch.thresholds._ranks import rank_levels


def naive_mask(quantised: np.ndarray, percentile: int) -> np.ndarray:
    """The released code of paper 001, on one map: kthvalue, at least it, or above it if it is the least value."""
    values = torch.from_numpy(quantised.astype(np.int64)).flatten()
    rank = round(len(values) * (percentile / 100) * 1e6) / 1e6
    value = torch.kthvalue(values, max(1, round(rank))).values.item()
    return quantised > value if value == quantised.min() else quantised >= value


@pytest.mark.parametrize("seed", range(2))
def test_equals_the_rule_on_the_maps_themselves(seed: int) -> None:
    batch = random_batch(seed, size=9)
    batch["maps"][0, 0] = 7  # a constant map
    batch["maps"][1] = np.where(batch["maps"][1] > 60, batch["maps"][1], 0)  # a plateau at the least value
    evidence = Ranks.from_maps(**batch)
    place = {row: n for n, row in enumerate(batch["rows"])}
    pixels = evidence.confusion()
    for r, (image, k) in enumerate(zip(evidence.image, evidence.label, strict=True)):
        n = place[image]
        for percentile in range(PERCENTILES):
            found = tuple(int(count[r, percentile]) for count in pixels)
            assert found == naive_confusion(naive_mask(batch["maps"][n, k], percentile), batch["masks"][n, k] == 1)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_levels_of_a_map_with_ties(values: list[int]) -> None:
    quantised = np.array(values, np.uint8)
    (levels,) = rank_levels(np.bincount(quantised, minlength=256)[None].astype(np.uint32))
    for percentile in range(PERCENTILES):
        np.testing.assert_array_equal(quantised >= levels[percentile], naive_mask(quantised, percentile))


def test_percentiles_are_solved_for_like_thresholds() -> None:
    counts = Counts.from_maps(**random_batch(0, images=12))
    ranks = Ranks.from_counts(counts)
    metric = mask_metric("f1_plus")
    solution = solve(ranks, metric, per_class=True)
    assert solution.parameter == "percentile"
    assert len(solution.curve) == PERCENTILES
    for name, position in solution.levels.items():
        assert solution.thresholds[name] == position / 100
        assert Ranks.position(solution.thresholds[name]) == position
    values = [at(ranks, metric, position) for position in range(PERCENTILES)]
    np.testing.assert_allclose(solution.curve, values)
    with pytest.raises(ValueError, match="auc needs evidence of kind logits, got ranks"):
        at(ranks, find_metric("auc"))
    with pytest.raises(ValueError, match=r"in 0\.\.100"):
        at(ranks, metric, 101)


@pytest.mark.parametrize("bad", [-0.01, 1.01, float("nan")])
def test_percentiles_outside_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        Ranks.position(bad)
    with pytest.raises(ValueError, match=r"must lie in 0\.\.100"):
        Ranks.setting(101)
