"""The base model of Li et al. (CVPR 2018), as *Localization with limited annotation* describes it."""

from methods.li_base._config import LiBaseConfig
from methods.li_base._method import LiBase

__all__ = ["LiBase", "LiBaseConfig"]
