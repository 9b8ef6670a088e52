from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from raysearch.data._stratify import stratify

tables = st.integers(1, 40).flatmap(lambda groups: arrays(np.int64, (groups, 4), elements=st.integers(0, 3)))


@given(counts=tables, seed=st.integers(0, 3))
def test_every_group_gets_a_part_and_the_same_one_again(counts: np.ndarray, seed: int) -> None:
    part = stratify(counts, (0.6, 0.2, 0.2), seed)
    assert part.shape == (len(counts),)
    assert set(part.tolist()) <= {0, 1, 2}
    np.testing.assert_array_equal(part, stratify(counts, (0.6, 0.2, 0.2), seed))


@given(groups=st.integers(3, 60), seed=st.integers(0, 3))
def test_equal_groups_are_divided_to_within_one(groups: int, seed: int) -> None:
    part = stratify(np.ones((groups, 1), np.int64), (3, 1, 1), seed)
    sizes = np.bincount(part, minlength=3)
    assert (np.abs(sizes - groups * np.array([0.6, 0.2, 0.2])) <= 1).all()
    assert (sizes > 0).all()


@given(seed=st.integers(0, 20), rare=st.integers(3, 6))
def test_a_rare_attribute_reaches_every_part(seed: int, rare: int) -> None:
    counts = np.ones((200, 2), np.int64)
    counts[rare:, 1] = 0
    part = stratify(counts, (0.6, 0.2, 0.2), seed)
    assert set(part[:rare]) == {0, 1, 2}


def test_one_large_group_does_not_unbalance_the_rest() -> None:
    counts = np.ones((101, 1), np.int64)
    counts[7] = 50
    part = stratify(counts, (1, 1, 1), seed=0)
    sizes = np.bincount(part, weights=counts[:, 0])
    assert sizes.max() - sizes.min() <= 1
