"""Population-based training: who takes over what from whom, and that it is what the weights were trained with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from raysearch.alternation import facts, rounds_of
from raysearch.errors import StudyError, UserError
from raysearch.search._pbt import check_mutable, check_population, exchange, moved, perturb
from raysearch.study._book import Book
from raysearch.study._exchanges import Exchanges, Move
from raysearch.study._study import Study
from raysearch.training import decode
from search.simulator import Machine
from search.toy import toy_study

SEARCH: dict[str, Any] = {
    "scheduler": "pbt", "samples": 6, "epochs": 7, "round_epochs": 2, "seed": 4, "keep_checkpoints": 9,
    "select": "last",
}  # fmt: skip


# -- decisions


@given(
    values=st.dictionaries(st.integers(0, 30), st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), max_size=20),
    maximise=st.booleans(),
    seed=st.integers(0, 9),
)
def test_the_worst_quarter_goes_on_from_the_best(values: dict[int, float], maximise: bool, seed: int) -> None:
    pairs = exchange(values, 3, maximise=maximise, seed=seed)
    assert pairs == exchange(dict(reversed(values.items())), 3, maximise=maximise, seed=seed), "whoever came first"
    assert len(pairs) == (max(1, len(values) // 4) if len(values) > 1 else 0)
    assert not set(pairs) & set(pairs.values())
    better = (lambda a, b: a >= b) if maximise else (lambda a, b: a <= b)
    for weak, strong in pairs.items():
        others = set(values) - set(pairs)
        assert all(better(values[other], values[weak]) for other in others)
        assert sum(not better(values[strong], values[other]) for other in values) < max(1, len(values) // 4)


@given(
    values=st.dictionaries(st.integers(0, 12), st.sampled_from([0.1, 0.2, 0.3]), max_size=13), seed=st.integers(0, 9)
)
def test_a_trial_that_is_kept_lends_and_never_takes_over(values: dict[int, float], seed: int) -> None:
    pairs = exchange(values, 3, maximise=True, seed=seed, kept={0})
    assert 0 not in pairs
    assert not set(pairs) & set(pairs.values())
    if len(values) > 2:
        assert len(pairs) == max(1, len(values) // 4), "the next worst takes its turn"


def test_the_defaults_lend_their_weights_if_they_are_best() -> None:
    assert exchange({0: 0.9, 1: 0.5, 2: 0.1, 3: 0.4}, 3, maximise=True, seed=0, kept={0}) == {2: 0}
    assert exchange({0: 0.1, 1: 0.5, 2: 0.2, 3: 0.4}, 3, maximise=True, seed=0, kept={0}) == {2: 1}
    assert exchange({0: 0.1, 1: 0.5}, 3, maximise=True, seed=0, kept={0}) == {}


def test_donors_differ_by_trial_and_epoch() -> None:
    values = {number: float(number) for number in range(40)}
    pairs = [exchange(values, epoch, maximise=True, seed=0) for epoch in (3, 6)]
    assert len(set(pairs[0].values())) > 3
    assert pairs[0] != pairs[1]


RANGES: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "gate": FloatDistribution(-1.0, 1.0),
    "share": FloatDistribution(0.0, 0.9, step=0.3),
    "width": IntDistribution(1, 30),
    "depth": IntDistribution(1, 4),
    "even": IntDistribution(2, 20, step=2),
    "count": IntDistribution(1, 1000, log=True),
}


@given(data=st.data(), name=st.sampled_from(sorted(RANGES)), up=st.booleans())
def test_a_number_moves_within_its_range_and_on_its_grid(data: st.DataObject, name: str, up: bool) -> None:
    domain: Any = RANGES[name]
    if domain.step is not None:
        steps = round((domain.high - domain.low) / domain.step)
        value = domain.low + domain.step * data.draw(st.integers(0, steps))
    else:
        value = data.draw(st.floats(domain.low, domain.high))
    value = int(value) if isinstance(domain, IntDistribution) else value
    other = moved(value, domain, up=up)
    assert type(other) is type(value)
    assert domain.low <= other <= domain.high
    if domain.step is not None:
        assert (other - domain.low) / domain.step == pytest.approx(round((other - domain.low) / domain.step))
    end = domain.high if up else domain.low
    if abs(value - end) > 1e-9:
        assert (other > value) is up
        assert other != value


def test_only_what_is_mutable_moves() -> None:
    params = {"lr": 0.1, "gate": 0.0, "mode": "plain", "tau[a]": 0.5, "tau[b]": 0.5, "odd": 3}
    distributions = {
        **RANGES, "mode": CategoricalDistribution(["plain", "gated"]),
        "tau[a]": FloatDistribution(0.0, 1.0), "tau[b]": FloatDistribution(0.0, 1.0),
    }  # fmt: skip
    moves = [perturb(params, distributions, ["lr", "tau", "odd"], 0, 1, epoch) for epoch in range(20)]
    for changed in moves:
        assert (changed["gate"], changed["mode"], changed["odd"]) == (0.0, "plain", 3)
        assert changed["lr"] in (pytest.approx(0.125), pytest.approx(0.08))
        assert changed["tau[a]"] in (pytest.approx(0.6), pytest.approx(0.4))
    assert len({changed["lr"] for changed in moves}) == 2
    assert any(changed["tau[a]"] != changed["tau[b]"] for changed in moves), "each has a random number of its own"
    assert perturb(dict(reversed(params.items())), distributions, ["lr", "tau"], 0, 1, 0) == moves[0]


@pytest.mark.parametrize(
    ("epochs", "samples", "said"),
    [
        (9, 3, "--samples 3: the population of --scheduler pbt is the study's trials, and a quarter of them is"
               " replaced; pass --samples 4 or more, or --scheduler fifo"),
        (3, 8, "--epochs 3: --scheduler pbt exchanges after every 3 epochs, so it never would; pass --epochs 4 or more,"
               " or --scheduler fifo"),
    ],
)  # fmt: skip
def test_no_population(epochs: int, samples: int, said: str) -> None:
    with pytest.raises(UserError) as error:
        check_population(epochs=epochs, samples=samples, interval=3)
    assert str(error.value) == said


def test_nothing_to_perturb() -> None:
    check_mutable(["lr"])
    check_population(epochs=4, samples=4, interval=3)
    with pytest.raises(UserError, match="no searched number can change during a training"):
        check_mutable([])


# -- studies


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def exchanges(study: Study) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((study.path / "exchanges.json").read_text())
    return found


def weight(path: Path) -> float:
    return float(decode(path.read_bytes(), str(path))["trainer"]["model"]["weight"])


def test_trials_train_in_turns_and_are_compared_together(tmp_path: Path, machine: Machine) -> None:
    study = toy_study(tmp_path, **SEARCH)
    book = machine.run(study)
    trained = [record.number for record in book.records() if record.state == "complete"]
    assert len(trained) >= 4
    for first in (1, 3, 5):
        turn = [(number, first + step) for number in trained for step in (0, 1)]
        at = machine.trained.index(turn[0])
        assert [pair for pair in machine.trained[at:] if pair in turn] == turn
    assert [one["epoch"] for one in exchanges(study)] == [2, 4, 6]
    for one in exchanges(study):
        values = {n: study.trial(n).rows()[one["epoch"] - 1]["value"] for n in one["trials"]}
        assert one["trials"] == trained
        assert {m["to"]: m["donor"] for m in one["moves"]} == exchange(
            values, one["epoch"], maximise=True, seed=4, kept={0}
        )


def test_a_study_replaces_the_defaults_at_no_exchange(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []

    def seen(values: dict[int, float], epoch: int, **rule: Any) -> dict[int, int]:
        kept.append(set(rule["kept"]))
        return exchange(values, epoch, **rule)

    monkeypatch.setattr("raysearch.search._pbt.exchange", seen)
    machine.run(toy_study(tmp_path, **SEARCH))
    assert kept == [{0}] * 3


def test_weights_and_settings_are_the_donors(tmp_path: Path, machine: Machine) -> None:
    study = toy_study(tmp_path, **SEARCH)
    book = machine.run(study)
    trained = exchanges(study)[0]["trials"]
    rows = {number: study.trial(number).rows() for number in trained}
    weights = dict.fromkeys(trained, 0.0)
    params = {number: book._optuna.trials[number].params for number in trained}
    for epoch in range(1, 8):
        for number in trained:
            weights[number] += rows[number][epoch - 1]["value"]
        before, was = dict(weights), dict(params)
        for one in exchanges(study):
            for move in one["moves"] if one["epoch"] == epoch else ():
                weights[move["to"]], params[move["to"]] = before[move["donor"]], move["params"]
                assert move["params"].keys() == was[move["donor"]].keys()
                assert move["params"]["lr"] != was[move["donor"]]["lr"]
                assert move["params"]["depth"] == was[move["donor"]]["depth"], "not among the mutable ones"
        for number in trained:
            told = rows[number][epoch - 1].get("exploited")
            assert told is None or told["params"] == was[number]
    taken_over = {move["to"] for one in exchanges(study) for move in one["moves"]}
    assert taken_over
    for record in book.records():
        if record.number in trained:
            assert weight(study.trial(record.number).best) == pytest.approx(weights[record.number])
            assert record.params == params[record.number], "what the weights were trained with at the end"
    left = {path.name for path in (study.path / "trials").glob("*/checkpoint/*")}
    assert left == {"best.pt"}


def test_what_was_drawn_stays_what_was_drawn(tmp_path: Path, machine: Machine) -> None:
    study = toy_study(tmp_path, **SEARCH)
    book = machine.run(study)
    changed = [r for r in book.records() if "exploited" in r.result]
    assert changed
    for record in changed:
        drawn = book._optuna.trials[record.number].params
        stored = study.trial(record.number).config
        assert stored is not None
        assert all(stored["config"][name] == value for name, value in drawn.items())
        assert drawn != record.params


def test_who_takes_over_takes_the_kept_thresholds_too(tmp_path: Path, machine: Machine) -> None:
    study = toy_study(
        tmp_path, scheduler="pbt", samples=5, epochs=9, seed=3, loss_thresholds="alternate", alternate="search",
        round_epochs=2,
    )  # fmt: skip
    machine.run(study)
    moves = [(one["epoch"], move) for one in exchanges(study) for move in one["moves"]]
    assert moves
    for epoch, move in moves:
        rows = study.trial(move["to"]).rows()
        after = rows[epoch]
        assert after["exploited"]["from"] == move["donor"]
        facts = after["alternation"]
        assert facts["thresholds"] == move["loss_thresholds"]
        assert (facts["proposed"], facts["taken_back"]) == (False, False)
        assert facts["round"] == rows[epoch - 1]["alternation"]["round"] + 1
        donor = [r for r in rounds_of(study.trial(move["donor"]).rows()[:epoch]) if r.kept][-1]
        assert donor.thresholds == move["loss_thresholds"]
        upto = [row for row in rows if row.get("exploited", {}).get("epoch", 0) <= epoch]
        assert rounds_of(upto)[0].number == facts["round"], "what came before is the history of other weights"
        assert rounds_of(upto)[0].kept in (True, None)


def test_more_trials_are_a_population_of_their_own(tmp_path: Path, machine: Machine) -> None:
    from raysearch.study import Changes, extend, this_machine

    study = toy_study(tmp_path, **{**SEARCH, "samples": 4})
    machine.run(study)
    before = exchanges(study)
    book = machine.run(extend(study, Changes(samples=9), this_machine()))
    assert book.remaining == 0
    assert exchanges(study)[: len(before)] == before
    old = {number for one in before for number in one["trials"]}
    assert len(exchanges(study)) > len(before)
    assert all(not old & set(one["trials"]) for one in exchanges(study)[len(before) :])


@pytest.mark.parametrize(("value", "weights", "tau"), [(0.6, b"last", 0.4), (0.4, b"kept", 0.9)])
def test_a_donor_gives_what_it_would_go_on_from_itself(
    tmp_path: Path, value: float, weights: bytes, tau: float
) -> None:
    """A round that is not kept is taken back, by the donor and by who takes over from it."""
    study = toy_study(tmp_path, **SEARCH)
    for number in (0, 1):
        study.trial(number).create({"config": {}, "thresholds": {}})
    study.trial(1).last.write_bytes(b"last")
    study.trial(1).kept.write_bytes(b"kept")
    plan = {"epochs": 2, "pauses": (), "taken_back": False, "note": ""}
    first = {**plan, "number": 0, "first": 0, "thresholds": {"tau": {"a": 0.9}}, "proposed": False}
    second = {**plan, "number": 1, "first": 2, "thresholds": {"tau": {"a": 0.4}}, "proposed": True}
    rows = [
        {
            "epoch": epoch,
            "last_stage": True,
            "alternation": facts(told, epoch=epoch, finished=False, value=reached, stage_ends=False),
        }
        for epoch, told, reached in ((1, first, 0.1), (2, first, 0.5), (3, second, 0.5), (4, second, value))
    ]
    Exchanges(study).record(4, [0, 1], [Move(to=0, donor=1, params={"lr": 0.1})], lambda number: rows)
    assert study.trial(0).donor.read_bytes() == weights
    last = Exchanges(study).last(0)
    assert last is not None
    assert last[1].loss_thresholds == {"tau": {"a": tau}}


@pytest.mark.parametrize("damage", ["", "[{]", '{"a": 1}', '[{"epoch": 2, "trials": [0]}]', "3"])
def test_a_damaged_record_is_one_line(tmp_path: Path, damage: str) -> None:
    study = toy_study(tmp_path, **SEARCH)
    (study.path / "exchanges.json").write_text(damage)
    with pytest.raises(StudyError, match=r"exchanges\.json is damaged .* restore it") as error:
        Exchanges(study)
    assert "\n" not in str(error.value)


def test_weights_are_handed_over_before_anybody_goes_on(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The donor's next epoch is another file under the same name."""
    study = toy_study(tmp_path, **SEARCH)
    seen: list[tuple[int, int]] = []
    real = Exchanges.record

    def record(self: Exchanges, epoch: int, *rest: Any) -> None:
        real(self, epoch, *rest)
        for move in exchanges(study)[-1]["moves"]:
            donor, folder = study.trial(move["donor"]), study.trial(move["to"])
            assert os.path.samefile(donor.last, folder.donor)
            seen.append((epoch, move["to"]))

    monkeypatch.setattr(Exchanges, "record", record)
    machine.run(study)
    assert seen
    assert isinstance(Book(study), Book)
