"""Random streams: one independent generator for each thing drawn, found again by its key alone."""

from __future__ import annotations

import numpy as np

Key = tuple[int, ...]
"""Non-negative integers that name a stream: the source first, then patient or image, then its number."""

PATIENT, IMAGE, PIXELS = 0, 1, 2


def stream(seed: int, key: Key) -> np.random.Generator:
    """The generator of a key. Streams are independent, so nothing depends on how many images exist."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))
