from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from methods.chexseg._sampling import mixed

EXPERT, WEAK = np.arange(40, dtype=np.int64), np.arange(100, 260, dtype=np.int64)


def drawn(p: float, sampling: str = "bernoulli", epochs: int = 1, **sets: NDArray[np.int64]) -> NDArray[np.int64]:
    expert, weak = sets.get("expert", EXPERT), sets.get("weak", WEAK)
    parts = [mixed(expert, weak, p, sampling, np.random.default_rng(epoch)) for epoch in range(epochs)]  # type: ignore[arg-type]
    return np.concatenate(parts)


def share(p: float, sampling: str = "bernoulli") -> float:
    return float((drawn(p, sampling, epochs=300) < 100).mean())


@pytest.mark.parametrize("p", [0.2, 0.5, 0.85, 0.9])
def test_places_go_to_experts_with_probability_p(p: float) -> None:
    # 300 epochs of 200 places: five standard deviations
    assert share(p) == pytest.approx(p, abs=5 * (p * (1 - p) / 60_000) ** 0.5)


@pytest.mark.parametrize(
    ("p", "found"), [(0.2, 0.2), (0.6, 0.5), (0.8, 0.8), (0.85, 0.8), (0.9, 0.9), (0.05, 0.0), (1.0, 1.0)]
)
def test_the_released_code_draws_tenths(p: float, found: float) -> None:
    assert share(p, "released") == pytest.approx(found, abs=0.01)


def test_zero_and_one_are_exact() -> None:
    assert (drawn(0.0, epochs=50) >= 100).all()
    assert (drawn(1.0, epochs=50) < 100).all()


@pytest.mark.parametrize("sampling", ["bernoulli", "released"])
def test_an_epoch_is_as_long_as_both_sets_and_takes_all_of_a_set_in_turn(sampling: str) -> None:
    weak = drawn(0.0, sampling)
    assert len(weak) == 200
    counts = np.bincount(weak - 100, minlength=160)
    # the numbers 0 to 199 modulo 160
    assert np.array_equal(counts, np.where(np.arange(160) < 40, 2, 1))
    assert np.array_equal(np.bincount(drawn(1.0, sampling), minlength=40), np.full(40, 5))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_of_an_empty_set_no_place_takes_anything(p: float) -> None:
    none = np.zeros(0, np.int64)
    assert sorted(drawn(p, expert=none)) == WEAK.tolist()
    assert sorted(drawn(p, weak=none)) == EXPERT.tolist()
    assert len(drawn(p, expert=none, weak=none)) == 0
