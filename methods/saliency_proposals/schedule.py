"""How the epochs are divided among the stages, and how the temperature falls over them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from methods._stages import expect_epochs

Schedule = Literal["exponential", "linear", "cosine", "constant"]


def stage_epochs(epochs: int, detection_share: float, joint_share: float) -> tuple[int, int, int]:
    """Epochs of the stages classification, detection and joint training: `epochs` in all.

    Shares are rounded; each stage has an epoch at least, but for joint training with a share of 0, which has none.

    Raises:
        MethodError: there are fewer epochs than stages.

    >>> stage_epochs(12, 0.25, 0.25), stage_epochs(3, 0.9, 0.05), stage_epochs(9, 0.3, 0.0)
    ((6, 3, 3), (1, 1, 1), (6, 3, 0))
    """
    stages = ("classification", "detection", *(("joint",) if joint_share else ()))
    expect_epochs(epochs, stages, "joint_share=0" if joint_share else None)
    left = epochs - 1
    detection = min(max(1, round(detection_share * epochs)), left - bool(joint_share))
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
