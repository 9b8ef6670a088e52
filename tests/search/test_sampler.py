"""Draws depend on (study seed, trial number, parameter) and on the finished trials, not on interruptions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial

from raysearch.errors import UserError
from raysearch.search import _sampler
from raysearch.search._sampler import sampler_named, window

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
TRIALS = 14


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class CutError(Exception):
    """The study is interrupted while parameters are being drawn."""


def draw(trial: optuna.Trial, cut_after: int) -> dict[str, Any]:
    """A conditional space; interrupted after `cut_after` parameters."""
    asked: dict[str, Any] = {}

    def take(name: str, value: Any) -> Any:
        asked[name] = value
        if len(asked) == cut_after:
            raise CutError
        return value

    take("lr", trial.suggest_float("lr", 1e-4, 1.0, log=True))
    take("depth", trial.suggest_int("depth", 1, 6))
    if take("mode", trial.suggest_categorical("mode", ["plain", "gated"])) == "gated":
        take("gate", trial.suggest_float("gate", 0.0, 1.0))
    take("width", trial.suggest_float("width", 0.0, 1.0))
    return asked


def value(params: dict[str, Any]) -> float:
    return -((math.log10(params["lr"]) + 2) ** 2) + 0.1 * params["depth"] - params.get("gate", 0.3)


def search(name: str, interruptions: dict[int, int], seed: int = 3) -> list[dict[str, Any]]:
    """Parameters of all trials; trial n is interrupted after `interruptions[n]` parameters (0: before the first), and
    everything but the storage is made anew."""
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="s", storage=storage, direction="maximize", sampler=sampler_named(name, seed))
    drawn = []
    study = optuna.load_study(study_name="s", storage=storage, sampler=sampler_named(name, seed))
    for number in range(TRIALS):
        trial = study.ask()
        if number in interruptions:
            try:
                if interruptions[number]:
                    draw(trial, interruptions[number])
            except CutError:
                pass
            study = optuna.load_study(study_name="s", storage=storage, sampler=sampler_named(name, seed))
            trial = optuna.Trial(study, trial._trial_id)
        params = draw(trial, -1)
        drawn.append(params)
        if number % 5 == 3:
            study.tell(trial, state=TrialState.FAIL)
        elif number % 5 == 4:
            trial.report(value(params), 1)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, value(params))
    return drawn


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, list[dict[str, Any]]]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return {name: search(name, {}) for name in ("tpe", "random")}


@settings(max_examples=20)
@given(interruptions=st.dictionaries(st.integers(0, TRIALS - 1), st.integers(0, 5), max_size=5))
@pytest.mark.parametrize("name", ["tpe", "random"])
def test_interruptions_change_nothing(
    name: str, interruptions: dict[int, int], undisturbed: dict[str, list[dict[str, Any]]]
) -> None:
    assert search(name, interruptions) == undisturbed[name]


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_draws_are_not_copies_of_each_other(name: str, undisturbed: dict[str, list[dict[str, Any]]]) -> None:
    drawn = undisturbed[name]
    assert len({params["lr"] for params in drawn}) == TRIALS
    assert len({params["width"] for params in drawn}) == TRIALS
    ranks = [np.argsort([params[key] for params in drawn[:8]]).tolist() for key in ("lr", "width")]
    assert ranks[0] != ranks[1], "parameters of a trial are drawn apart"
    assert search(name, {}, seed=4) != drawn


def test_every_trial_and_every_parameter_has_a_seed_of_its_own() -> None:
    seeds: list[int] = []

    def make(seed: int) -> optuna.samplers.BaseSampler:
        seeds.append(seed)
        return optuna.samplers.RandomSampler(seed=seed)

    for study_seed in (0, 1):
        study = optuna.create_study(sampler=_sampler.KeyedSampler(make, study_seed))
        for _ in range(5):
            draw(study.ask(), -1)
    assert len(seeds) >= 2 * 5 * 4
    assert len(set(seeds)) == len(seeds)


def test_tpe_learns() -> None:
    """Beyond the random start it draws nearer to the optimum than chance does."""
    study = optuna.create_study(direction="maximize", sampler=sampler_named("tpe", 0))
    distances = []
    for _ in range(40):
        trial = study.ask()
        x = trial.suggest_float("x", 0.0, 1.0)
        study.tell(trial, -abs(x - 0.7))
        distances.append(abs(x - 0.7))
    assert np.median(distances[20:]) < 0.5 * np.median(distances[: _sampler.STARTUP])


def finished(values: list[float | None]) -> list[FrozenTrial]:
    trials = []
    for number, one in enumerate(values):
        state = TrialState.COMPLETE if one is not None else TrialState.PRUNED
        trial = create_trial(state=state, value=one)
        trial.number = number
        trials.append(trial)
    return trials


@given(
    values=st.lists(st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=30),
    size=st.integers(2, 12),
    maximise=st.booleans(),
)
def test_the_window_holds_the_best_and_the_latest(values: list[float | None], size: int, maximise: bool) -> None:
    trials = finished(values)
    seen = [t.number for t in window(trials, size, maximise=maximise)]
    assert seen == sorted(set(seen))
    if len(values) <= size:
        assert seen == list(range(len(values)))
        return
    latest = list(range(len(values) - size // 2, len(values)))
    earlier = [n for n in range(len(values)) if n not in latest]

    def badness(number: int) -> tuple[float, int]:
        one = values[number]
        return (math.inf if one is None else -one if maximise else one), number

    assert seen == sorted([*sorted(earlier, key=badness)[: size - size // 2], *latest])


def test_a_long_history_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inner sampler sees no more than the window, and the window is made once a trial."""
    monkeypatch.setattr(_sampler, "HISTORY", 10)
    windows: list[int] = []
    real = _sampler.window

    def counted(trials: list[FrozenTrial], size: int, *, maximise: bool) -> list[FrozenTrial]:
        out = real(trials, size, maximise=maximise)
        windows.append(len(out))
        return out

    monkeypatch.setattr(_sampler, "window", counted)
    seen: list[int] = []
    estimator = optuna.samplers._tpe.sampler._ParzenEstimator
    monkeypatch.setattr(
        optuna.samplers._tpe.sampler.TPESampler,
        "_build_parzen_estimator",
        lambda self, study, space, trials, handle_below: (
            seen.append(len(trials)),
            estimator(self._get_internal_repr(trials, space, study), space, self._parzen_estimator_parameters),
        )[1],
    )
    study = optuna.create_study(direction="maximize", sampler=sampler_named("tpe", 0))
    for _ in range(25):
        trial = study.ask()
        windows.clear()
        seen.clear()
        params = draw(trial, -1)
        study.tell(trial, value(params))
    assert windows == [10], "once for all parameters"
    assert seen
    assert {a + b for a, b in zip(seen[::2], seen[1::2], strict=True)} == {10}


def test_unknown_samplers_are_refused() -> None:
    with pytest.raises(UserError, match=r"--sampler tpee: unknown sampler; did you mean 'tpe'\?"):
        sampler_named("tpee", 0)
