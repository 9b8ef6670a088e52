"""What the engine does to training images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What the engine does to training images, drawn by (seed, epoch, image) so that it does not depend on order."""

    horizontal_flip: bool = False
    vertical_flip: bool = False
    rotation: float = 0.0
    """Largest angle in degrees, to either side; 90-degree turns if 90 or more."""
    zoom: float = 0.0
    """Largest magnification, as a share of the side that is cut off, in [0, 1); about the centre."""
    shift: float = 0.0
    """Largest displacement along each axis, to either side, as a share of the side, in [0, 1); zeros come in."""
    pad: int = 0
    """Pixels that are added on every side by reflection before a random window of the old size is taken; 0 is none."""
    crop: int = 0
    """Side of a random square crop in pixels; 0 keeps the whole image."""
    jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Brightness, contrast, saturation, hue (the last two for colour images), as in torchvision's ColorJitter."""
    operations: int = 0
    """Operations of RandAugment (Cubuk et al. 2020), each done with probability a half; 0 is none. Images alone: masks
    do not follow them, so that an augmentation with masks refuses it."""
    magnitude: int = 10
    """Magnitudes of these operations are drawn from the whole numbers 1 to `magnitude` - 1, of a scale of 10 steps."""
