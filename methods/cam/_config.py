"""Settings of the CAM family: one network, several poolings."""

from __future__ import annotations

from dataclasses import dataclass

from methods._config import MapClassifierConfig, WildcatConfig, expect_range


@dataclass(frozen=True, kw_only=True)
class CamConfig(MapClassifierConfig):
    """Of ``cam_avg``, ``cam_max`` and ``grad_cam``: nothing beside the backbone, the training and the CRF."""


@dataclass(frozen=True, kw_only=True)
class LseConfig(MapClassifierConfig):
    """Of ``cam_lse``."""

    r: float = 10.0
    """Sharpness of the log-sum-exp: near 0 the mean, without bound the maximum."""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_range("r", self.r, 0, open_low=True)


@dataclass(frozen=True, kw_only=True)
class WildcatBaselineConfig(WildcatConfig, MapClassifierConfig):
    """Of ``wildcat``; the paper tuned these per data set and published no values."""

    dropout: float = 0.0
    """Dropout on the chosen cells before they are averaged, while training."""
