"""More trials for a study that is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from search.toy import Toy, toy_study

from raysearch.errors import UserError
from raysearch.space import load_space
from raysearch.study import extend, open_study


def test_a_study_that_searches_nothing_has_one_trial(tmp_path: Path) -> None:
    space = load_space(Toy, "small").for_classes(["a", "b"])
    fixed = space.override(fixes=("lr=0.1", "mode=plain", "depth=2", "tau=0.9"))
    assert not fixed.searched
    study = toy_study(tmp_path, samples=1, space=fixed.to_dict())
    with pytest.raises(UserError, match=r"^--samples 10: nothing is searched, .* leave --samples out$"):
        extend(study, samples=10)
    assert open_study("toy", tmp_path).config.budget.samples == 1
    assert extend(study, samples=1) == study


def test_a_grid_has_no_more_trials_than_points(tmp_path: Path) -> None:
    space = load_space(Toy, "small").for_classes(["a", "b"])
    listed = space.override(sets=("lr=choice:0.1,0.2",), fixes=("mode=plain", "depth=2", "tau=0.9"))
    study = toy_study(tmp_path, samples=1, sampler="grid", space=listed.to_dict())
    with pytest.raises(UserError, match="--samples 3: the grid has 2 points"):
        extend(study, samples=3)
    assert extend(study, samples=2).config.budget.samples == 2
