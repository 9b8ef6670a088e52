from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from alternation_examples import SPECS, START, by_class, random_regions
from hypothesis import given
from hypothesis import strategies as st

from raysearch.alternation import Outcome, Thresholds, check_proposer, propose
from raysearch.alternation._constrain import check_thresholds
from raysearch.alternation._criterion import best_pair, youden_cut
from raysearch.alternation._from_evidence import MIN_PAIRS
from raysearch.alternation._propose import PROPOSERS
from raysearch.alternation._reach import SLACK, log_odds, reach
from raysearch.errors import UserError
from raysearch.method import LossThreshold
from raysearch.thresholds import Regions

CLASSES = ("a", "b")
CURRENT = by_class(START, CLASSES)
CONFIDENCE = LossThreshold(name="confidence", low=0.5)
"""As of MultiMix: it bounds no region."""


def step(
    proposer: Literal["criterion", "quantile", "search"], regions: Regions | None, current: Thresholds = CURRENT
) -> tuple[Thresholds, tuple[str, ...]]:
    proposal = propose(proposer, regions, current, SPECS, CLASSES, [], seed=0)
    return proposal.thresholds, proposal.notes


@given(st.sampled_from(PROPOSERS), st.integers(0, 2**32 - 1), st.integers(1, 80), st.data())
def test_domains_order_and_slack_limit_hold_whatever_the_evidence(
    proposer: Literal["criterion", "quantile", "search"], seed: int, rows: int, data: st.DataObject
) -> None:
    shares = st.floats(0, 1)
    start = {spec.name: {c: data.draw(shares) for c in CLASSES} for spec in SPECS}
    for c in CLASSES:
        start["rho_hat"][c] *= 0.9 * start["tau_hat"][c]
        start["tau_hat"][c] = max(start["tau_hat"][c], 1e-3)
    current, history = start, []
    for round_ in range(3):
        history.append(Outcome(thresholds=current, value=0.1 * round_, kept=True))
        regions = random_regions(seed + round_, rows)
        # of a trial that took over another one's weights the earlier rounds are gone, and its start is not
        recent = history[-1:] if seed % 2 else history
        proposal = propose(proposer, regions, current, SPECS, CLASSES, recent, seed=seed, start=start)
        assert proposal == propose(proposer, regions, current, SPECS, CLASSES, recent, seed=seed, start=start)
        current = proposal.thresholds
        check_thresholds(current, SPECS, CLASSES)
    for spec in SPECS if proposer != "search" else ():
        for c in CLASSES:
            moved = log_odds(spec, current[spec.name][c]) - log_odds(spec, start[spec.name][c])
            slack = -moved if spec.bounds in ("inside", "present") else moved
            # tau_hat may have been raised, and rho_hat lowered, to keep the one under the other: never the slack way
            assert slack <= math.log(SLACK) + 1e-9


def test_criterion_solves_each_class_by_its_own_pairs() -> None:
    regions = random_regions(0, rows=200)
    thresholds, notes = step("criterion", regions)
    assert notes == ()
    for k, c in enumerate(CLASSES):
        known = regions.annotated & (regions.label == k)
        windows = [reach(spec, START[spec.name], START[spec.name]) for spec in SPECS]
        pair = best_pair(regions.blob[known], regions.positive_outside[known], *windows[:2], 0.5)
        assert (thresholds["tau"][c], thresholds["rho"][c]) == pair
        own = regions.label == k
        cut = youden_cut(regions.total[own & regions.present], regions.total[own & ~regions.present])
        assert cut is not None
        assert thresholds["tau_hat"][c] == windows[2].clip(cut[1])
        assert thresholds["rho_hat"][c] == min(windows[3].clip(cut[0]), thresholds["tau_hat"][c])


def test_quantile_is_the_median_within_reach() -> None:
    regions = random_regions(1, rows=200)
    thresholds, notes = step("quantile", regions)
    assert notes == ()
    for k, c in enumerate(CLASSES):
        own = regions.label == k
        values = {
            "tau": regions.inside[own & regions.annotated],
            "rho": regions.outside[own & regions.annotated],
            "tau_hat": regions.total[own & regions.present],
            "rho_hat": regions.total[own & ~regions.present],
        }
        for spec in SPECS:
            window = reach(spec, START[spec.name], START[spec.name])
            assert thresholds[spec.name][c] == pytest.approx(window.clip(float(np.median(values[spec.name]))))


@pytest.mark.parametrize("proposer", ["criterion", "quantile"])
def test_a_class_with_few_pairs_shares_what_all_pairs_give(proposer: Literal["criterion", "quantile"]) -> None:
    regions = random_regions(2, rows=200)
    few = np.flatnonzero((regions.label == 1) & regions.annotated)[: MIN_PAIRS - 1]
    regions = regions.select(np.sort(np.concatenate([np.flatnonzero(regions.label == 0), few])))
    thresholds, notes = step(proposer, regions)
    together = Regions(
        **{name: getattr(regions, name) for name in Regions.columns if name != "label"},
        label=np.zeros(len(regions), np.int32),
        classes=("a",),
    )
    shared = propose(proposer, together, by_class(START, ("a",)), SPECS, ("a",), [], seed=0).thresholds
    assert {name: values["b"] for name, values in thresholds.items()} == {n: v["a"] for n, v in shared.items()}
    assert any("of b: chosen by the pairs of all classes, for want of 10 of their own" in note for note in notes)


