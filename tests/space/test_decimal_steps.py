"""A decimal step gives decimals, whoever draws, and the record holds what the method gets."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution

from raysearch.search._grid import grid_points, narrowed
from raysearch.search._pbt import moved
from raysearch.search._sampler import sampler_named
from raysearch.space import load_space
from raysearch.space._decimal import count, nearest_on_grid, numbered

TENTHS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_draws(toy: Any, sampler: str) -> None:
    warnings.simplefilter("ignore")
    space = load_space(toy, "paper").override(sets=["temperature=float:0:1:0.1"], fixes=["mode=mean"])
    study = optuna.create_study(sampler=sampler_named(sampler, 0))
    drawn = set()
    for number in range(40):
        trial = study.ask()
        drawn.add(space.sample(trial)["temperature"])
        assert trial.params["temperature"] in TENTHS
        study.tell(trial, number % 7)
    assert drawn <= set(TENTHS)
    assert len(drawn) > 5


def test_the_grid(toy: Any) -> None:
    sets = ["temperature=float:0:1:0.1"]
    points = grid_points(narrowed(load_space(toy, "paper").override(sets=sets), sets))
    assert [point["temperature"] for point in points] == TENTHS


def test_a_function_gets_them_too() -> None:
    """They come from the sampler, not from the space."""
    study = optuna.create_study(sampler=sampler_named("random", 3))
    assert all(study.ask().suggest_float("x", 0, 1, step=0.1) in TENTHS for _ in range(40))


def test_a_default_beside_the_grid_moves_onto_it(toy: Any) -> None:
    space = load_space(toy, "paper").override(fixes=["temperature=0.5"])
    assert space.override(sets=["temperature=float:0:0.9:0.3"]).defaults()["temperature"] == 0.6
    assert space.override(sets=["temperature=float:0:1:0.1"]).defaults()["temperature"] == 0.5


def test_perturbed() -> None:
    tenths = FloatDistribution(0.0, 1.0, step=0.1)
    assert [moved(value, tenths, up=True) for value in TENTHS] == [*TENTHS[1:], 1.0]
    assert [moved(value, tenths, up=False) for value in TENTHS] == [0.0, *TENTHS[:-1]]


@given(low=st.integers(-50, 50), steps=st.integers(1, 999), digits=st.integers(0, 6), number=st.integers(0, 999))
def test_whatever_the_step(low: int, steps: int, digits: int, number: int) -> None:
    """Every number of a grid is the decimal that one would write."""
    number = min(number, steps)
    step, start = float(f"1e-{digits}"), float(low)
    written = float(f"{low * 10**digits + number}e-{digits}")
    assert numbered(number, start, step) == written
    assert nearest_on_grid(start + number * step, start, step) == written
    assert count(start, numbered(steps, start, step), step) == steps + 1
