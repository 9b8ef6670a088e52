"""U-Net with full supervision (Ronneberger et al., MICCAI 2015): the upper bound of the comparison."""

from methods.unet._config import UNetConfig
from methods.unet._method import UNet

__all__ = ["UNet", "UNetConfig"]
