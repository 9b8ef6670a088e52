"""When a run of a study begins no more epochs. Processes of one machine share this clock."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic


class TimeIsUpError(Exception):
    """The next epoch is for another run of the study."""


def is_over(deadline: float | None) -> bool:
    """Whether a time of `time.monotonic` has come; None never does."""
    return deadline is not None and monotonic() >= deadline


def deadline_in(seconds: float | None) -> float | None:
    """The time in so many seconds; None if there is no limit."""
    return None if seconds is None else monotonic() + seconds


@dataclass
class EpochClock:
    """Asked by a trial before each of its epochs, those of the work that it builds on among them.

    Attributes:
        deadline: after which none begins; one that has begun is finished, however long it takes.
        grace: one begins all the same: the first of a run, without which a study whose time is shorter than an epoch
            would never get on.
    """

    deadline: float | None
    grace: bool

    def begin(self) -> None:
        """Raises TimeIsUpError if no epoch may begin any more."""
        if not self.grace and is_over(self.deadline):
            raise TimeIsUpError

    def end(self) -> None:
        """An epoch is on disk."""
        self.grace = False
