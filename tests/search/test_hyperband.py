"""HyperBand: who is compared with whom, who goes on, and that it depends on values alone."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.errors import UserError
from raysearch.search._hyperband import HyperBand, brackets, check_hyperband


@dataclass
class World:
    """Trials whose values are known beforehand; `fails` after so many epochs."""

    epochs: int
    values: list[list[float]]
    fails: dict[int, int] = field(default_factory=dict)
    kept: frozenset[int] = frozenset()

    @property
    def samples(self) -> int:
        return len(self.values)


Told = list[tuple[int, int, float] | int]
"""Reports and ends, in the order of their telling."""


def run(world: World, order: random.Random, *, maximise: bool = True) -> tuple[dict[int, int], Told]:
    """Trains one epoch of any trial that may train, time and again: epochs of each trial, and what the rules heard."""
    rules = HyperBand(epochs=world.epochs, samples=world.samples, maximise=maximise, kept=world.kept)
    epochs = dict.fromkeys(range(world.samples), 0)
    over: set[int] = set()
    told: Told = []

    def end(number: int) -> None:
        over.add(number)
        told.append(number)
        rules.end(number)

    while True:
        able = [number for number in epochs if number not in over and rules.verdict(number) == "go"]
        if not able:
            assert len(over) == world.samples, "trials wait and nothing would ever wake them"
            return epochs, told
        number = order.choice(able)
        if epochs[number] == world.fails.get(number):
            end(number)
        else:
            epochs[number] += 1
            told.append((number, epochs[number], world.values[number][epochs[number] - 1]))
            rules.report(*told[-1])
            if epochs[number] == world.epochs:
                end(number)
        for stopped in [n for n in epochs if n not in over and rules.verdict(n) == "stop"]:
            end(stopped)


def obvious(world: World, *, maximise: bool = True) -> dict[int, int]:
    """Successive halving of each bracket, one after another (algorithm 1 of the paper, lines 4 to 9); who is kept goes
    on beside it."""
    epochs = {}
    for bracket in brackets(world.epochs, world.samples):
        alive = [number for number in bracket.numbers if number not in world.kept]
        for rung, epoch in enumerate(bracket.rungs):
            for number in alive:
                epochs[number] = min(epoch, world.fails.get(number, epoch))
            alive = [number for number in alive if world.fails.get(number, epoch) >= epoch]
            alive.sort(key=lambda n: (world.values[n][epoch - 1] * (-1 if maximise else 1), n))
            del alive[max(1, bracket.size // 3 ** (rung + 1)) :]
    return epochs | {number: world.fails.get(number, world.epochs) for number in world.kept}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    epochs = draw(st.integers(1, 11))
    some = st.lists(st.sampled_from([0.1, 0.2, 0.5, 0.9]), min_size=epochs, max_size=epochs)
    values = draw(st.lists(some, min_size=1, max_size=20))
    fails = draw(st.dictionaries(st.integers(0, len(values) - 1), st.integers(0, epochs - 1), max_size=4))
    return World(epochs, values, fails, draw(st.sampled_from([frozenset(), frozenset({0})])))


@settings(max_examples=150)
@given(world=worlds(), seed=st.integers(0, 2**32), maximise=st.booleans())
def test_in_any_order_it_is_successive_halving(world: World, seed: int, maximise: bool) -> None:
    found, _ = run(world, random.Random(seed), maximise=maximise)
    assert found == obvious(world, maximise=maximise)


@settings(max_examples=60)
@given(world=worlds(), seed=st.integers(0, 2**32), data=st.data())
def test_every_verdict_after_a_rebuild_is_the_undisturbed_one(world: World, seed: int, data: st.DataObject) -> None:
    _, told = run(world, random.Random(seed))
    cut = data.draw(st.integers(0, len(told)))
    calm = HyperBand(epochs=world.epochs, samples=world.samples, maximise=True, kept=world.kept)
    for what in told[:cut]:
        calm.report(*what) if isinstance(what, tuple) else calm.end(what)
    rebuilt = HyperBand(epochs=world.epochs, samples=world.samples, maximise=True, kept=world.kept)
    for what in told[:cut]:
        if isinstance(what, tuple):
            rebuilt.report(*what)
    ended = [what for what in told[:cut] if isinstance(what, int)]
    for number in ended:
        rebuilt.end(number)
    for number in set(range(world.samples)) - set(ended):
        assert rebuilt.verdict(number) == calm.verdict(number), f"trial {number} after {cut} of {told}"


def test_more_trials_compete_for_the_places_that_are_left() -> None:
    """Nine trials belong into the first bracket of nine epochs, three of them go on; of four one did."""
    rules = HyperBand(epochs=9, samples=9, maximise=True)
    for number in range(4):
        rules.report(number, 1, 0.1 * number)
    for epoch in (2, 3):
        rules.report(3, epoch, 0.9)
    for number in range(3):
        rules.end(number)
    for number, value in zip(range(4, 9), (0.05, 0.01, 0.02, 0.5, 0.03), strict=True):
        assert rules.verdict(number) == "go"
        rules.report(number, 1, value)
    assert [rules.verdict(number) for number in range(4, 9)] == ["go", "stop", "stop", "go", "stop"]


def test_the_defaults_go_on_and_take_no_place() -> None:
    rules = HyperBand(epochs=9, samples=9, maximise=True, kept={0})
    for number in range(9):
        rules.report(number, 1, 0.1 * number)
    assert [rules.verdict(number) for number in range(9)] == ["go", *["stop"] * 5, *["go"] * 3]
    for epoch in (2, 3):  # they are ahead of who was promoted, and nobody loses a place by that
        rules.report(0, epoch, 0.0)
    rules.end(1)
    assert [rules.verdict(number) for number in (0, 6, 7, 8)] == ["go"] * 4


def test_one_trial_of_a_bracket_waits_for_nobody() -> None:
    assert [(b.first, b.size, b.rungs) for b in brackets(3, 6)] == [(0, 3, (1, 3)), (3, 2, (3,)), (5, 1, (1, 3))]
    rules = HyperBand(epochs=3, samples=6, maximise=True)
    rules.report(5, 1, 0.0)
    assert rules.verdict(5) == "go"


@given(epochs=st.integers(1, 90), samples=st.integers(1, 400))
def test_every_trial_has_one_bracket(epochs: int, samples: int) -> None:
    numbers = [number for bracket in brackets(epochs, samples) for number in bracket.numbers]
    assert numbers == list(range(samples))
    for bracket in brackets(epochs, samples):
        assert bracket.rungs[-1] == epochs
        assert list(bracket.rungs) == sorted(set(bracket.rungs))
        assert bracket.rungs[0] >= 1


@pytest.mark.parametrize(
    ("epochs", "samples", "said"),
    [
        (2, 20, "--epochs 2: --scheduler hyperband first compares trials after a third of their epochs or less; pass"
                " --epochs 3 or more, or --scheduler fifo"),
        (9, 8, "--samples 8: with --epochs 9 the first bracket of --scheduler hyperband has 9 trials; pass --samples 9"
               " or more, or --scheduler asha"),
    ],
)  # fmt: skip
def test_too_little_to_compare(epochs: int, samples: int, said: str) -> None:
    with pytest.raises(UserError) as error:
        check_hyperband(epochs=epochs, samples=samples)
    assert str(error.value) == said


def test_enough_to_compare() -> None:
    check_hyperband(epochs=3, samples=3)
    check_hyperband(epochs=9, samples=9)
