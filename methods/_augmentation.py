"""Augmentation from settings."""

from __future__ import annotations

from methods._config import ImageConfig
from raysearch.method import Augmentation


def augmentation(config: ImageConfig, size: tuple[int, int]) -> Augmentation:
    """What the settings mean for images of (H, W) `size`."""
    return Augmentation(
        horizontal_flip=config.horizontal_flip,
        vertical_flip=config.vertical_flip,
        rotation=config.rotation,
        crop=config.crop if config.crop < min(size) else 0,
        jitter=(config.brightness, config.contrast, config.saturation, config.hue),
    )
