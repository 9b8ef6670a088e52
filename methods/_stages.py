"""Stages that share the epochs of a training."""

from __future__ import annotations

from collections.abc import Sequence

from raysearch.errors import MethodError


def expect_epochs(epochs: int, stages: Sequence[str], without_last: str | None) -> None:
    """Each of two or more `stages` gets an epoch at least: one that got none would go untrained into the predictions.

    Args:
        without_last: the ``NAME=VALUE`` that leaves the last stage out; None if nothing does.

    Raises:
        MethodError: there are fewer epochs than stages.
    """
    least = len(stages)
    if epochs < least:
        other = f", or {least - 1} with --fix {without_last}, which leaves {stages[-1]} out" if without_last else ""
        raise MethodError(
            f"epochs is {epochs}: expected {least} or more, one for each of the stages {', '.join(stages[:-1])} and"
            f" {stages[-1]}; pass --epochs {least}{other}"
        )
