"""The CAM family: a 1x1 convolution makes one map a class, and a pooling turns maps into scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from torch import Tensor, nn

from methods._classifier import MapClassifierMethod
from methods.cam._config import CamConfig, LseConfig, WildcatBaselineConfig
from methods.layers.pooling import WildcatHead, average_pool, log_sum_exp_pool, max_pool


class CamHead(nn.Module):
    """Features (N, F, h, w) to class scores (N, K), pooled from class maps (N, K, h, w), and the maps."""

    def __init__(self, features: int, classes: int, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.maps = nn.Conv2d(features, classes, kernel_size=1)
        self.pool = pool

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.maps(features)
        return self.pool(maps), maps


class CamAvg(MapClassifierMethod):
    """Average pooling."""

    name: ClassVar[str] = "cam_avg"
    title: ClassVar[str] = "Class activation maps, average pooling (Zhou et al., CVPR 2016)"
    Config = CamConfig

    def head(self, features: int, classes: int) -> nn.Module:
        return CamHead(features, classes, average_pool)


class CamMax(MapClassifierMethod):
    """Maximum pooling."""

    name: ClassVar[str] = "cam_max"
    title: ClassVar[str] = "Class activation maps, max pooling (Oquab et al., CVPR 2015)"
    Config = CamConfig

    def head(self, features: int, classes: int) -> nn.Module:
        return CamHead(features, classes, max_pool)


class CamLse(MapClassifierMethod):
    """Log-sum-exp pooling."""

    name: ClassVar[str] = "cam_lse"
    title: ClassVar[str] = "Class activation maps, log-sum-exp pooling (Pinheiro & Collobert, CVPR 2015)"
    Config = LseConfig
    config: LseConfig

    def head(self, features: int, classes: int) -> nn.Module:
        return CamHead(features, classes, partial(log_sum_exp_pool, r=self.config.r))


class Wildcat(MapClassifierMethod):
    """Several modalities a class, pooled over the highest and lowest cells."""

    name: ClassVar[str] = "wildcat"
    title: ClassVar[str] = "WILDCAT (Durand et al., CVPR 2017)"
    Config = WildcatBaselineConfig
    config: WildcatBaselineConfig

    def head(self, features: int, classes: int) -> nn.Module:
        c = self.config
        return WildcatHead(
            features, classes, modalities=c.modalities, kmax=c.kmax, kmin=c.kmin, alpha=c.alpha, dropout=c.dropout
        )
