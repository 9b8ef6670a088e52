"""HyperBand: trials are compared in brackets, at rungs (Li et al. 2018, JMLR 18(185), algorithm 1)."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from raysearch.errors import UserError
from raysearch.search._rules import Rules, Verdict

REDUCTION = 3
"""One trial of this many trains on after a rung (eta of the paper, which recommends 3 or 4)."""


@dataclass(frozen=True)
class Bracket:
    """Trials that are compared with one another.

    Attributes:
        first: number of its first trial; the others follow it.
        size: its trials.
        rungs: epochs after which they are compared; the last one is the end of the training.
    """

    first: int
    size: int
    rungs: tuple[int, ...]

    @property
    def numbers(self) -> range:
        return range(self.first, self.first + self.size)

    def places(self, rung: int) -> int:
        """How many of its trials train on after a rung (from 0)."""
        return max(1, self.size // int(REDUCTION ** (rung + 1)))


def brackets(epochs: int, samples: int) -> Iterator[Bracket]:
    """The brackets of a study, in the order of its trials: from the one that stops most to the one that stops none, and
    again from the start. The last one has the trials that are left.

    >>> [(b.size, b.rungs) for b in brackets(9, 20)]
    [(9, (1, 3, 9)), (5, (3, 9)), (3, (9,)), (3, (1, 3, 9))]
    """
    most = _most_halvings(epochs)
    first = 0
    while True:
        for halvings in range(most, -1, -1):
            size = min(_full_size(most, halvings), samples - first)
            if size <= 0:
                return
            yield Bracket(first, size, tuple(epochs // REDUCTION**left for left in range(halvings, -1, -1)))
            first += size


def check_hyperband(*, epochs: int, samples: int) -> None:
    """UserError unless there are epochs for a rung and trials for the first bracket."""
    most = _most_halvings(epochs)
    if not most:
        raise UserError(
            f"--epochs {epochs}: --scheduler hyperband first compares trials after a third of their epochs or less;"
            f" pass --epochs {REDUCTION} or more, or --scheduler fifo"
        )
    needed = _full_size(most, most)
    if samples < needed:
        raise UserError(
            f"--samples {samples}: with --epochs {epochs} the first bracket of --scheduler hyperband has {needed}"
            f" trials; pass --samples {needed} or more, or --scheduler asha"
        )


def promoted(values: Mapping[int, float], places: int, *, maximise: bool) -> set[int]:
    """Numbers of the trials with the best values; of equal ones the earlier.

    >>> sorted(promoted({4: 0.5, 5: 0.7, 6: 0.7}, 1, maximise=True))
    [5]
    """
    sign = -1.0 if maximise else 1.0
    return set(heapq.nsmallest(places, values, key=lambda number: (sign * values[number], number)))


class HyperBand(Rules):
    """A trial waits at a rung until all of its bracket have arrived there or have ended; then the best of them train on
    and the others are stopped.

    Tune's own two do not do what is needed here. HyperBandScheduler takes a bracket for complete when all that are in
    it have arrived, and with fewer slots than trials these are few or one: it compares nothing. HyperBandForBOHB waits
    until the bracket is filled, but a trial that fails leaves a hole that is filled by one that starts anew, a bracket
    is processed early whenever no trial runs, and its verdicts depend on the order of events. Here the bracket of a
    trial follows from its number, so that a verdict follows from the values of its rung alone.

    A trial that is kept is compared with nobody: it goes on beside those that its bracket has places for.
    """

    def __init__(self, *, epochs: int, samples: int, maximise: bool, kept: Collection[int] = ()) -> None:
        super().__init__(kept)
        self._maximise = maximise
        self._brackets = {number: bracket for bracket in brackets(epochs, samples) for number in bracket.numbers}
        self._epochs: dict[int, int] = {}
        self._values: dict[tuple[int, int], float] = {}
        self._verdicts: dict[tuple[int, int], Verdict] = {}
        self._ended: set[int] = set()

    def pauses(self, number: int) -> tuple[int, ...]:
        return self._brackets[number].rungs[:-1]

    def report(self, number: int, epoch: int, value: float) -> None:
        self._epochs[number] = epoch
        if epoch in self.pauses(number):
            self._values[number, epoch] = value
            self._compare(self._brackets[number], self.pauses(number).index(epoch))

    def end(self, number: int) -> None:
        self._ended.add(number)
        for rung, _ in enumerate(self.pauses(number)):
            self._compare(self._brackets[number], rung)

    def verdict(self, number: int) -> Verdict:
        epoch = self._epochs.get(number, 0)
        if number in self.kept:
            return "go"
        return self._verdicts.get((number, epoch), "wait") if epoch in self.pauses(number) else "go"

    def _compare(self, bracket: Bracket, rung: int) -> None:
        """Settles a rung once nobody can arrive there any more.

        Who has gone on from it keeps the place: a study that was given more trials after its last bracket had been
        compared compares the new ones for the places that are left.
        """
        epoch = bracket.rungs[rung]
        compared = [number for number in bracket.numbers if number not in self.kept]
        if any(n not in self._ended and self._epochs.get(n, 0) < epoch for n in compared):
            return
        gone_on = sum(self._epochs.get(number, 0) > epoch for number in compared)
        standing = {
            number: self._values[number, epoch]
            for number in compared
            if number not in self._ended and self._epochs[number] == epoch
        }
        best = promoted(standing, max(0, bracket.places(rung) - gone_on), maximise=self._maximise)
        for number in standing:
            self._verdicts[number, epoch] = "go" if number in best else "stop"


def _most_halvings(epochs: int) -> int:
    """Rungs before the last one of the bracket that has most."""
    halvings = 0
    while REDUCTION ** (halvings + 1) <= epochs:
        halvings += 1
    return halvings


def _full_size(most: int, halvings: int) -> int:
    return math.ceil((most + 1) * int(REDUCTION**halvings) / (halvings + 1))
