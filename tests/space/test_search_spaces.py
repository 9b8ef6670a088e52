"""The files that ship: every method, both presets."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import optuna
import pytest

from raysearch.method import load_method
from raysearch.space import Space, load_space, presets

optuna.logging.set_verbosity(optuna.logging.WARNING)

METHODS = {
    "minmax_entropy": "methods.minmax_entropy:MinMaxEntropy",
    "cam_avg": "methods.cam:CamAvg",
    "cam_max": "methods.cam:CamMax",
    "cam_lse": "methods.cam:CamLse",
    "wildcat": "methods.cam:Wildcat",
    "grad_cam": "methods.cam:GradCam",
    "deep_mil": "methods.deep_mil:DeepMil",
    "unet": "methods.unet:UNet",
    "all_ones": "methods.all_ones:AllOnes",
}


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Any:
    return load_method(METHODS[request.param])


@pytest.fixture(params=["paper", "small"])
def space(request: pytest.FixtureRequest, method: Any) -> Space:
    loaded = load_space(method, request.param)
    assert isinstance(loaded, Space)
    return loaded


def test_both_presets_and_no_other(method: Any) -> None:
    assert presets(method) == ("paper", "small")


def test_makes_configs(space: Space) -> None:
    space.method.Config(**space.split(space.defaults())[0])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    sampled = space.with_modes(decision_thresholds="sample")
    for _ in range(50):
        config, thresholds = sampled.split(sampled.sample(study.ask()))
        space.method.Config(**config)
        assert set(thresholds) == set(space.method.decision_thresholds)


def test_every_value_names_its_source(space: Space) -> None:
    """And stands in a file: none is left to the default of the dataclass."""
    assert [name for name, entry in space.parameters.items() if entry.source in ("", "the method")] == []
    assert space.budget.source


def test_defaults_of_the_paper_are_those_of_the_method(method: Any) -> None:
    space = load_space(method, "paper")
    assert method.Config(**space.split(space.defaults())[0]) == method.Config()


def test_what_is_searched(method: Any) -> None:
    space = load_space(method, "small")
    if method.name == "all_ones":
        assert (space.searched, space.solved, space.budget.samples) == ((), (), 1)
    else:
        assert "lr" in space.searched
        assert space.solved == ("mask_threshold",)


def test_post_processing_is_searched_once_it_is_on() -> None:
    space = load_space(load_method(METHODS["minmax_entropy"]), "paper")
    assert not any(name.startswith("crf_") for name in space.searched)
    assert sum(name.startswith("crf_") for name in space.override(fixes=["postprocess=crf"]).searched) == 6


def test_reading_spaces_loads_no_heavy_library() -> None:
    code = "import sys, raysearch.space; print({'torch', 'ray', 'optuna', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
