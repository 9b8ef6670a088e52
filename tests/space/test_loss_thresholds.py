"""Loss thresholds in a search space: by class, as fractions of each other, and who searches them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raysearch.errors import SpaceError
from raysearch.method import LossThreshold, PerClass
from raysearch.space import Space, load_space, space_from_dict

Write = Callable[[str], str]

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True, kw_only=True)
class BoundedConfig:
    lr: float = 0.1
    tau: PerClass = 0.7
    upper: PerClass = 0.05
    lower: PerClass = 0.01


FILE = """\
method: bounded
preset: paper
budget: {epochs: 6, samples: 4}
loss:
  lower: {type: float, low: 0.0, high: 0.9, default: 0.2, fraction_of: upper, source: ours}
  tau: {type: float, low: 0.1, high: 0.9, default: 0.7, source: ours}
  upper: {type: float, low: 0.01, high: 0.3, log: true, default: 0.05, source: ours}
"""
LOWER, TAU, UPPER = FILE.splitlines()[4:]


@pytest.fixture
def bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "bounded_spaces").mkdir()
    (tmp_path / "bounded_spaces" / "__init__.py").write_text("")
    (tmp_path / "bounded_spaces" / "bounded.yaml").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "bounded_spaces", raising=False)
    return SimpleNamespace(
        name="bounded",
        Config=BoundedConfig,
        decision_thresholds={"mask_threshold": 0.5},
        loss_thresholds=(
            LossThreshold(name="tau", bounds="inside"),
            LossThreshold(name="upper", high=0.5, bounds="present"),
            LossThreshold(name="lower", bounds="absent", below="upper"),
        ),
        spaces="bounded_spaces",
    )


def trial(seed: int = 0, **fixed: float) -> optuna.Trial:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    if fixed:
        study.enqueue_trial(fixed)
    return study.ask()


def paper(bounded: Any) -> Space:
    space = load_space(bounded, "paper")
    assert isinstance(space, Space)
    return space


def changed(bounded: Any, write: Write, *lines: str) -> Space:
    """The space of a file with other entries."""
    space = load_space(bounded, "paper", write("preset: mine\nextends: bounded\nloss:\n" + "\n".join(lines) + "\n"))
    assert isinstance(space, Space)
    return space


def test_a_fraction_is_drawn_and_its_product_is_the_value(bounded: Any) -> None:
    asked = trial(upper=0.2, lower=0.5, tau=0.6)
    values = paper(bounded).sample(asked)
    assert asked.params["lower"] == 0.5
    assert (values["upper"], values["lower"]) == (0.2, pytest.approx(0.1))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), per_class=st.sampled_from([(), ("lower",), ("upper",), ("lower", "upper")]))
def test_whatever_is_drawn_stays_under_its_whole_in_every_class(
    bounded: Any, write: Write, seed: int, per_class: tuple[str, ...]
) -> None:
    lines = [
        line.replace(", source", ", per_class: true, source") if line.split(":")[0].strip() in per_class else line
        for line in (LOWER, UPPER)
    ]
    space = changed(bounded, write, *lines).for_classes(["a", "b"])
    asked = trial(seed)
    values = space.sample(asked)
    assert isinstance(values["lower"], dict) == bool(per_class)
    for label in ("a", "b"):
        lower, upper = (v[label] if isinstance(v, dict) else v for v in (values["lower"], values["upper"]))
        drawn = [asked.params[f"{name}[{label}]" if name in per_class else name] for name in ("lower", "upper")]
        assert (lower, upper) == (pytest.approx(drawn[0] * drawn[1]), drawn[1])
        assert 0 <= lower < upper
    assert set(asked.params) == set(space.distributions()) == set(space.first_point())


def test_the_default_is_a_fraction_too(bounded: Any) -> None:
    space = paper(bounded)
    for mode in ("alternate", "sample", "fixed"):
        defaults = space.with_modes(loss_thresholds=mode).defaults()
        assert (defaults["upper"], defaults["lower"]) == (0.05, pytest.approx(0.01))
    # what Optuna is told to begin with is the fraction: it draws fractions
    assert space.first_point() == {"lower": 0.2, "tau": 0.7, "upper": 0.05}
    assert space.sample(trial(**space.first_point())) == space.defaults()


def test_alternated_thresholds_are_not_drawn(bounded: Any) -> None:
    space = paper(bounded).override(fixes=["tau=0.4"]).with_modes(loss_thresholds="alternate")
    assert (space.searched, space.alternated) == ((), ("lower", "upper"))
    asked = trial()
    assert space.sample(asked) == space.defaults()
    assert asked.params == {}
    rows = {row["name"]: row for row in space.describe()}
    assert [rows[name]["searched by"] for name in ("lower", "upper", "tau")] == ["alternate", "alternate", "fixed"]
    assert (rows["lower"]["range"], rows["lower"]["default"]) == ("[0, 0.9] x upper", "0.2 x upper")
    assert space.with_modes(loss_thresholds="sample").alternated == ()


def test_a_mapping_by_class_is_a_fixed_value(bounded: Any, write: Write) -> None:
    space = changed(bounded, write, "  upper: {value: {a: 0.1, b: 0.2}}")
    assert space.defaults()["upper"] == {"a": 0.1, "b": 0.2}
    assert space.defaults()["lower"] == {"a": pytest.approx(0.02), "b": pytest.approx(0.04)}
    assert BoundedConfig(**space.split(space.defaults())[0]).upper == {"a": 0.1, "b": 0.2}
    assert next(row["default"] for row in space.describe() if row["name"] == "upper") == "a: 0.1, b: 0.2"
    space.for_classes(["b", "a"])
    with pytest.raises(SpaceError, match=r"mine.yaml:4: upper is given for a, b, expected each class .*: a, b, c"):
        space.for_classes(["a", "b", "c"])
    typed = paper(bounded).override(fixes=["upper={a: 0.1, b: 0.2}"])
    assert typed.defaults()["upper"] == {"a": 0.1, "b": 0.2}


def test_numbers_of_the_command_line_are_no_fractions(bounded: Any) -> None:
    assert paper(bounded).override(fixes=["lower=0.005"]).defaults()["lower"] == 0.005
    searched = paper(bounded).override(sets=["lower=float:0.001:0.009", "tau=float:0:1"])
    # the default that it had, 0.2 x 0.05, moves into the new range
    assert searched.first_point()["lower"] == pytest.approx(0.009)
    assert searched.sample(trial(lower=0.004, upper=0.2, tau=0.5))["lower"] == 0.004


def by_name(trial: optuna.Trial) -> dict[str, Any]:
    """A search space in Python."""
    return {"tau": {"a": trial.suggest_float("tau_a", 0, 1), "b": 0.5}, "upper": 0.4}


def test_a_function_may_return_a_mapping_by_class(bounded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", __import__("sys").path[:])
    space = load_space(bounded, "paper", f"{__name__}:by_name")
    asked = trial()
    values = space.for_classes(["b", "a"]).sample(asked)
    assert values["tau"] == {"a": asked.params["tau_a"], "b": 0.5}
    # what it does not return is still a fraction, of what it does
    assert (values["upper"], values["lower"]) == (0.4, pytest.approx(0.08))
    with pytest.raises(SpaceError, match=r"by_name: tau: given for a, b, expected each of a, c once"):
        space.for_classes(["a", "c"]).sample(trial())


def test_round_trip_and_digest(bounded: Any, write: Write) -> None:
    space = changed(
        bounded, write, "  tau: {value: {a: 0.1, b: 0.2}}", UPPER.replace(", source", ", per_class: true, source")
    )
    for mode in ("alternate", "sample"):
        told = space.for_classes(["a", "b"]).with_modes(loss_thresholds=mode)
        again = space_from_dict(yaml.safe_load(yaml.safe_dump(told.to_dict())), bounded)
        assert again == told
        assert (again.digest(), again.sample(trial(3))) == (told.digest(), told.sample(trial(3)))
    plain = changed(
        bounded, write, LOWER.replace("fraction_of: upper, ", "").replace("0.9", "0.009").replace("0.2", "0")
    )
    digests = {
        s.digest() for s in (space, paper(bounded), plain, paper(bounded).with_modes(loss_thresholds="alternate"))
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("lower: {type: float, low: 0, high: 1, default: 0, fraction_of: uper}", "'uper'; did you mean"),
        ("lower: {type: float, low: 0, high: 2, default: 0, fraction_of: upper}", "expected type float within [0, 1]"),
        ("lower: {type: choice, choices: [0.1], default: 0.1, fraction_of: upper}", "unknown key of lower (choice)"),
        ("lower: {type: float, low: 0, high: 0.5, default: 0.1, fraction_of: lower}", "leads back to itself (lower"),
        ("upper: {type: float, low: 0.1, high: 0.5, default: 0.1, fraction_of: lower}", "'fraction_of' leads back"),
        ("lower: {type: float, low: 0, high: 1, default: 0, fraction_of: upper}", "as a fraction below 1"),
        ("lower: {type: float, low: 0, high: 0.5, default: 0.2}", "may become 0.5 and upper 0.01, but it has to stay"),
        ("upper: {type: float, low: 0.01, high: 0.6, default: 0.1}", "may become 0.6, outside the domain [0, 0.5]"),
        ("upper: {value: {a: 0.1, b: 0.7}}", "upper may become 0.7, outside the domain [0, 0.5]"),
        ("upper: {value: {a: 0.1, b: high}}", "expected a finite number or a mapping by class, each a finite number"),
        ("tau: {type: float, low: 0, high: 1, default: {a: 0.1}}", "default of tau is a mapping, expected one value"),
        ("lower: {value: {a: 0.1, b: 0.2}}", "lower may become 0.1 and upper 0.01"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_line(bounded: Any, write: Write, entry: str, message: str) -> None:
    with pytest.raises(SpaceError) as raised:
        changed(bounded, write, f"  {entry}")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert ":4: " in str(raised.value) or "bounded.yaml:5: " in str(raised.value)


def test_a_fraction_of_what_is_no_number(bounded: Any, write: Write) -> None:
    bounded.Config = dataclass(frozen=True, kw_only=True)(
        type("Named", (BoundedConfig,), {"__annotations__": {"name": str}, "name": "x"})
    )
    with pytest.raises(SpaceError, match="fraction_of name: 'x' is text, expected a finite number"):
        changed(bounded, write, "  tau: {type: float, low: 0, high: 1, default: 1, fraction_of: name}")
