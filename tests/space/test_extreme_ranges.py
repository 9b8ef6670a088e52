"""Ranges that floats or samplers cannot hold are refused when they are read; the widest that are not can be drawn."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import optuna
import pytest

from raysearch.errors import SpaceError, UserError
from raysearch.search._grid import grid_points, narrowed
from raysearch.search._sampler import sampler_named
from raysearch.space import load_space

ABSURD = [
    ("temperature=float:0.5:1.5:1e-30", "step is 1e-30, too fine for numbers up to 1.5; write at least 1.5e-07"),
    ("temperature=float:0:1:1e-9", "step is 1e-09, too fine for numbers up to 1"),
    ("temperature=float:1000000:1000001:0.001", "step is 0.001, too fine for numbers up to 1e+06"),
    ("temperature=float:0:1:5e-324", "too fine"),
    ("temperature=float:-1e308:1e308", "low is -1e+308, expected numbers from -1e+300 to 1e+300"),
    ("temperature=float:0:1.7e308", "high is 1.7e+308"),
    ("temperature=float:0:5e-324", "expected them at least 1e-300 apart"),
    ("temperature=float:0:1e-310", "expected them at least 1e-300 apart"),
    ("temperature=log:1e-310:1", "low is 1e-310 on a logarithmic scale, expected at least 1e-300"),
    ("temperature=log:5e-324:1e-323", "on a logarithmic scale, expected at least 1e-300"),
    ("temperature=float:0:1e400", "expected a finite number"),
    ("temperature=float:0:.inf", "expected a finite number"),
    ("temperature=float:nan:1", "expected a finite number"),
    (f"temperature=float:0:1{'0' * 400}", "whole number of more than 64 bits, expected a finite number"),
    (f"temperature=float:0:1{'0' * 5000}", "is text, expected a finite number"),
    ("depth=int:0:9223372036854775808", "whole number of more than 64 bits"),
    ("depth=int:0:9223372036854775807", "high is 9223372036854775807, expected a whole number from -9007199254740992"),
    ("depth=int:-9007199254740993:0", "low is -9007199254740993"),
    ("depth=int:0:9007199254740993", "high is 9007199254740993"),
    (f"depth=int:0:1{'0' * 400}", "whole number of more than 64 bits"),
    (f"depth=choice:1{'0' * 400},2", "whole number of more than 64 bits"),
    ("depth=choice:" + ",".join(map(str, range(10_001))), "choices has 10001 values, expected at most 10000"),
    ("lr=choice:nan,0.1", "expected a finite number"),
    ("lr=choice:1e999,0.1", "expected a finite number"),
]


@pytest.mark.parametrize(("text", "message"), ABSURD, ids=[text[:40] for text, _ in ABSURD])
def test_refused_on_the_command_line(toy: Any, text: str, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        load_space(toy, "paper").override(sets=[text])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [f"1{'0' * 400}", "9223372036854775808", f"1{'0' * 5000}"])
def test_a_fixed_number_too(toy: Any, value: str) -> None:
    with pytest.raises(SpaceError, match="expected a whole number"):
        load_space(toy, "paper").override(fixes=[f"depth={value}"])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("temperature: {type: float, low: 0.5, high: 1.5, step: 1e-30, default: 1}", "4: temperature: step is 1e-30"),
        ("temperature: {type: float, low: -1e308, high: 1e308, default: 1}", "4: temperature: low is -1e+308"),
        ("depth: {type: int, low: 0, high: 9223372036854775807, default: 1}", "4: depth: high is 9223372036854775807"),
        ("lr: {type: float, low: 1e-310, high: 1, log: true, default: 1}", "4: lr: low is 1e-310"),
        (f"depth: {{type: int, low: 0, high: 1{'0' * 400}, default: 1}}", "more than 64 bits"),
        (f"depth: {{type: int, low: 0, high: 1{'0' * 5000}, default: 1}}", "not a value"),
    ],
)
def test_refused_in_a_file(toy: Any, write: Any, entry: str, message: str) -> None:
    with pytest.raises(SpaceError) as refused:
        load_space(toy, "paper", write(f"preset: mine\nextends: toy\ntrain:\n  {entry}\n"))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "asked",
    ["suggest_float('lr', 0.1, 1.5, step=1e-9)", "suggest_int('lr', 0, 2**60)", "suggest_float('lr', -1e308, 1e308)"],
)
def test_refused_in_a_function(toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    (tmp_path / "extreme.py").write_text(f"def space(trial):\n    return {{'lr': trial.{asked}}}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "extreme", raising=False)
    with pytest.raises(SpaceError, match="--space extreme:space: "):
        load_space(toy, "paper", "extreme:space")


@pytest.mark.parametrize("sampler", ["tpe", "random"])
@pytest.mark.parametrize(
    "text",
    [
        "temperature=float:-1e300:1e300",
        "temperature=float:0:1e-300",
        "temperature=log:1e-300:1e300",
        "temperature=float:0:1:1e-7",
        "temperature=float:1000:1001:0.0002",
        "temperature=float:-1e300:1e300:1e299",
        "temperature=float:1:1.0000000000000002",
        "lr=choice:1e308,5e-324",
    ],
)
def test_what_is_just_allowed_is_drawn_inside(toy: Any, sampler: str, text: str) -> None:
    warnings.simplefilter("ignore")
    name = text.partition("=")[0]
    space = load_space(toy, "paper").override(sets=[text], fixes=["mode=mean"])
    domain = space.parameters[name].domain
    study = optuna.create_study(sampler=sampler_named(sampler, 0))
    for number in range(16):
        trial = study.ask()
        value = space.sample(trial)[name]
        assert domain is not None
        assert domain.contains(value), value
        assert trial.params[name] == value
        assert trial.distributions[name]._contains(trial.distributions[name].to_internal_repr(value))
        study.tell(trial, (number * 7) % 11)


def test_a_grid_counts_before_it_lists(toy: Any) -> None:
    sets = ["depth=int:-9007199254740992:9"]
    space = narrowed(load_space(toy, "paper").override(sets=sets, fixes=["mode=max"]), sets)
    with pytest.raises(UserError, match="9007199254741002 combinations, expected at most 10000"):
        grid_points(space)
