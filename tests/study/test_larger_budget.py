"""More trials for a study that is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from search.toy import Toy, toy_study

from raysearch.errors import UserError
from raysearch.space import load_space
from raysearch.study import Changes, extend, open_study, this_machine


def test_a_study_that_searches_nothing_has_one_trial(tmp_path: Path) -> None:
    space = load_space(Toy, "small").for_classes(["a", "b"])
    fixed = space.override(fixes=("lr=0.1", "mode=plain", "depth=2", "tau=0.9"))
    assert not fixed.searched
    study = toy_study(tmp_path, samples=1, space=fixed.to_dict())
    with pytest.raises(UserError, match=r"^--samples 10: nothing is searched, .* leave --samples out$"):
        extend(study, Changes(samples=10), this_machine())
    assert open_study("toy", tmp_path).config.budget.samples == 1
    assert extend(study, Changes(samples=1), this_machine()) == study


def test_a_grid_has_no_more_trials_than_points(tmp_path: Path) -> None:
    space = load_space(Toy, "small").for_classes(["a", "b"])
    listed = space.override(sets=("lr=choice:0.1,0.2",), fixes=("mode=plain", "depth=2", "tau=0.9"))
    study = toy_study(tmp_path, samples=1, sampler="grid", space=listed.to_dict())
    with pytest.raises(UserError, match="--samples 3: the grid has 2 points"):
        extend(study, Changes(samples=3), this_machine())
    assert extend(study, Changes(samples=2), this_machine()).config.budget.samples == 2
