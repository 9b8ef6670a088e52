from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.errors import SpaceError
from raysearch.space import Choice, FloatRange, IntRange, Space, load_space, presets, space_from_dict

Write = Callable[[str], str]

optuna.logging.set_verbosity(optuna.logging.WARNING)


def trials(count: int, seed: int = 0) -> list[optuna.Trial]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [study.ask() for _ in range(count)]


def test_reads_every_entry(toy: Any) -> None:
    space = load_space(toy, "paper")
    assert isinstance(space, Space)
    assert (space.preset, space.file) == ("paper", "toy_spaces/toy.yaml")
    assert (space.budget.epochs, space.budget.samples) == (3, 4)
    # what no file mentions is there too, fixed
    assert set(space.parameters) == {field.name for field in dataclasses.fields(toy.Config)} | {"mask_threshold"}
    assert space.searched == ("temperature", "lr", "depth", "mode", "tau")
    assert space.solved == ("mask_threshold",)
    assert space.parameters["lr"].domain == FloatRange(low=1e-5, high=1e-1, log=True)
    assert space.parameters["lr"].origin == "toy_spaces/toy.yaml:6"
    assert space.parameters["depth"].domain == IntRange(low=0, high=6)
    assert space.parameters["mode"].domain == Choice(choices=("mean", "max"))
    assert space.parameters["backbone"].default == "slim"
    assert space.parameters["tau"].kind == "loss"
    assert space.defaults() | {"mask_threshold": 0.5} == space.defaults()


def test_an_unmentioned_threshold_is_solved_over_all_of_its_range(toy: Any, write: Write) -> None:
    file = write("preset: mine\nbudget: {epochs: 1, samples: 1}\ntrain:\n  temperature: {value: 1}\n")
    space = load_space(toy, "paper", file)
    assert space.solved == ("mask_threshold",)
    assert space.searched == ()
    assert space.parameters["tau"].kind == "loss"


def test_every_sample_makes_a_config_and_keeps_to_its_range(toy: Any) -> None:
    space = load_space(toy, "paper")
    for trial in trials(50):
        values = space.sample(trial)
        config, thresholds = space.split(values)
        toy.Config(**config)
        assert thresholds == {"mask_threshold": 0.5}
        assert values["jitter"] == (0.1, 0.2)
        for name in trial.params:
            assert space.parameters[name].domain.contains(values[name])


def test_a_condition_decides_what_is_asked(toy: Any) -> None:
    space = load_space(toy, "paper")
    for trial in trials(30):
        values = space.sample(trial)
        assert ("depth" in trial.params) == (values["mode"] == "max")
        assert values["depth"] == 2 or values["mode"] == "max"


def test_conditions_reach_over_several_steps(toy: Any, write: Write) -> None:
    text = """
preset: mine
extends: toy
train:
  lr: {type: float, low: 0, high: 1, default: 0.5, when: {backbone: [b, c]}}
  backbone: {type: choice, choices: [a, b, c], default: b, when: {mode: max}}
"""
    space = load_space(toy, "paper", write(text))
    seen = set()
    for trial in trials(60):
        values = space.sample(trial)
        # the default of a parameter that is not asked for enables nothing
        assert ("lr" in trial.params) == (values["mode"] == "max" and values["backbone"] in ("b", "c"))
        seen.add(("lr" in trial.params, "backbone" in trial.params))
    assert seen == {(True, True), (False, True), (False, False)}


def test_a_parameter_that_can_never_be_asked_for_is_not_searched(toy: Any) -> None:
    space = load_space(toy, "paper").override(fixes=["mode=mean"])
    assert "depth" not in space.searched
    assert "depth" in load_space(toy, "paper").override(fixes=["mode=max"]).searched


def test_an_entry_replaces_the_whole_entry_that_it_extends(toy: Any, write: Write) -> None:
    text = "preset: mine\nextends: toy\ntrain:\n  lr: {value: 0.3}\n  temperature: {value: 2}\n"
    space = load_space(toy, "paper", write(text))
    assert space.parameters["lr"].domain is None
    assert space.parameters["lr"].source == ""
    assert space.searched == ("depth", "mode", "tau")
    assert space.budget.epochs == 3
    assert space.preset == "mine"


