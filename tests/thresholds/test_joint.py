from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.thresholds._joint import EXHAUST, JointSolution, coordinate_sweeps, summed_lines, table_line
from raysearch.thresholds._solve import TIE


def _f1(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    return 2 * tp / np.maximum(2 * tp + fp + fn, 1)


def _coordinate_optimum(table: np.ndarray, solution: JointSolution) -> bool:
    point = tuple(solution.positions.values())
    lines = (table_line(table)(point, axis) for axis in range(table.ndim))
    return all(line.max() <= solution.value + 10 * TIE for line in lines) and table[point] == solution.value


@settings(max_examples=60)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(0, 2**32 - 1), st.booleans())
def test_small_problems_are_proven_and_equal_brute_force(sizes: list[int], seed: int, minimize: bool) -> None:
    table = np.random.default_rng(seed).integers(0, 6, sizes) / 5
    names = {f"p{n}": size for n, size in enumerate(sizes)}
    solution = coordinate_sweeps(table_line(table), names, direction="minimize" if minimize else "maximize")
    assert solution.proven
    assert solution.value == (table.min() if minimize else table.max())
    assert table[tuple(solution.positions.values())] == solution.value
    assert solution.lines == np.prod(sizes) // max(sizes)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_beyond_proof_it_is_a_coordinate_optimum_and_no_worse_than_its_starts(seed: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    # a narrow ridge across the axes takes many sweeps; few values make ties, on which a search might run in circles
    at = np.indices((24, 24, 24)) - 23 * rng.random((3, 1, 1, 1))
    across = np.einsum("ij,jabc->iabc", rng.standard_normal((3, 3)), at)
    table = np.round(-np.einsum("i,iabc->abc", [20.0, 5.0, 0.2], across**2) / 10 ** rng.integers(0, 4), values)
    assert EXHAUST < 24**2
    start = tuple(rng.integers(24, size=3).tolist())
    solution = coordinate_sweeps(table_line(table), dict.fromkeys("abc", 24), starts=[start], seed=seed, restarts=3)
    assert not solution.proven
    assert _coordinate_optimum(table, solution)
    assert solution.value >= table[start]
    again = coordinate_sweeps(table_line(table), dict.fromkeys("abc", 24), starts=[start], seed=seed, restarts=3)
    assert again == solution


def test_a_ridge_stops_it_short_of_the_optimum_and_it_does_not_claim_otherwise() -> None:
    # on the diagonal values grow, off it they are 0: no single parameter can move along
    table = np.zeros((30, 30, 30))
    for n in range(30):
        table[n, n, n] = 1 + n
    solution = coordinate_sweeps(table_line(table), dict.fromkeys("abc", 30), starts=[(3, 3, 3)], restarts=0)
    assert solution == JointSolution({"a": 3, "b": 3, "c": 3}, 4.0, False, 6)
    # more starts never make it worse
    more = coordinate_sweeps(table_line(table), dict.fromkeys("abc", 30), starts=[(3, 3, 3), (9, 9, 9)], restarts=0)
    assert more.value == 10


def test_ties_go_to_the_centre_of_the_run() -> None:
    table = np.zeros((30, 31, 32))
    table[4:11, 10:21, 5:8] = 1
    solution = coordinate_sweeps(table_line(table), {"a": 30, "b": 31, "c": 32}, starts=[(4, 20, 5)], restarts=0)
    assert solution.positions == {"a": 7, "b": 15, "c": 6}


@pytest.mark.parametrize("seed", range(4))
def test_thresholds_by_class_under_a_metric_that_couples_classes(seed: int) -> None:
    """F1 of all classes' pixels together: the brute force over every combination of levels."""
    rng = np.random.default_rng(seed)
    levels = 9
    tp = np.sort(rng.integers(0, 60, (3, levels)))[:, ::-1]
    fp = np.sort(rng.integers(0, 200, (3, levels)) ** 2 // 100)[:, ::-1]
    fn = 60 - tp
    every = {
        point: float(_f1(*(sum(own[k, at] for k, at in enumerate(point)) for own in (tp, fp, fn))))
        for point in product(range(levels), repeat=3)
    }
    line = summed_lines(_f1, tp, fp, fn)
    for k in range(3):
        assert line((1, 4, 7), k)[(1, 4, 7)[k]] == pytest.approx(every[1, 4, 7])
    solution = coordinate_sweeps(line, {f"c{k}": levels for k in range(3)})
    assert solution.proven
    assert solution.value == pytest.approx(max(every.values()))
    assert every[tuple(solution.positions.values())] == pytest.approx(solution.value)


def test_what_does_not_fit_is_refused() -> None:
    line = table_line(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="at least one position"):
        coordinate_sweeps(line, {})
    with pytest.raises(ValueError, match="at least one position"):
        coordinate_sweeps(line, {"a": 2, "b": 0})
    with pytest.raises(ValueError, match="a start must have"):
        coordinate_sweeps(line, {"a": 2, "b": 3}, starts=[(0, 3)])
