"""Comparisons of what arithmetic has left: values that are equal on paper differ in their last bits.

Interpolation of a constant map in single precision leaves up to 3.4 units of `EPS` between its pixels, whatever the
sizes; a quotient or a product adds half a unit. All are asked with the same room for that, `SLACK`. A map that means
something has a span of a thousandth of its magnitude or more, hundreds of times as much.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPS = torch.finfo(torch.float32).eps
SLACK = 16 * EPS
"""Relative difference, 1.9e-6, up to which single-precision numbers count as equal."""


def constant(low: Tensor, high: Tensor) -> Tensor:
    """Whether all that lies between `low` and `high`, of any shape, is one value but for rounding."""
    # the least normal number stands in where units in the last place no longer shrink with the value
    magnitude = torch.maximum(low.abs(), high.abs()).clamp(min=torch.finfo(low.dtype).tiny)
    return high - low <= SLACK * magnitude


def reaches(values: Tensor, level: float | Tensor) -> Tensor:
    """``values >= level`` for a level of at least 0, also where rounding has left a value just below it."""
    return values >= level * (1 - SLACK)


def exceeds(values: Tensor, level: float | Tensor) -> Tensor:
    """``values > level`` for a level of at least 0, but not where rounding alone has put a value above it."""
    return values > level * (1 + SLACK)
