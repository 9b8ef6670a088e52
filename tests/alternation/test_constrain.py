from __future__ import annotations

import math

import pytest
from alternation_examples import SPECS, START, by_class
from hypothesis import given
from hypothesis import strategies as st

from raysearch.alternation._constrain import GAP, check_thresholds, constrain
from raysearch.errors import UserError
from raysearch.method import LossThreshold

CLASSES = ("a", "b")
CHAIN = (
    LossThreshold(name="low", low=0.1, high=0.9, below="middle"),
    LossThreshold(name="middle", below="high"),
    LossThreshold(name="high", low=-1, high=2),
)
anything = st.floats(allow_nan=False, width=32)
ends = st.sampled_from([0.0, 1.0, 0.05, 0.1, 0.9])


@given(st.sampled_from([SPECS, CHAIN]), st.data())
def test_domains_and_order_hold_and_nothing_moves_that_fits(
    specs: tuple[LossThreshold, ...], data: st.DataObject
) -> None:
    values = {spec.name: {c: data.draw(anything | ends) for c in CLASSES} for spec in specs}
    out = constrain(values, specs, CLASSES)
    check_thresholds(out, specs, CLASSES)
    assert constrain(out, specs, CLASSES) == out
    for spec in specs:
        if spec.below is None and not any(other.below == spec.name for other in specs):
            assert out[spec.name] == {c: min(max(v, spec.low), spec.high) for c, v in values[spec.name].items()}


def test_what_is_not_below_goes_just_below() -> None:
    out = constrain(by_class(START | {"rho_hat": 0.05}, CLASSES), SPECS, CLASSES)
    assert out == by_class(START | {"rho_hat": 0.05 - GAP}, CLASSES)


def test_the_other_is_raised_where_there_is_no_room_below() -> None:
    out = constrain(by_class(START | {"rho_hat": 0.0, "tau_hat": 0.0}, CLASSES), SPECS, CLASSES)
    assert out == by_class(START | {"rho_hat": 0.0, "tau_hat": GAP}, CLASSES)


def test_nan_and_domains_without_room_are_refused() -> None:
    with pytest.raises(ValueError, match="tau of a: nan cannot be put into"):
        constrain(by_class(START | {"tau": math.nan}, CLASSES), SPECS, CLASSES)
    apart = (LossThreshold(name="x", low=0.5, below="y"), LossThreshold(name="y", high=0.4))
    with pytest.raises(ValueError, match=r"y of a: 0\.3 cannot be put into"):
        constrain({"x": {"a": 0.6}, "y": {"a": 0.3}}, apart, ("a",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau": 1.3}, r"tau of a is 1.3; expected a number in \[0, 1\]: set another with --fix tau=VALUE"),
        ({"rho": -0.1}, r"rho of a is -0.1; expected a number in \[0, 1\]"),
        ({"rho": math.nan}, r"rho of a is nan; expected a number in \[0, 1\]"),
        ({"rho_hat": 0.05}, r"rho_hat of a is 0.05, not under tau_hat \(0.05\): lower it with --fix rho_hat=VALUE"),
    ],
)
def test_thresholds_outside_their_domain_are_refused_in_one_line(change: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        check_thresholds(by_class(START | change, CLASSES), SPECS, CLASSES)
    assert "\n" not in str(error.value)


def test_every_class_needs_a_value() -> None:
    with pytest.raises(UserError, match="tau: values of a; expected one for each of a, b"):
        check_thresholds(by_class(START, ("a",)), SPECS, CLASSES)