@pytest.mark.parametrize("proposer", ["criterion", "quantile"])
def test_without_evidence_everything_keeps_its_value_and_says_so(proposer: Literal["criterion", "quantile"]) -> None:
    thresholds, notes = step(proposer, None)
    assert thresholds == CURRENT
    assert all("of a, b: no evidence, so they keep their values" in note for note in notes)
    unannotated = random_regions(3).select(np.flatnonzero(~random_regions(3).annotated))
    thresholds, notes = step(proposer, unannotated)
    assert thresholds["tau"] == CURRENT["tau"]
    assert "no pair to choose them by, so they keep their values" in notes[0]


def test_criterion_keeps_its_values_where_the_maps_are_empty() -> None:
    regions = random_regions(4, rows=100)
    empty = np.where(regions.annotated, 0.0, np.nan)
    columns = {name: getattr(regions, name) for name in ("classes", *Regions.columns)}
    columns |= {"total": np.zeros(100), "inside": empty, "outside": empty, "blob": empty, "positive_outside": empty}
    thresholds, notes = step("criterion", Regions(**columns))
    assert thresholds == CURRENT
    assert "no annotated region holds eq. 4 at any threshold within reach" in notes[0]
    assert "the region sum does not tell present from absent" in notes[1]


@pytest.mark.parametrize("proposer", ["criterion", "quantile"])
def test_maps_with_nan_are_left_out_with_a_note(proposer: Literal["criterion", "quantile"]) -> None:
    regions = random_regions(5, rows=200)
    broken = np.arange(200) % 3 == 0
    columns = {name: getattr(regions, name) for name in ("classes", *Regions.columns)}
    columns |= {
        name: np.where(broken, np.nan, columns[name])
        for name in ("total", "inside", "outside", "blob", "positive_outside")
    }
    thresholds, notes = step(proposer, Regions(**columns))
    assert notes[0] == "67 of 200 maps have a NaN and were left out"
    assert thresholds == step(proposer, regions.select(~broken))[0]


def test_thresholds_without_a_rule_keep_their_value_with_a_note() -> None:
    current = CURRENT | {"confidence": dict.fromkeys(CLASSES, 0.7)}
    proposal = propose("criterion", random_regions(6), current, (*SPECS, CONFIDENCE), CLASSES, [], seed=0)
    assert proposal.thresholds["confidence"] == current["confidence"]
    assert proposal.notes[-1].startswith("confidence: the proposer has no rule for it, so it keeps its value")


def test_search_moves_any_threshold_without_evidence_and_finds_the_better_side() -> None:
    current = {"confidence": {"a": 0.75, "b": 0.9}}
    history = [Outcome(thresholds=current, value=0.75, kept=True)]
    for _ in range(30):
        proposal = propose("search", None, current, (CONFIDENCE,), CLASSES, history, seed=3).thresholds
        check_thresholds(proposal, (CONFIDENCE,), CLASSES)
        shifts = [
            log_odds(CONFIDENCE, proposal["confidence"][c]) - log_odds(CONFIDENCE, current["confidence"][c])
            for c in CLASSES
        ]
        assert shifts[0] == pytest.approx(shifts[1])
        history.append(Outcome(thresholds=proposal, value=proposal["confidence"]["a"], kept=True))
    early, late = (np.mean([outcome.value for outcome in part]) for part in (history[1:6], history[-10:]))
    assert late > early
    assert late > 0.85  # 0.9 is as far as it may go from 0.75


def test_search_learns_nothing_from_rounds_without_a_value() -> None:
    kept = Outcome(thresholds=CURRENT, value=0.5, kept=True)
    broken = [Outcome(thresholds=CURRENT, value=value, kept=False) for value in (math.nan, math.inf)]
    proposals = {
        str(propose("search", None, CURRENT, SPECS, CLASSES, [kept] * n + broken, seed=0).thresholds) for n in (1, 2, 8)
    }
    assert len(proposals) == 3  # as many outcomes, as many answers, and none of them an error


@pytest.mark.parametrize(
    ("proposer", "specs", "message"),
    [
        ("quantil", SPECS, "--alternate quantil: unknown proposer; did you mean 'quantile'?"),
        ("search", (), "--alternate search: the method declares no loss threshold"),
        ("criterion", (CONFIDENCE,), "--alternate criterion: none of confidence bounds what it works from .*search"),
        ("quantile", (CONFIDENCE,), "--alternate quantile: none of confidence bounds what it works from .*search"),
        ("criterion", SPECS[:1], r"none of tau bounds what it works from \(inside and outside or present and absent\)"),
        ("quantile", (SPECS[0], LossThreshold(name="t", bounds="inside")), "tau and t both bound 'inside'"),
    ],
)
def test_a_proposer_that_could_propose_nothing_is_refused(
    proposer: str, specs: tuple[LossThreshold, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        check_proposer(proposer, specs)
    assert "\n" not in str(error.value)


def test_what_works_is_not_refused() -> None:
    for proposer in PROPOSERS:
        check_proposer(proposer, SPECS)
    check_proposer("quantile", SPECS[:1])
    check_proposer("search", (CONFIDENCE,))


def test_wrong_arguments_are_refused() -> None:
    regions = random_regions(7)
    with pytest.raises(ValueError, match="slack_weight must be above 0"):
        propose("criterion", regions, CURRENT, SPECS, CLASSES, [], seed=0, slack_weight=0)
    with pytest.raises(ValueError, match="evidence of the classes a, b, expected b, a"):
        propose("criterion", regions, CURRENT, SPECS, ("b", "a"), [], seed=0)
    with pytest.raises(UserError, match=r"tau of a is 1.2; expected a number in \[0, 1\]"):
        propose("criterion", regions, CURRENT | {"tau": dict.fromkeys(CLASSES, 1.2)}, SPECS, CLASSES, [], seed=0)
