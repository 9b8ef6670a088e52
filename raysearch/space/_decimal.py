"""Numbers on a grid of steps, in decimals as they are written: in binary 3 x 0.1 is not 0.3."""

from __future__ import annotations

from decimal import Decimal


def on_grid(value: float, low: float, step: float) -> bool:
    """Whether a value is low plus a multiple of step."""
    return (_decimal(value) - _decimal(low)) % _decimal(step) == 0


def nearest_on_grid(value: float, low: float, step: float) -> float:
    """The number of the grid that is nearest to a value.

    >>> nearest_on_grid(0.1 + 0.2, 0.0, 0.1)
    0.3
    """
    return numbered(round((value - low) / step), low, step)


def numbered(number: int, low: float, step: float) -> float:
    """Number `number` of the grid, `low` being number 0."""
    return float(_decimal(low) + number * _decimal(step))


def count(low: float, high: float, step: float) -> int:
    """Numbers of the grid, both ends included."""
    return int((_decimal(high) - _decimal(low)) / _decimal(step)) + 1


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))
