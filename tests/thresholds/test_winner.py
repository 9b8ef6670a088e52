"""The value of a winner, corrected for its choice."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from raysearch.thresholds import Winner, winner

Floats = NDArray[np.float64]


def of_scores(scores: Floats, owner: list[int] | None = None, **options: object) -> Winner:
    """Of scores (C, P), each value being the mean over patients."""
    values = scores.mean(axis=1)
    influence = (scores - values[:, None]) / (scores.shape[1] - 1)
    return winner(values, influence, np.array(owner or range(len(scores))), **options)  # type: ignore[arg-type]


def alike(candidates: int, patients: int, rng: np.random.Generator, truth: Floats | float = 0.0) -> Floats:
    """Scores with errors of which half the variance is shared by all candidates."""
    own = rng.normal(0, 0.15, (candidates, patients))
    return np.reshape(truth, (-1, 1)) + rng.normal(0, 0.15, patients) + own


def test_one_candidate_has_its_own_value_and_students_interval() -> None:
    scores = alike(1, 30, np.random.default_rng(0), 0.4)
    found = of_scores(scores)
    low, high = stats.t.interval(0.95, 29, scores.mean(), scores[0].std(ddof=1) / math.sqrt(30))
    assert found.value.mean == pytest.approx(found.naive, abs=1e-9)
    assert found.value.low == pytest.approx(low)
    assert found.value.high == pytest.approx(high)


@pytest.mark.parametrize(("candidates", "patients"), [(16, 20), (64, 80)])
def test_the_best_of_alike_candidates_is_worth_what_all_are(candidates: int, patients: int) -> None:
    """Naive values are too high by about 0.059 and 0.040; errors that all share are taken off, their mean is known."""
    rng = np.random.default_rng(1)
    naive, corrected, held = [], [], []
    for _ in range(100):
        scores = alike(candidates, patients, rng)
        found, shared = of_scores(scores), scores.mean()
        naive.append(found.naive - shared)
        corrected.append(found.value.mean - shared)
        held.append(found.value.low <= 0 <= found.value.high)
    assert np.mean(naive) > 0.035
    assert abs(np.mean(corrected)) < 0.12 * np.mean(naive)
    assert np.mean(held) >= 0.9


def test_a_candidate_that_stands_out_keeps_its_value() -> None:
    truth = np.r_[np.zeros(30), 0.5]
    scores = alike(31, 40, np.random.default_rng(2), truth)
    found = of_scores(scores)
    assert found.naive - found.value.mean < 0.005


def test_epochs_of_a_trial_that_agree_are_one_candidate() -> None:
    """Copies of candidates add no luck."""
    scores = alike(8, 40, np.random.default_rng(3))
    once, often = of_scores(scores), of_scores(np.repeat(scores, 5, axis=0), [n // 5 for n in range(40)])
    assert often.value.mean == pytest.approx(once.value.mean, abs=0.004)


def test_less_is_better_turns_everything_round() -> None:
    scores = alike(12, 40, np.random.default_rng(4))
    more, less = of_scores(scores, against=0), of_scores(-scores, direction="minimize", against=0)
    assert less.naive == pytest.approx(-more.naive)
    assert less.value.mean == pytest.approx(-more.value.mean)
    assert (less.value.low, less.value.high) == pytest.approx((-more.value.high, -more.value.low))
    assert less.gain == pytest.approx(more.gain)


def test_a_gain_of_alike_candidates_is_not_told_apart_and_a_large_one_is() -> None:
    rng = np.random.default_rng(5)
    same = [of_scores(alike(16, 40, rng), against=0) for _ in range(60)]
    better = [of_scores(alike(16, 40, rng, np.r_[0.0, np.full(15, 0.3)]), against=0) for _ in range(10)]
    assert sum(found.told_apart for found in same) <= 4
    assert all(found.told_apart for found in better)
    gains = [found.gain.mean for found in same if found.gain is not None]
    assert abs(np.mean(gains)) < 0.02


def test_there_is_no_gain_where_the_winner_is_what_it_is_compared_with() -> None:
    scores = alike(4, 20, np.random.default_rng(6), np.array([1.0, 0, 0, 0]))
    assert of_scores(scores, against=0).gain is None
    assert of_scores(scores, against=9).gain is None


def test_patients_that_do_not_enter_change_nothing() -> None:
    scores = alike(6, 20, np.random.default_rng(7))
    values = scores.mean(axis=1)
    influence = (scores - values[:, None]) / 19
    padded = np.concatenate([influence, np.zeros((6, 15))], axis=1)
    owner = np.arange(6)
    assert winner(values, padded, owner) == winner(values, influence, owner)


def test_one_patient_says_nothing_of_others() -> None:
    found = winner(np.array([0.3, 0.4]), np.array([[0.1], [0.2]]), np.arange(2), against=0)
    assert found.value.mean == found.naive == 0.4
    assert math.isnan(found.value.low)
    assert not found.told_apart


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match=r"C values, influence \(C, P\)"):
        winner(np.zeros(2), np.zeros((3, 4)), np.arange(2))
    with pytest.raises(ValueError, match="C values"):
        winner(np.zeros(0), np.zeros((0, 4)), np.arange(0))
