"""From density to pixels: field of view, scatter, blur, contrast curve, noise and side marker of an X-ray unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from raysearch.data.phantom._anatomy import Field


@dataclass(frozen=True, kw_only=True, slots=True)
class Acquisition:
    """One acquisition domain; lengths in fractions of the image side, grey values in [0, 1]."""

    zoom: tuple[float, float]
    """Size of the chest in the field of view."""
    rotation: float
    """Largest rotation to either side, in radians."""
    exposure: tuple[float, float]
    """Attenuation scale."""
    gamma: float
    """Exponent of the contrast curve."""
    scatter: float
    """Share of the grey value replaced by its local mean."""
    blur: float
    noise: float
    grain: float
    """Correlation length of the noise."""
    marker: tuple[float, float]
    """Top left corner (x, y) of the side marker."""
    border: float
    """Widest collimation border."""


DOMAINS: dict[str, Acquisition] = {
    "a": Acquisition(
        zoom=(0.93, 1.05),
        rotation=0.06,
        exposure=(1.5, 1.9),
        gamma=1.0,
        scatter=0.0,
        blur=0.006,
        noise=0.022,
        grain=0.006,
        marker=(0.04, 0.05),
        border=0.0,
    ),
    # a mobile unit: wider view, film-like curve, more scatter, coarser noise
    "b": Acquisition(
        zoom=(0.80, 0.94),
        rotation=0.12,
        exposure=(1.3, 1.8),
        gamma=1.35,
        scatter=0.25,
        blur=0.009,
        noise=0.030,
        grain=0.012,
        marker=(0.84, 0.86),
        border=0.06,
    ),
}

_GLYPH = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0], [1, 0, 1], [1, 0, 1]], bool)
"""The letter R, for the patient's right."""


def pixel_grid(size: int) -> tuple[Field, Field]:
    """Pixel centres: x in (-0.5, 0.5), y in (0, 1), each (size, size)."""
    centre = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(centre, centre - 0.5, indexing="ij")
    return x, y


def field_of_view(rng: np.random.Generator, domain: Acquisition, x: Field, y: Field) -> tuple[Field, Field]:
    """Where each pixel of the image looks, in the chest's coordinates: zoom, rotation and shift of the exposure."""
    zoom = rng.uniform(*domain.zoom)
    angle = rng.uniform(-domain.rotation, domain.rotation)
    dx, dy = x - rng.uniform(-0.03, 0.03), y - 0.5 - rng.uniform(-0.03, 0.03)
    c, s = np.cos(angle) / zoom, np.sin(angle) / zoom
    return c * dx + s * dy, c * dy - s * dx + 0.5


def smooth_noise(rng: np.random.Generator, size: int, length: float) -> Field:
    """Unit-variance Gaussian noise (size, size) with a correlation length in fractions of the side."""
    sigma = length * size
    noise = gaussian_filter(rng.standard_normal((size, size)), sigma, mode="wrap")
    return np.asarray(noise / max(float(noise.std()), 1e-9))


def expose(
    rng: np.random.Generator, pixels: np.random.Generator, domain: Acquisition, density: Field
) -> NDArray[np.uint8]:
    """The radiograph (H, W) uint8 of a density: `rng` draws the exposure, `pixels` the noise."""
    size = density.shape[0]
    grey = 1 - np.exp(-rng.uniform(*domain.exposure) * density)
    grey = gaussian_filter(grey, domain.blur * size, mode="nearest")
    grey += domain.scatter * (uniform_filter(grey, max(3, size // 3), mode="nearest") - grey)
    grey = np.clip(grey, 0, 1) ** domain.gamma
    # quantum noise is worst where few photons arrive, that is where the image is bright
    grey += domain.noise * (0.5 + grey) * smooth_noise(pixels, size, domain.grain)
    x, y = pixel_grid(size)
    column, row = (x + 0.5 - domain.marker[0]) / 0.06 * 3, (y - domain.marker[1]) / 0.08 * 5
    inside = (column >= 0) & (column < 3) & (row >= 0) & (row < 5)
    grey[inside] = np.maximum(grey[inside], 0.85 * _GLYPH[row[inside].astype(int), column[inside].astype(int)])
    left, right, top, bottom = rng.uniform(-domain.border, domain.border, 4)
    grey[(x + 0.5 < left) | (0.5 - x < right) | (y < top) | (1 - y < bottom)] = 0.02
    return np.asarray(np.round(255 * np.clip(grey, 0, 1)), np.uint8)
