"""Seeds that depend on what is computed, not on when."""

from __future__ import annotations

import numpy as np


def derive(*key: int) -> int:
    """A 63-bit seed from a tuple of non-negative integers; near keys give unrelated seeds."""
    words = np.random.SeedSequence(list(key)).generate_state(2, np.uint32)
    return (int(words[0]) << 31) ^ int(words[1])
