"""How a training tells that it gets on: a call after every step and every batch, whose absence means that it hangs."""

from __future__ import annotations

from collections.abc import Callable

Heartbeat = Callable[[], None]


def unheard() -> None:
    """Where nobody listens."""
