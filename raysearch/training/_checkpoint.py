"""Checkpoints as bytes: written whole or not at all, and loaded without ever unpickling code."""

from __future__ import annotations

import io
from typing import Any

import torch

from raysearch.errors import DamagedFileError

FORMAT = 1
AGAIN = "delete it and its trial starts again from epoch 0"


def encode(state: dict[str, Any]) -> bytes:
    """Tensors, numbers, strings, lists and dicts as bytes."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    return buffer.getvalue()


def decode(data: bytes, where: str, remedy: str = AGAIN) -> dict[str, Any]:
    """What `encode` was given, on the CPU. `where` and `remedy` are told to the user.

    Raises:
        DamagedFileError: `data` is not a checkpoint, was cut short, or holds anything but data (it is never unpickled).
    """
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes raise anything
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise DamagedFileError(f"{where} is not a checkpoint of raysearch ({reason}); {remedy}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise DamagedFileError(f"{where} is not a checkpoint of raysearch (no format {FORMAT} mark); {remedy}")
    return state
