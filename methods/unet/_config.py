"""Settings of the U-Net with full supervision."""

from __future__ import annotations

from dataclasses import dataclass

from methods._config import TrainingConfig, expect_range


@dataclass(frozen=True, kw_only=True)
class UNetConfig(TrainingConfig):
    """Ronneberger et al. (MICCAI 2015), with batch normalisation; the paper's upper bound."""

    width: int = 64
    """Channels of the first block; each level down has twice as many."""
    depth: int = 4
    """Times that the resolution is halved."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("width", self.width, 1)
        expect_range("depth", self.depth, 1, 6)
