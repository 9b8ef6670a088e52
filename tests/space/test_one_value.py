"""A domain that holds one value is nothing to search."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raysearch.search._grid import grid_points, narrowed
from raysearch.search._sampler import most_trials
from raysearch.space import load_space

Write = Callable[[str], str]

ONE = [
    ("temperature", "{type: float, low: 1, high: 1, default: 1}", "float:1:1", 1.0),
    ("temperature", "{type: float, low: 1, high: 1, step: 5, default: 1}", "float:1:1:5", 1.0),
    ("lr", "{type: float, low: 0.1, high: 0.1, log: true, default: 0.1}", "log:0.1:0.1", 0.1),
    ("depth", "{type: int, low: 3, high: 3, default: 3, when: {mode: max}}", "int:3:3", 3),
    ("mode", "{type: choice, choices: [max], default: max}", "choice:max", "max"),
    ("extra", "{type: choice, choices: [null], default: null}", "choice:null", None),
]


@pytest.mark.parametrize(("name", "entry", "spec", "value"), ONE)
def test_it_counts_as_fixed_in_a_file_and_on_the_command_line(
    toy: Any, write: Write, name: str, entry: str, spec: str, value: object
) -> None:
    by_file = load_space(toy, "paper", write(f"preset: mine\nextends: toy\ntrain:\n  {name}: {entry}\n"))
    typed = load_space(toy, "paper").override(sets=[f"{name}={spec}"])
    for space in (by_file, typed):
        assert name not in space.searched
        assert name not in space.distributions()
        assert space.defaults()[name] == value
        assert set(space.searched) == set(load_space(toy, "paper").searched) - {name}


def test_one_trial_where_nothing_else_is_searched(toy: Any) -> None:
    space = load_space(toy, "paper").with_modes(loss_thresholds="fixed")
    alone = space.override(fixes=["lr=0.1", "mode=max", "depth=2"], sets=["temperature=choice:1"])
    assert alone.searched == ()
    assert most_trials("tpe", alone) == most_trials("grid", alone) == 1
    assert list(grid_points(alone)) == [{}]


def test_a_grid_of_two_of_which_one_has_one_value(toy: Any) -> None:
    sets = ["mode=choice:max", "depth=int:1:3"]
    space = narrowed(load_space(toy, "paper").override(sets=sets), sets)
    assert [dict(point) for point in grid_points(space)] == [{"depth": depth} for depth in (1, 2, 3)]


def test_thresholds_too(toy: Any) -> None:
    """Neither solved, nor alternating, nor drawn, nor different by class."""
    space = load_space(toy, "paper").override(sets=["mask_threshold=float:0.4:0.4", "tau=float:0.6:0.6"])
    for mode in ("solve", "sample"):
        chosen = space.with_modes(loss_thresholds="alternate", decision_thresholds=mode).for_classes(("a", "b"))
        assert "mask_threshold" not in (*chosen.solved, *chosen.searched)
        assert "tau" not in (*chosen.alternated, *chosen.searched)
        assert chosen.defaults()["mask_threshold"] == 0.4


def test_by_class(toy: Any, write: Write) -> None:
    entry = "{type: float, low: 0.4, high: 0.4, default: 0.4, per_class: true}"
    space = load_space(toy, "paper", write(f"preset: mine\nextends: toy\ndecision:\n  mask_threshold: {entry}\n"))
    space = space.with_modes(decision_thresholds="sample").for_classes(("a", "b"))
    assert "mask_threshold" not in space.searched
    assert space.defaults()["mask_threshold"] == 0.4


def test_a_condition_on_it(toy: Any) -> None:
    """depth goes with mode = max."""
    space = load_space(toy, "paper")
    assert "depth" in space.override(sets=["mode=choice:max"]).searched
    assert "depth" not in space.override(sets=["mode=choice:mean"]).searched


def test_a_function_that_only_ever_gets_one_value(toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "single.py").write_text(
        "def space(trial):\n"
        "    return {'depth': trial.suggest_int('depth', 3, 3), 'mode': trial.suggest_categorical('mode', ['max'])}\n"
        "def partly(trial):\n"
        "    return {'depth': trial.suggest_int('depth', 3, 3), 'lr': trial.suggest_float('lr', 0.1, 1)}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "single", raising=False)
    space = load_space(toy, "paper", "single:space")
    assert space.searched == ()
    assert most_trials("tpe", space) == 1
    assert {row["name"]: row["searched by"] for row in space.describe()}["depth"] == "fixed"
    assert load_space(toy, "paper", "single:partly").searched == ("lr",)
