from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysearch.alternation import _criterion
from raysearch.alternation._criterion import TIE, best_pair, youden_cut
from raysearch.alternation._reach import Reach

shares = st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=1, max_size=12)
weights = st.sampled_from([0.01, 0.1, 0.25, 0.5, 2.0])
windows = st.tuples(st.integers(0, 10), st.integers(0, 10)).map(lambda ends: Reach(min(ends) / 10, max(ends) / 10))


def brute_force(
    blob: np.ndarray, outside: np.ndarray, taus: Reach, rhos: Reach, weight: float
) -> tuple[float, list[tuple[float, float]]]:
    """Best value of eq. 4 with the slack term and all pairs that reach it, trying every pair that might."""
    values = {}
    for tau, rho in product({v for v in blob if taus.low < v < taus.high} | {*taus}, {*outside.tolist(), *rhos}):
        hits = [b > 0 and b >= tau and o <= rho for b, o in zip(blob, outside, strict=True)]
        if any(hits) and rhos.low <= rho <= rhos.high:
            values[float(tau), float(rho)] = np.mean(hits) + weight * (tau - rho)
    best = max(values.values(), default=-np.inf)
    return best, sorted(pair for pair, value in values.items() if value >= best - TIE)


@given(shares, st.integers(0, 2**32 - 1), windows, windows, weights, st.sampled_from([1, 7, 1_000_000]))
def test_is_the_best_of_all_pairs_of_thresholds(
    blob: list[float], seed: int, taus: Reach, rhos: Reach, weight: float, block: int
) -> None:
    outside = np.random.default_rng(seed).integers(0, 9, len(blob)) / 8
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_criterion, "_BLOCK", block)
        found = best_pair(np.array(blob), outside, taus, rhos, weight)
    _, tied = brute_force(np.array(blob), outside, taus, rhos, weight)
    assert found == (tied[(len(tied) - 1) // 2] if tied else None)


def test_no_other_thresholds_do_better() -> None:
    """The values of the evidence are enough: a fine grid finds nothing better."""
    rng = np.random.default_rng(0)
    blob, outside = rng.random(30), rng.random(30) * 0.4
    found = best_pair(blob, outside, Reach(0, 1), Reach(0, 1), 0.5)
    assert found is not None

    def value(tau: float, rho: float) -> float:
        return float(np.mean((blob >= tau) & (outside <= rho)) + 0.5 * (tau - rho))

    grid = np.linspace(0, 1, 201)
    assert value(*found) >= max(value(t, r) for t in grid for r in grid) - TIE


def test_an_empty_map_holds_no_threshold() -> None:
    assert best_pair(np.zeros(9), np.zeros(9), Reach(0, 1), Reach(0, 1), 0.5) is None


def youden(cut: float, present: np.ndarray, absent: np.ndarray) -> float:
    return float(np.mean(present >= cut) - np.mean(absent >= cut))


totals = st.lists(st.integers(0, 40).map(lambda n: n / 40), min_size=1, max_size=30).map(np.array)


@given(totals, totals)
def test_the_cut_is_the_best_of_all_in_the_widest_gap(present: np.ndarray, absent: np.ndarray) -> None:
    found = youden_cut(present, absent)
    values = sorted({*present.tolist(), *absent.tolist()})
    gaps = list(pairwise(values))
    best = max((youden(above, present, absent) for _, above in gaps), default=0.0)
    chance = np.sqrt(-np.log(0.05) / 2 * (1 / len(present) + 1 / len(absent)))
    if best <= chance:
        assert found is None
        return
    assert found in gaps
    below, above = found
    assert below < above
    assert youden(above, present, absent) == pytest.approx(best)
    tied = [gap for gap in gaps if youden(gap[1], present, absent) >= best - TIE]
    assert above - below == pytest.approx(max(high - low for low, high in tied))


def test_separate_sums_are_bounded_by_what_each_side_reaches() -> None:
    assert youden_cut(np.linspace(0.3, 0.6, 20), np.linspace(0, 0.1, 20)) == pytest.approx((0.1, 0.3))


def test_of_equally_good_cuts_the_one_in_the_widest_gap_counts() -> None:
    present, absent = np.array([0.2] + [0.6] * 19), np.array([0.1] * 19 + [0.2])
    assert youden(0.2, present, absent) == pytest.approx(youden(0.6, present, absent))
    assert youden_cut(present, absent) == (0.2, 0.6)


def test_sums_that_are_alike_give_no_cut() -> None:
    same = np.linspace(0, 1, 50)
    assert youden_cut(same, same) is None
    assert youden_cut(1 - same, np.array([])) is None
