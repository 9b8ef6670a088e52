"""How the epochs are divided among the stages, and how the temperature falls over them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Schedule = Literal["exponential", "linear", "cosine", "constant"]


def stage_epochs(epochs: int, detection_share: float, joint_share: float) -> tuple[int, int, int]:
    """Epochs of the stages classification, detection and joint training: `epochs` in all.

    Shares are rounded; a share above 0 has an epoch at least while there are enough, the first stage before all.

    >>> stage_epochs(12, 0.25, 0.25), stage_epochs(2, 0.25, 0.25), stage_epochs(9, 0.3, 0.0)
    ((6, 3, 3), (1, 1, 0), (6, 3, 0))
    """
    left = epochs - 1
    detection = min(max(1, round(detection_share * epochs)), left) if detection_share else 0
    joint = min(max(1, round(joint_share * epochs)), left - detection) if joint_share else 0
    return epochs - detection - joint, detection, joint


@dataclass(frozen=True, kw_only=True)
class Annealing:
    """The epochs over which the temperature falls: `first`, from 0, and how many."""

    first: int
    epochs: int

    def progress(self, epoch: int) -> float:
        """0 in the first epoch, 1 in the last one and ever after; 0 if there is one alone."""
        if self.epochs <= 1:
            return 0.0
        return min(1.0, max(0.0, (epoch - self.first) / (self.epochs - 1)))


def temperature(schedule: Schedule, start: float, end: float, progress: float) -> float:
    """tau between `start` and `end`, both above 0, at `progress` in [0, 1]; the paper's is ``start (end / start)^t``.

    >>> [temperature(s, 1.0, 0.01, 0.5) for s in ("exponential", "linear", "cosine", "constant")]
    [0.1, 0.505, 0.505, 1.0]
    """
    if schedule == "constant":
        return start
    if schedule == "exponential":
        return float(start * (end / start) ** progress)
    gone = progress if schedule == "linear" else (1 - math.cos(math.pi * progress)) / 2
    return start + (end - start) * gone
