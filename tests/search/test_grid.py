"""The grid sampler: every distinct combination once, by the trial's number, whatever is interrupted."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from raysearch.errors import UserError
from raysearch.method import load_method
from raysearch.search._grid import grid_points, narrowed
from raysearch.search._sampler import check_samples, most_trials, sampler_of
from raysearch.space import AnySpace, FloatRange, Space, load_space
from raysearch.study._config import GRID

FIXED = ("lr=1e-3",)


def small_space(*sets: str, fixes: tuple[str, ...] = FIXED) -> Space:
    """A space in which p and what `sets` says are searched."""
    sets = sets if any(text.startswith("p=") for text in sets) else ("p=choice:0.5", *sets)
    space = load_space(load_method("chexseg"), "small", None)
    assert isinstance(space, Space)
    return space.override(sets=sets, fixes=fixes)


def ask(study: optuna.Study, space: AnySpace) -> tuple[optuna.Trial, dict[str, Any]]:
    trial = study.ask()
    space.sample(trial)
    return trial, dict(trial.params)


@settings(max_examples=20)
@given(
    shares=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, unique=True),
    subsets=st.integers(0, 4),
    steps=st.integers(1, 5),
)
def test_the_grid_is_the_product_of_what_is_searched(shares: list[float], subsets: int, steps: int) -> None:
    space = small_space(f"p=choice:{','.join(map(str, shares))}", f"subset=int:0:{subsets}")
    dropout = dataclasses.replace(
        space.parameters["dropout"], domain=FloatRange(low=0.0, high=steps / 10, step=0.1), default=0.0
    )
    space = dataclasses.replace(space, parameters={**space.parameters, "dropout": dropout})
    expected = itertools.product(shares, range(subsets + 1), [number / 10 for number in range(steps + 1)])
    fixed = space.defaults()
    points = [tuple({**fixed, **point}[name] for name in ("p", "subset", "dropout")) for point in grid_points(space)]
    assert sorted(points) == sorted(expected)


def test_what_a_condition_rules_out_multiplies_nothing() -> None:
    """p is of supervision=semi alone: with weak there is one point, not one for each p."""
    space = small_space("p=choice:0.5,0.9", "supervision=choice:semi,weak")
    assert [(point["supervision"], point.get("p")) for point in grid_points(space)] == [
        ("semi", 0.5),
        ("semi", 0.9),
        ("weak", None),
    ]


def test_trials_get_their_points_by_number_after_any_interruption() -> None:
    space = small_space("p=choice:0.0,0.9", "subset=choice:0,1,2")
    points = grid_points(space)
    storage = optuna.storages.InMemoryStorage()
    drawn = []
    for number in range(len(points)):
        study = optuna.create_study(
            study_name="s", storage=storage, sampler=sampler_of("grid", number, space), load_if_exists=True
        )
        trial, params = ask(study, space)
        drawn.append(params)
        if number % 3 == 0:
            study.tell(trial, state=TrialState.FAIL)
        elif number % 3 == 1:
            study.tell(trial, 0.5)
    assert drawn == points


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (small_space(fixes=()), "lr is any number from 0.001 to 0.03; list its values .--set lr=choice:A,B."),
        (small_space("weak_maps=int:1:10000", "subset=int:0:9"), "100000 combinations, expected at most 10000"),
        (small_space().with_modes(decision_thresholds="sample"), "mask_threshold is drawn class by class; fix it"),
    ],
)
def test_what_cannot_be_listed_is_refused(space: AnySpace, message: str) -> None:
    with pytest.raises(UserError, match=message):
        grid_points(space)


def test_a_function_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "grid_of_function.py").write_text(
        "def space(trial):\n    return {'lr': trial.suggest_float('lr', 1, 2)}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    space = load_space(load_method("chexseg"), "small", "grid_of_function:space")
    assert not isinstance(space, Space)
    with pytest.raises(UserError, match="a function cannot be listed; use tpe or random"):
        grid_points(space)


def test_more_samples_than_points_are_refused() -> None:
    space = small_space("subset=int:0:4")
    most = most_trials(GRID, space)
    assert most == 5
    check_samples(5, most)
    with pytest.raises(UserError, match="--samples 6: the grid has 5 points"):
        check_samples(6, most)
    assert most_trials("tpe", space) is None
    check_samples(6, None)


def test_what_set_names_is_the_grid_and_the_rest_has_its_defaults() -> None:
    sets = ("p=choice:0.0,0.9", "subset=int:0:2")
    space = narrowed(small_space(*sets, fixes=()), sets)
    assert sorted(grid_points(space)[0]) == ["p", "subset"]
    assert len(grid_points(space)) == 6
    assert space.defaults() == small_space(*sets, fixes=()).defaults()
    assert space.solved == ("mask_threshold",)
    assert narrowed(space, ()) is space


def test_a_threshold_that_is_not_drawn_is_refused() -> None:
    sets = ("mask_threshold=float:0:1:0.1",)
    with pytest.raises(
        UserError, match=r"mask_threshold is a threshold that others choose.*leave --set mask_threshold"
    ):
        narrowed(small_space(*sets), sets)
    narrowed(small_space(*sets).with_modes(decision_thresholds="sample"), sets)


def test_a_set_whose_condition_does_not_hold_at_the_defaults_is_refused() -> None:
    """Labels are searched in the paper's preset, but a grid that does not name them has their default alone."""
    walk, labels = "walk_times=int:1:3", "labels=choice:grad_cam,irnet"
    space = load_space(load_method("chexseg"), "paper", None)
    with pytest.raises(UserError, match=r"--set walk_times=int:1:3: .* labels = irnet alone, and labels is grad_cam"):
        narrowed(space.override(sets=(walk,)), (walk,))
    assert len(grid_points(narrowed(space.override(sets=(walk, labels)), (walk, labels)))) == 4
