from __future__ import annotations

import pytest
from alternation_examples import SPECS
from hypothesis import given
from hypothesis import strategies as st

from raysearch.alternation._reach import SLACK, STEP, from_log_odds, log_odds, reach
from raysearch.method import LossThreshold

specs = st.sampled_from([*SPECS, LossThreshold(name="t", low=0.5, high=0.8, bounds="inside")])


@given(specs, st.floats(0, 1), st.floats(0, 1))
def test_reach_holds_the_current_value_unless_it_is_slacker_than_allowed(
    spec: LossThreshold, current: float, start: float
) -> None:
    current, start = (spec.low + share * (spec.high - spec.low) for share in (current, start))
    low, high = reach(spec, current, start)
    assert spec.low <= low <= high <= spec.high
    slackest = reach(spec, start, start)  # a step of 2 from there, and 4 is the limit
    inside = from_log_odds(spec, log_odds(spec, current))
    if (inside >= slackest.low) if spec.bounds in ("inside", "present") else (inside <= slackest.high):
        assert low - 1e-12 <= inside <= high + 1e-12


@pytest.mark.parametrize(
    ("name", "start", "slackest"),
    [("tau", 0.7, 0.3684), ("rho", 0.1, 0.3077), ("tau_hat", 0.05, 0.0130), ("rho_hat", 0.01, 0.0388)],
)
def test_no_row_of_proposals_passes_the_slack_limit(name: str, start: float, slackest: float) -> None:
    spec = next(spec for spec in SPECS if spec.name == name)
    current = start
    for round_ in range(10):
        window = reach(spec, current, start)  # were it the first round each time
        following = window.low if slackest < start else window.high
        ratio = abs(log_odds(spec, following) - log_odds(spec, current))
        assert ratio == pytest.approx(0.6931 if round_ < 2 else 0, abs=1e-4)
        current = following
    assert current == pytest.approx(slackest, abs=1e-4)
    assert (STEP, SLACK) == (2, 4)


@given(specs, st.floats(0, 1), st.floats(0, 1))
def test_steps_get_smaller_until_thresholds_rest(spec: LossThreshold, start: float, toward: float) -> None:
    start, toward = (spec.low + share * (spec.high - spec.low) for share in (start, toward))
    current, moves = start, []
    for rounds in range(1, 12):
        following = reach(spec, current, start, rounds).clip(toward)
        moves.append(abs(log_odds(spec, following) - log_odds(spec, current)))
        current = following
    assert moves[0] <= 0.6932
    assert all(move <= 0.6932 / n**2 + 1e-9 for n, move in enumerate(moves, 1))
    assert sum(moves[-3:]) < 0.03
