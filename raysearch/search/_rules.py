"""Which trials go on: decided from what trials have reported, and from nothing else."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

Verdict = Literal["go", "wait", "stop"]
"""What becomes of a trial: it trains on, it waits for others, or it is stopped."""


class Rules:
    """``fifo``: every trial trains to its end. The other schedulers say what they do otherwise.

    A verdict follows from reports and ends, not from the time at which they came: a study that was interrupted tells
    them again and gets the same verdicts, and so does one with more slots.

    Attributes:
        kept: numbers of the trials that are never stopped, whatever a verdict says, and whose training nobody else's
            replaces (`StudyConfig.defaults`).
    """

    def __init__(self, kept: Collection[int] = ()) -> None:
        self.kept = frozenset(kept)

    def pauses(self, number: int) -> tuple[int, ...]:
        """Epochs after which a trial gives its slot back, in ascending order, its last epoch not among them."""
        del number
        return ()

    def report(self, number: int, epoch: int, value: float) -> None:
        """An epoch of a trial; its value is finite."""

    def end(self, number: int) -> None:
        """A trial trains no more, whatever the reason; after all of its reports."""

    def settle(self) -> None:
        """Does what has to be done before trials that were compared go on."""

    def verdict(self, number: int) -> Verdict:
        """What becomes of a trial after its latest report."""
        del number
        return "go"

    def renewed(self, number: int) -> dict[str, Any]:
        """Entries of the trainable's config that are no longer what the trial began with."""
        del number
        return {}
