"""Settings of Deep MIL."""

from __future__ import annotations

from dataclasses import dataclass

from methods._config import MapClassifierConfig, expect_range


@dataclass(frozen=True, kw_only=True)
class DeepMilConfig(MapClassifierConfig):
    """Attention-based multiple-instance learning (Ilse et al., ICML 2018), one attention map a class."""

    attention: int = 128
    """Hidden units of the attention."""
    gated: bool = False
    """Multiply the hidden units by a learned sigmoid gate (eq. 9 of Ilse et al.)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("attention", self.attention, 1)
