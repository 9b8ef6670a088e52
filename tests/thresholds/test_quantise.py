from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysearch.thresholds import LEVELS, binarise, level, quantise, threshold


def test_every_level_survives_the_round_trip() -> None:
    assert [level(threshold(n)) for n in range(LEVELS)] == list(range(LEVELS))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rounds_half_up(dtype: type) -> None:
    values = np.array([0, 0.25, 0.5, 0.75, 1], dtype)
    np.testing.assert_array_equal(quantise(values), [0, 64, 128, 191, 255])


@given(st.floats(0, 1, width=32))
def test_a_half_is_decided_as_on_the_map_itself(value: float) -> None:
    assert binarise(quantise(np.float32(value)), level(0.5)) == (np.float32(value) * np.float32(255) >= 127.5)


@given(st.floats(0, 1), st.integers(0, LEVELS - 1))
def test_a_mask_shrinks_as_the_level_rises(value: float, n: int) -> None:
    quantised = quantise(value)
    assert binarise(quantised, n) == (int(quantised) >= n)
    assert binarise(quantised, 0)
    assert not binarise(quantised, 256)


def test_one_level_a_map() -> None:
    maps = np.array([[[10, 20]], [[10, 20]]], np.uint8)
    taken = binarise(maps, np.array([15, 256])[:, None, None])
    np.testing.assert_array_equal(taken, [[[False, True]], [[False, False]]])


@pytest.mark.parametrize("bad", [np.nan, -0.01, 1.01, np.inf])
def test_refuses_values_outside_the_unit_interval(bad: float) -> None:
    with pytest.raises(ValueError, match=r"maps must lie in \[0, 1\]"):
        quantise(np.array([0.3, bad, 0.4]))


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_refuses_thresholds_outside(bad: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        level(bad)
    with pytest.raises(ValueError, match="level"):
        threshold(257)
