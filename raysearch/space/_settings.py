"""From what was drawn to what a method is made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raysearch.space._load import AnySpace


def settings_of(space: AnySpace, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of the method's `Config`, and decision thresholds, of parameters under their names at Optuna."""
    from optuna.trial import FixedTrial

    return space.split(space.sample(FixedTrial(dict(params))))
