"""Settings of the base model."""

from __future__ import annotations

from dataclasses import dataclass

from methods._config import PatchConfig, expect


@dataclass(frozen=True, kw_only=True)
class LiBaseConfig(PatchConfig):
    """Section 3.1 of *Localization with limited annotation*; Li et al. (CVPR 2018) where named."""

    lambda_ann: float = 5.0
    """Weight of annotated pairs (image, class) against the others (eq. 3); 5 is Li et al.'s."""
    rescale_min: float | None = None
    """Lower end of the interval that p and 1 - p are mapped to before the products of eq. 1 and 2: 0.98 in Li et al.,
    against underflow. Without it nothing underflows here either: products are sums of logarithms."""

    def __post_init__(self) -> None:
        super().__post_init__()
        inside = self.rescale_min is None or 0 < self.rescale_min < 1
        expect(inside, "rescale_min", self.rescale_min, "null or a number above 0 and below 1")
