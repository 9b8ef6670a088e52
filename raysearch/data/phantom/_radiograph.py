"""One image: anatomy, findings, devices and exposure put together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from raysearch.data.phantom._acquisition import Acquisition, expose, field_of_view, pixel_grid, smooth_noise
from raysearch.data.phantom._anatomy import SIDES, Anatomy, healthy_density, lung_depth, soft
from raysearch.data.phantom._devices import devices
from raysearch.data.phantom._findings import FINDINGS, Chest


@dataclass(frozen=True, slots=True)
class Radiograph:
    """Pixels (H, W) uint8, the anatomical lung mask (H, W) bool, and each finding's region (H, W) bool, by name.

    A finding's region is the union of its objects; findings may overlap.
    """

    pixels: NDArray[np.uint8]
    lungs: NDArray[np.bool_]
    regions: dict[str, NDArray[np.bool_]]


def radiograph(
    rng: np.random.Generator,
    pixels: np.random.Generator,
    *,
    anatomy: Anatomy,
    domain: Acquisition,
    findings: tuple[str, ...],
    size: int,
) -> Radiograph:
    """An image of `size` by `size` pixels. `rng` draws what does not depend on the size, `pixels` all that does."""
    inspiration = rng.normal(0, 0.012)
    anatomy = replace(anatomy, diaphragm=anatomy.diaphragm + inspiration)
    x, y = field_of_view(rng, domain, *pixel_grid(size))
    depth = {side: lung_depth(anatomy, x, y, side) for side in SIDES}
    lungs = np.maximum(*(soft(depth[side]) for side in SIDES))
    chest = Chest(anatomy, x, y, depth, smooth_noise(pixels, size, 0.018))
    density = healthy_density(anatomy, x, y, lungs)
    markings = anatomy.markings * lungs
    regions = {}
    for name in findings:
        lesions = FINDINGS[name].draw(rng, chest)
        regions[name] = np.logical_or.reduce([lesion.mask for lesion in lesions])
        for lesion in lesions:
            density += lesion.density
            markings = markings * lesion.markings
    density += markings * (smooth_noise(pixels, size, 0.010) + smooth_noise(pixels, size, 0.03))
    density += devices(rng, x, y)
    image = expose(rng, pixels, domain, np.maximum(density, 0))
    anatomical = np.logical_or.reduce([depth[side] > 0 for side in SIDES])
    return Radiograph(image, anatomical, regions)
