"""What is kept, what comes next, and when a trial has settled: functions of its rows."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from raysearch.alternation import facts, keep, last_kept, outcomes, rounds_of, what_next
from raysearch.alternation._rounds import SETTLED_ROUNDS, SETTLED_THRESHOLD, SETTLED_VALUE
from raysearch.study._judge import judge

Rows = list[dict[str, Any]]


def rows(
    *rounds: tuple[float, bool, list[float]], length: int = 2, last_stage: bool = True, stage_ends: int = 0
) -> Rows:
    """Of rounds (tau, proposed, values of its epochs), `length` epochs each; a stage ends with epoch `stage_ends`."""
    out: Rows = []
    for number, (tau, proposed, values) in enumerate(rounds):
        plan = {
            "number": number, "first": len(out), "epochs": length, "pauses": (), "thresholds": {"tau": {"a": tau}},
            "proposed": proposed, "taken_back": False, "note": "",
        }  # fmt: skip
        for value in values:
            epoch = len(out) + 1
            told = facts(plan, epoch=epoch, finished=False, value=value, stage_ends=epoch == stage_ends)
            out.append({"epoch": epoch, "value": value, "last_stage": last_stage, "alternation": told})
    return out


def test_a_trial_without_a_value_does_not_settle() -> None:
    """Where no region is known nobody can say that nothing improves: it trains all of its epochs."""
    unknown = [math.nan, math.nan]
    still = [(0.5, False, unknown)] * (SETTLED_ROUNDS + 2)
    assert what_next(rounds_of(rows(*still))).action != "settled"


def test_a_trial_begins_with_round_0() -> None:
    assert what_next(rounds_of([])).action == "train"
    assert what_next(rounds_of([])).number == 0
    assert what_next(rounds_of([])).thresholds is None


def test_within_a_round_it_goes_on() -> None:
    following = what_next(rounds_of(rows((0.5, False, [0.1, 0.2]), (0.6, True, [0.3]))))
    assert (following.action, following.number, following.take_back) == ("train", 1, False)
    assert following.thresholds == {"tau": {"a": 0.6}}


def test_a_kept_round_is_followed_by_a_proposal() -> None:
    following = what_next(rounds_of(rows((0.5, False, [0.1, 0.2]), (0.6, True, [0.3, 0.2]))))
    assert (following.action, following.number, following.take_back) == ("propose", 2, False)
    assert following.thresholds == {"tau": {"a": 0.6}}


def test_a_worse_one_is_taken_back_and_training_goes_on_from_the_kept_round() -> None:
    history = rows((0.5, False, [0.1, 0.2]), (0.6, True, [0.3, 0.19]))
    assert [r.kept for r in rounds_of(history)] == [True, False]
    following = what_next(rounds_of(history))
    assert (following.action, following.number, following.take_back) == ("repeat", 2, True)
    assert following.thresholds == {"tau": {"a": 0.5}}
    assert [o.kept for o in outcomes(rounds_of(history))] == [True, False]


def test_a_round_under_kept_thresholds_is_kept_whatever_comes_of_it() -> None:
    history = rows((0.5, False, [0.1, 0.2]), (0.6, True, [0.3, 0.1]), (0.5, False, [0.1, 0.05]))
    assert [r.kept for r in rounds_of(history)] == [True, False, True]
    assert what_next(rounds_of(history)).action == "propose"
    # and the next proposal is judged by where the weights are now, not by where they once were
    history += rows(*[(0.5, False, [0.0, 0.0])] * 3, (0.4, True, [0.0, 0.06]))[-2:]
    assert rounds_of(history)[-1].kept


@given(st.floats(), st.floats())
def test_keep_is_not_worse_and_a_nan_never_replaces_a_number(before: float, after: float) -> None:
    assert keep(before, after) == (not math.isnan(after) and not after < before)


def test_it_settles_when_thresholds_do_not_move_and_the_metric_does_not_improve() -> None:
    still = [(0.5, True, [0.3, 0.3])] * (SETTLED_ROUNDS + 1)
    assert what_next(rounds_of(rows(*still))).action == "settled"
    assert what_next(rounds_of(rows(*still[1:]))).action == "propose", "too few rounds to tell"
    assert what_next(rounds_of(rows(*still, last_stage=False))).action == "repeat", "a stage is still to come"
    moved = [*still[:-1], (0.5 * (1 + 2 * SETTLED_THRESHOLD), True, [0.3, 0.3])]
    assert what_next(rounds_of(rows(*moved))).action == "propose"
    better = [*still[:-1], (0.5, True, [0.3, 0.3 + 2 * SETTLED_VALUE])]
    assert what_next(rounds_of(rows(*better))).action == "propose"
    drifting = [(0.5 * (1 + i * 0.9 * SETTLED_THRESHOLD), True, [0.3, 0.3]) for i in range(SETTLED_ROUNDS + 1)]
    assert what_next(rounds_of(rows(*drifting))).action == "propose", "small steps that add up are a move"
    small = [(0.01, True, [0.3, 0.3])] * SETTLED_ROUNDS + [(0.012, True, [0.3, 0.3])]
    assert what_next(rounds_of(rows(*small))).action == "propose", "a small threshold may move far in small steps"


def test_proposals_that_are_taken_back_time_and_again_are_thresholds_that_have_settled() -> None:
    refused, again = (0.9, True, [0.1, 0.1]), (0.5, False, [0.3, 0.3])
    history = [again, again, refused, again]
    assert what_next(rounds_of(rows(*history))).action == "settled"
    assert what_next(rounds_of(rows(*history[1:]))).action == "propose"
    assert what_next(rounds_of(rows(*history[:-1], refused))).action == "repeat", "the kept weights come first"


def test_a_later_stage_begins_without_a_proposal_and_is_kept_whatever_comes_of_it() -> None:
    first = [(0.5, False, [0.1, 0.2]), (0.6, True, [0.3, 0.4])]
    following = what_next(rounds_of(rows(*first, stage_ends=4)))
    assert (following.action, following.take_back) == ("repeat", False)
    refused = [first[0], (0.6, True, [0.3, 0.1])]
    following = what_next(rounds_of(rows(*refused, stage_ends=4)))
    assert (following.action, following.take_back) == ("repeat", True)
    worse = rounds_of(rows(*first, (0.6, False, [0.1, 0.1]), stage_ends=4))
    assert worse[-1].kept
    assert what_next(worse).action == "propose"
    cut_short = rounds_of(rows((0.5, False, [0.1]), (0.6, False, [0.1, 0.2]), stage_ends=1))
    assert [r.complete for r in cut_short] == [True, True], "a round ends with its stage"


def test_the_last_row_of_a_trial_is_that_of_its_last_kept_round() -> None:
    history = rows((0.5, False, [0.1, 0.2]), (0.6, True, [0.3, 0.15]))
    judged = judge(history, maximise=True, select="last")
    assert judged is not None
    assert judged["epoch"] == 2
    judged = judge(history, maximise=True, select="best")
    assert judged is not None
    assert judged["epoch"] == 3, "an epoch that was measured counts, whatever came after it"


@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans(), st.lists(st.floats(0, 1), min_size=2, max_size=2))
    )
)
def test_every_step_follows_from_the_rows_alone(rounds: list[tuple[float, bool, list[float]]]) -> None:
    history = rows(*rounds)
    for length in range(len(history) + 1):
        some = rounds_of(history[:length])
        following = what_next(some)
        kept = last_kept(some)
        if following.action in ("propose", "repeat"):
            assert kept is not None
            assert following.thresholds == kept.thresholds
            assert following.take_back == (not some[-1].kept)
            assert following.number == len(some)
