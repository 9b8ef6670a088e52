"""Class activation maps: one network whose pooling varies, and Grad-CAM on the one that averages."""

from methods.cam._config import CamConfig, LseConfig, WildcatBaselineConfig
from methods.cam._grad_cam import GradCam
from methods.cam._method import CamAvg, CamLse, CamMax, Wildcat

__all__ = [
    "CamAvg",
    "CamConfig",
    "CamLse",
    "CamMax",
    "GradCam",
    "LseConfig",
    "Wildcat",
    "WildcatBaselineConfig",
]
