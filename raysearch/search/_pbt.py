"""Population-based training: weak trials go on from strong ones, under settings near theirs (Jaderberg et al. 2017,
arXiv 1711.09846).

Not Tune's: it refuses every search algorithm, draws from the global random numbers, hands weights on as checkpoints of
Tune's, and keeps what it did nowhere from where a study could be resumed.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from raysearch._random import derive
from raysearch.errors import UserError
from raysearch.search._rules import Rules, Verdict
from raysearch.space._decimal import nearest_on_grid
from raysearch.study._book import Book
from raysearch.study._exchanges import Exchanges, Move
from raysearch.study._study import Study

POPULATION = 4
"""Trials from which on there is a quarter of them."""

FACTOR = 1.25
"""By which a number with a logarithmic range is multiplied or divided: 0.8 as in the paper, and its inverse (the paper
has 1.2), so that perturbing it drifts nowhere."""

STEP = 0.1
"""Share of any other range by which a number is moved up or down."""


def check_population(*, epochs: int, samples: int, interval: int) -> None:
    """UserError unless there is a population, and an exchange before the end."""
    if samples < POPULATION:
        raise UserError(
            f"--samples {samples}: the population of --scheduler pbt is the study's trials, and a quarter of them is"
            f" replaced; pass --samples {POPULATION} or more, or --scheduler fifo"
        )
    if epochs <= interval:
        raise UserError(
            f"--epochs {epochs}: --scheduler pbt exchanges after every {interval} epochs, so it never would; pass"
            f" --epochs {interval + 1} or more, or --scheduler fifo"
        )


def check_mutable(mutable: Collection[str]) -> None:
    """UserError unless there is a number to perturb."""
    if not mutable:
        raise UserError(
            "--scheduler pbt: no searched number can change during a training (one of kind train or loss, whose values"
            " all fit the same network); search one with --set NAME=SPEC, or use --scheduler asha"
        )


def exchange(
    values: Mapping[int, float], epoch: int, *, maximise: bool, seed: int, kept: Collection[int] = ()
) -> dict[int, int]:
    """Of each trial of the worst quarter (at least one), the trial of the best quarter that it goes on from.

    Args:
        values: of all trials of the population, by number; of equal ones the earlier is the better.
        epoch: after which they were compared.
        seed: of the study.
        kept: numbers of trials that go on as they are, wherever they stand.

    >>> exchange({0: 0.5, 1: 0.9, 2: 0.1, 3: 0.4, 4: 0.6}, 3, maximise=True, seed=0)
    {2: 1}
    """
    sign = -1.0 if maximise else 1.0
    order = sorted(values, key=lambda number: (sign * values[number], number))
    if len(order) < 2:
        return {}
    quarter = max(1, len(order) // 4)
    weak = [number for number in order[quarter:] if number not in kept][-quarter:]
    return {number: order[derive(seed, number, epoch) % quarter] for number in weak}


def perturb(
    params: Mapping[str, Any], distributions: Mapping[str, BaseDistribution], mutable: Collection[str], *key: int
) -> dict[str, Any]:
    """Parameters with each mutable number moved up or down a little, within its range.

    Args:
        params: values under their names at Optuna (``name[class]`` for one of a class).
        distributions: of the numbers that may be moved, under the same names.
        mutable: names of parameters.
        key: of the random numbers; that of each parameter depends on its name too.
    """
    out = dict(params)
    for asked, value in params.items():
        if asked.partition("[")[0] in mutable and asked in distributions:
            up = bool(derive(*key, zlib.crc32(asked.encode())) % 2)
            out[asked] = moved(value, distributions[asked], up=up)
    return out


def moved(value: float, distribution: BaseDistribution, *, up: bool) -> float:
    """A number a little above or below: by `FACTOR` or `STEP`, at least to the next one on its grid, within its range.

    >>> moved(0.5, FloatDistribution(0.0, 1.0), up=True), moved(4, IntDistribution(1, 4), up=True)
    (0.6, 4)
    """
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    near = value * (FACTOR if up else 1 / FACTOR) - value
    if not distribution.log:
        near = (high - low) * (STEP if up else -STEP)
    if step is not None:
        near = step * (max(1, round(near / step)) if up else min(-1, round(near / step)))
    target = min(max(value + near, low), high)
    if isinstance(distribution, IntDistribution):
        return int(target)
    return target if step is None else nearest_on_grid(target, low, step)


class PopulationBasedTraining(Rules):
    """The population is the study's trials. Every `round_epochs` epochs each waits until all have arrived; then the
    worst quarter goes on from the weights and settings of the best quarter, perturbed, and all train on.

    All are compared at the same epoch (appendix A.1 of the paper), so that an exchange depends on values alone: with
    one slot, where the trials train in turns, comparing those that happen to be there would compare nothing.
    """

    def __init__(self, study: Study, book: Book, *, kept: Collection[int] = ()) -> None:
        super().__init__(kept)
        config = study.config
        self._seed = config.seed
        self._maximise = config.direction == "maximize"
        self._mutable = config.mutable
        self._book = book
        self._exchanges = Exchanges(study)
        self._distributions = self._exchanges.space.distributions()
        self._pauses = tuple(range(config.round_epochs, config.budget.epochs, config.round_epochs))
        self._epochs = dict.fromkeys(range(config.budget.samples), 0)
        """Of the trials that have not ended."""
        self._values: dict[int, float] = {}
        self._news = True

    def pauses(self, number: int) -> tuple[int, ...]:
        del number
        return self._pauses

    def report(self, number: int, epoch: int, value: float) -> None:
        self._epochs[number], self._values[number] = epoch, value
        self._news = True

    def end(self, number: int) -> None:
        self._epochs.pop(number, None)
        self._news = True

    def settle(self) -> None:
        """Exchanges, once everybody has arrived; recorded before anybody goes on."""
        if not self._news:
            return
        self._news = False
        epoch = min(self._epochs.values(), default=0)
        if epoch not in self._pauses:
            return
        group = {
            number: self._values[number]
            for number, reached in self._epochs.items()
            if reached == epoch and not self._exchanges.done(number, epoch)
        }
        if not group:
            return
        pairs = exchange(group, epoch, maximise=self._maximise, seed=self._seed, kept=self.kept)
        moves = [
            Move(
                to=weak,
                donor=strong,
                params=perturb(self._params(strong), self._distributions, self._mutable, self._seed, weak, epoch),
            )
            for weak, strong in sorted(pairs.items())
        ]
        self._exchanges.record(epoch, sorted(group), moves, self._book.rows)

    def verdict(self, number: int) -> Verdict:
        epoch = self._epochs.get(number, 0)
        return "go" if epoch not in self._pauses or self._exchanges.done(number, epoch) else "wait"

    def renewed(self, number: int) -> dict[str, Any]:
        return self._exchanges.renewed(number)

    def _params(self, number: int) -> dict[str, Any]:
        """What a trial trains with now."""
        current = self._exchanges.last(number)
        return self._book.params(number) if current is None else current[1].params
