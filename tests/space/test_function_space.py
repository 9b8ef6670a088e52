from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from raysearch.errors import SpaceError
from raysearch.space import FunctionSpace, load_space, space_from_dict

optuna.logging.set_verbosity(optuna.logging.WARNING)

CODE = """
def good(trial):
    mode = trial.suggest_categorical("kind", ["mean", "max"])
    return {"mode": mode, "lr": trial.suggest_float("lr", 0.1, 0.2), "temperature": 2}

def threshold(trial):
    return {"mask_threshold": trial.suggest_float("t", 0, 1)}

def loss(trial):
    return {"tau": trial.suggest_float("tau", 0, 1)}

def unknown(trial):
    return {"lrr": 1}

def mistyped(trial):
    return {"lr": "fast"}

def refused(trial):
    return {"depth": 12}

def broken(trial):
    return 1 / 0

def nothing(trial):
    return None

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module of its own name into the working folder and returns the path of a function in it."""
    name = f"space_of_{tmp_path.name}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["/usr"] + [entry for entry in __import__("sys").path if entry])

    def path(function: str) -> str:
        (tmp_path / f"{name}.py").write_text(CODE)
        return f"{name}:{function}"

    return path


def ask(seed: int = 0) -> optuna.Trial:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()


def test_values_of_the_function_on_top_of_the_preset(toy: Any, module: Callable[[str], str]) -> None:
    space = load_space(toy, "paper", module("good"))
    assert isinstance(space, FunctionSpace)
    assert set(space.searched) == {"kind", "lr"}
    assert (space.preset, space.budget.epochs, space.solved) == ("paper", 3, ("mask_threshold",))
    trial = ask()
    values = space.sample(trial)
    assert values["mode"] == trial.params["kind"]
    assert values["lr"] == trial.params["lr"]
    assert (values["temperature"], values["depth"]) == (2, 2)
    config, thresholds = space.split(values)
    assert toy.Config(**config).lr == trial.params["lr"]
    assert thresholds == {"mask_threshold": 0.5}


def test_fixes_win_and_sets_are_refused(toy: Any, module: Callable[[str], str]) -> None:
    space = load_space(toy, "paper", module("good")).override(fixes=["lr=0.9", "depth=5"])
    values = space.sample(ask())
    assert (values["lr"], values["depth"]) == (0.9, 5)
    with pytest.raises(SpaceError, match="--set lr=float:0:1: what is searched is said by"):
        space.override(["lr=float:0:1"])


def test_conditions_of_the_preset_are_none_of_the_functions(toy: Any, module: Callable[[str], str]) -> None:
    """Whatever the preset has: the function may say that mode is max."""
    file = toy.folder / "toy.yaml"
    file.write_text(file.read_text().replace("{type: choice, choices: [mean, max], default: mean,", "{value: mean,"))
    with pytest.raises(SpaceError, match="--fix depth=5: depth goes with mode = max alone"):
        load_space(toy, "paper").override(fixes=["depth=5"])
    space = load_space(toy, "paper", module("good")).override(fixes=["depth=5"])
    assert space.sample(ask())["depth"] == 5


def test_thresholds_only_where_they_are_sampled(toy: Any, module: Callable[[str], str]) -> None:
    space = load_space(toy, "paper", module("threshold"))
    assert "mask_threshold" in space.with_modes(decision_thresholds="sample").sample(ask())
    with pytest.raises(SpaceError, match="pass --decision-thresholds sample"):
        space.with_modes()
    with pytest.raises(SpaceError, match="pass --loss-thresholds sample"):
        load_space(toy, "paper", module("loss")).with_modes(loss_thresholds="fixed")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("unknown", "it returns 'lrr', unknown to toy; did you mean 'lr'?"),
        ("mistyped", "lr: 'fast' is text, expected a finite number"),
        ("refused", "toy refuses what it returns: depth is 12"),
        ("broken", "the function failed (ZeroDivisionError: division by zero)"),
        ("nothing", "the function failed (TypeError"),
        ("number", "number is int, expected a function of an Optuna trial"),
        ("absent", "cannot be imported (AttributeError"),
    ],
)
def test_mistakes_are_found_before_anything_starts(
    toy: Any, module: Callable[[str], str], function: str, message: str
) -> None:
    path = module(function)
    with pytest.raises(SpaceError) as raised:
        load_space(toy, "paper", path)
    assert str(raised.value).startswith(f"--space {path}: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_module(toy: Any) -> None:
    with pytest.raises(SpaceError, match=r"cannot be imported \(ModuleNotFoundError"):
        load_space(toy, "paper", "no_such_module_anywhere:space")


def test_round_trip_and_digest(toy: Any, module: Callable[[str], str]) -> None:
    space = load_space(toy, "paper", module("good")).override(fixes=["depth=5"])
    again = space_from_dict(space.to_dict(), toy)
    assert again == space
    assert again.digest() == space.digest()
    assert again.sample(ask(1)) == space.sample(ask(1))
    assert space.digest() != load_space(toy, "paper", module("good")).digest()
    assert space.digest() != load_space(toy, "paper", module("good")).override(fixes=["depth=4"]).digest()
    with pytest.raises(SpaceError, match="the function has changed since the study began"):
        space_from_dict(space.to_dict() | {"code": "0"}, toy)


def test_the_first_point_is_what_the_function_asks_for_by_the_names_of_settings(
    toy: Any, module: Callable[[str], str]
) -> None:
    space = load_space(toy, "paper", module("good"))
    # 'kind' is no setting, and the preset's lr is outside of what the function asks for
    assert space.first_point() == {}
    space = load_space(toy, "paper", module("loss"))
    assert space.first_point() == {"tau": 0.7}


def test_alternated_thresholds_are_not_the_functions(toy: Any, module: Callable[[str], str]) -> None:
    space = load_space(toy, "paper", module("good")).with_modes(loss_thresholds="alternate")
    assert space.alternated == ("tau",)
    assert space.sample(ask())["tau"] == 0.7
    with pytest.raises(SpaceError, match="pass --loss-thresholds sample"):
        load_space(toy, "paper", module("loss")).with_modes(loss_thresholds="alternate")


def test_describe(toy: Any, module: Callable[[str], str]) -> None:
    rows = load_space(toy, "paper", module("good")).describe()
    assert [row["searched by"] for row in rows if row["name"] in ("kind", "lr")] == ["optuna", "optuna"]
    assert next(row for row in rows if row["name"] == "depth")["searched by"] == "fixed"
    assert len({tuple(sorted(row)) for row in rows}) == 1