def test_numbers_are_read_as_written(toy: Any, write: Write) -> None:
    entries = "  lr: {value: 1}\n  temperature: {type: float, low: 1, high: 2, default: 1}\n"
    space = load_space(toy, "paper", write(f"preset: mine\nextends: toy\ntrain:\n{entries}"))
    # a setting may tell a count, 1, from a fraction, 1.0
    assert type(space.parameters["lr"].default) is int
    assert type(space.parameters["temperature"].default) is float
    assert load_space(toy, "paper").parameters["lr"].default == 1e-3


def test_presets_of_the_package(toy: Any) -> None:
    (toy.folder / "toy.small.yaml").write_text("preset: small\nextends: toy\nbudget: {epochs: 1, samples: 2}\n")
    (toy.folder / "toybox.yaml").write_text("")
    assert presets(toy) == ("paper", "small")
    small = load_space(toy, "small")
    assert (small.preset, small.file, small.budget.epochs) == ("small", "toy_spaces/toy.small.yaml", 1)


@pytest.mark.parametrize(
    "text", ["lr=log:1e-5:1e-2", "temperature=float:0:0.3:0.1", "depth=int:0:6:2", "mode=choice:max,mean"]
)
def test_set(toy: Any, text: str) -> None:
    name = text.partition("=")[0]
    space = load_space(toy, "paper").override([text])
    domain = space.parameters[name].domain
    expected: dict[str, Any] = {
        "lr": FloatRange(low=1e-5, high=1e-2, log=True),
        "temperature": FloatRange(low=0.0, high=0.3, step=0.1),
        "depth": IntRange(low=0, high=6, step=2),
        "mode": Choice(choices=("max", "mean")),
    }
    assert domain == expected[name]
    assert space.parameters[name].origin == f"--set {text}"
    assert space.parameters[name].kind == "train"


def test_true_is_not_one() -> None:
    choice = Choice(choices=(1, True, 0))
    assert choice.contains(True)
    assert not choice.contains(False)
    assert not Choice(choices=(1, 0)).contains(True)


def test_set_searches_what_was_fixed_and_moves_the_default_inside(toy: Any) -> None:
    sets = ["extra=float:3:4", "lr=float:0.5:1", "backbone=choice:18,null", "depth=log:4:8"]
    space = load_space(toy, "paper").override(sets)
    assert space.defaults()["extra"] == 3
    assert space.defaults()["lr"] == 0.5
    assert space.parameters["backbone"].domain == Choice(choices=("18", "null"))
    assert space.parameters["depth"].domain == IntRange(low=4, high=8, log=True)
    assert space.defaults()["depth"] == 4
    assert space.parameters["depth"].when == {"mode": ("max",)}


def test_fix(toy: Any) -> None:
    space = load_space(toy, "paper").override(
        fixes=["depth=3", "extra=null", "flip=false", "backbone=18", "jitter=[0, 1]", "mask_threshold=0.4"]
    )
    values = space.sample(trials(1)[0])
    assert [values[name] for name in ("depth", "extra", "flip", "backbone", "jitter")] == [3, None, False, "18", (0, 1)]
    assert space.solved == ()
    assert space.split(values)[1] == {"mask_threshold": 0.4}


def test_modes_say_who_searches_thresholds(toy: Any) -> None:
    space = load_space(toy, "paper")
    for loss in ("sample", "fixed"):
        for decision in ("solve", "sample", "fixed"):
            chosen = space.with_modes(loss_thresholds=loss, decision_thresholds=decision)
            assert ("tau" in chosen.searched) == (loss == "sample")
            assert ("mask_threshold" in chosen.searched) == (decision == "sample")
            assert chosen.solved == (("mask_threshold",) if decision == "solve" else ())
            trial = trials(1)[0]
            chosen.sample(trial)
            assert ("mask_threshold" in trial.params) == (decision == "sample")


def test_thresholds_of_each_class(toy: Any, write: Write) -> None:
    entry = "{type: float, low: 0, high: 1, default: 0.5, per_class: true}"
    file = write(f"preset: mine\nextends: toy\ndecision:\n  mask_threshold: {entry}\n")
    space = load_space(toy, "paper", file).with_modes(decision_thresholds="sample")
    with pytest.raises(ValueError, match="for_classes"):
        space.sample(trials(1)[0])
    space = space.for_classes(["a", "b"])
    trial = trials(1)[0]
    thresholds = space.split(space.sample(trial))[1]["mask_threshold"]
    assert thresholds == {"a": trial.params["mask_threshold[a]"], "b": trial.params["mask_threshold[b]"]}
    assert space.defaults()["mask_threshold"] == {"a": 0.5, "b": 0.5}
    assert {"mask_threshold[a]", "mask_threshold[b]"} < set(space.distributions())
    solved = space.with_modes()
    assert solved.solved == ("mask_threshold",)
    assert solved.parameters["mask_threshold"].per_class
    assert solved.defaults()["mask_threshold"] == 0.5


def test_distributions_are_those_that_trials_see(toy: Any) -> None:
    space = load_space(toy, "paper").override(["temperature=float:0:1:0.25", "depth=int:0:6:2"])
    seen: dict[str, Any] = {}
    for trial in trials(30):
        space.sample(trial)
        seen |= trial.distributions
    assert space.distributions() == seen


def test_same_seed_same_values_after_a_round_trip(toy: Any) -> None:
    space = load_space(toy, "paper").override(["depth=int:0:6:2"], ["flip=false"])
    data = space.to_dict()
    for record in (json.loads(json.dumps(data)), yaml.safe_load(yaml.safe_dump(data))):
        again = space_from_dict(record, toy)
        assert again == space
        assert again.digest() == space.digest()
        assert [again.sample(t) for t in trials(5)] == [space.sample(t) for t in trials(5)]


numbers = st.floats(1e-6, 1e6).map(lambda number: float(f"{number:.6g}"))


@settings(max_examples=40)
@given(st.tuples(numbers, numbers).map(sorted), st.booleans(), st.sampled_from([True, False]))
def test_ranges_survive_the_round_trip(ends: list[float], log: bool, conditional: bool) -> None:
    from raysearch.space._parameter import Parameter

    low, high = ends
    parameter = Parameter(
        name="x",
        kind="train",
        default=low,
        domain=FloatRange(low=low, high=high, log=log),
        when={"mode": ("max", 1, True)} if conditional else {},
        source="ours",
        origin="here:1",
    )
    assert Parameter.from_dict(yaml.safe_load(yaml.safe_dump(parameter.to_dict()))) == parameter


def test_digest_tells_spaces_apart_by_what_is_searched(toy: Any, write: Write) -> None:
    space = load_space(toy, "paper")
    same = load_space(toy, "paper", write("preset: other\nextends: toy\nbudget: {epochs: 9, samples: 9}\n"))
    assert same.digest() == space.digest()
    others = [
        space.override(["lr=log:1e-5:1e-2"]),
        space.override(fixes=["lr=0.001"]),
        space.with_modes(decision_thresholds="sample"),
        space.with_modes(loss_thresholds="fixed"),
        space.override(fixes=["jitter=[0.1, 0.3]"]),
    ]
    digests = {other.digest() for other in others}
    assert len(digests) == len(others)
    assert space.digest() not in digests


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"method": "wildcat"}, "it is for wildcat, not toy"),
        ({"parameters": [{"name": "lr"}]}, "is missing"),
        ({"parameters": []}, "is missing"),
        ({"decision_thresholds": "guess"}, "expected solve or sample or fixed"),
        ({"budget": {"epochs": 1}}, "start a new study"),
    ],
)
def test_a_damaged_record_is_refused(toy: Any, damage: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        space_from_dict({**load_space(toy, "paper").to_dict(), **damage}, toy)


def test_describe_has_a_row_for_every_parameter(toy: Any) -> None:
    rows = {row["name"]: row for row in load_space(toy, "paper").describe()}
    assert rows["depth"]["when"] == "mode = max"
    assert rows["lr"]["range"] == "[1e-05, 0.1] log"
    assert rows["mode"]["range"] == "{mean, max}"
    assert rows["flip"]["searched by"] == "fixed"
    assert rows["mask_threshold"]["searched by"] == "solve"
    assert rows["lr"]["searched by"] == "optuna"
    assert len({tuple(row) for row in rows.values()}) == 1


def test_a_budget_of_labels_and_regions(toy: Any, write: Write) -> None:
    space = load_space(
        toy, "paper", write("preset: x\nextends: toy\nbudget: {epochs: 1, samples: 2, labelled: 40, annotated: 0.1}\n")
    )
    assert (space.budget.labelled, space.budget.annotated) == (40, 0.1)
    assert Space.from_dict(space.to_dict(), toy).budget == space.budget
    plain = load_space(toy, "paper")
    assert (plain.budget.labelled, plain.budget.annotated) == (None, None)
    assert space.digest() == plain.digest(), "what may be seen is no part of the space"
