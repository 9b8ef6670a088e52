"""The four findings. Each object has a small discriminative core and a larger, weaker body.

The core carries the sign that a radiologist names the finding by; the bodies of the opacities look alike, so a
classifier learns the core while region truth covers the whole object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from raysearch.data.phantom._anatomy import (
    SIDES,
    Anatomy,
    Field,
    Side,
    across,
    dome,
    lung_depth,
    rib_cage_depth,
    soft,
)


@dataclass(frozen=True, slots=True)
class Chest:
    """One radiograph's geometry on its pixel grid; arrays are (H, W).

    `depth` is the signed distance to the border of each lung, `texture` unit-variance smooth noise.
    """

    anatomy: Anatomy
    x: Field
    y: Field
    depth: dict[Side, Field]
    texture: Field


@dataclass(frozen=True, slots=True)
class Lesion:
    """One object: density added, share of lung markings left (both (H, W) float64), and its region (H, W) bool."""

    density: Field
    markings: Field | float
    mask: NDArray[np.bool_]


def _place(rng: np.random.Generator, anatomy: Anatomy, margin: float) -> tuple[Side, float, float]:
    """A lung and a point (x, y) at least `margin` inside it, or the deepest of 64 candidates."""
    side = SIDES[rng.integers(2)]
    x = side * rng.uniform(0.05, 0.40, 64)
    y = rng.uniform(anatomy.apex, anatomy.diaphragm, 64)
    depth = lung_depth(anatomy, x, y, side)
    best = int(np.argmax(depth > margin)) if (depth > margin).any() else int(np.argmax(depth))
    return side, float(x[best]), float(y[best])


def _blob(rng: np.random.Generator, chest: Chest, at: tuple[Side, float, float], radius: float, rough: float) -> Field:
    """Signed depth of a round region in one lung whose edge has harmonics 2 to 5 of amplitude `rough` / order."""
    side, x, y = at
    dx, dy = chest.x - x, chest.y - y
    angle = np.arctan2(dy, dx)
    order = np.arange(2, 6)
    phase = rng.uniform(0, 2 * np.pi, 4)
    edge = 1 + np.tensordot(rough / order, np.cos(np.multiply.outer(order, angle) + phase[:, None, None]), 1)
    return np.minimum(radius * edge - np.hypot(dx, dy), chest.depth[side])


def _haze(chest: Chest, depth: Field, edge: float, strength: float) -> Field:
    """The body that the opacities share: mottled ground glass."""
    return np.asarray(strength * soft(depth, edge) * (1 + 0.3 * chest.texture))


def nodule(rng: np.random.Generator, chest: Chest) -> list[Lesion]:
    """One to three dense round cores, each in a ground-glass halo."""
    lesions = []
    for _ in range(rng.integers(1, 4)):
        at = _place(rng, chest.anatomy, 0.035)
        radius = rng.uniform(0.066, 0.100)
        halo = _blob(rng, chest, at, radius, 0.2)
        core = _blob(rng, chest, at, 0.40 * radius, 0.1)
        density = _haze(chest, halo, 0.012, rng.uniform(0.07, 0.11)) + rng.uniform(0.20, 0.28) * soft(core, 0.008)
        lesions.append(Lesion(density, 1.0, halo > 0))
    return lesions


def consolidation(rng: np.random.Generator, chest: Chest) -> list[Lesion]:
    """One or two large hazy regions around a dense patch crossed by air bronchograms (dark stripes)."""
    lesions = []
    for _ in range(rng.integers(1, 3)):
        at = _place(rng, chest.anatomy, 0.06)
        radius = rng.uniform(0.16, 0.24)
        region = _blob(rng, chest, at, radius, 0.35)
        core = _blob(rng, chest, at, rng.uniform(0.055, 0.070), 0.15)
        angle = rng.uniform(0, np.pi)
        along = (chest.x * np.cos(angle) + chest.y * np.sin(angle)) / 0.048
        stripes = expit(5 * np.cos(2 * np.pi * (along + rng.uniform())))
        density = _haze(chest, region, 0.02, rng.uniform(0.08, 0.12))
        density += rng.uniform(0.20, 0.28) * soft(core, 0.01) * (1.1 * stripes - 0.1)
        lesions.append(Lesion(density, 1.0, region > 0))
    return lesions


def effusion(rng: np.random.Generator, chest: Chest) -> list[Lesion]:
    """Fluid at the base of one or both lungs: a dense wedge in the costophrenic angle below a veil with a meniscus."""
    sides = SIDES if rng.uniform() < 0.35 else (SIDES[rng.integers(2)],)
    lesions = []
    for side in sides:
        out = across(chest.anatomy, chest.x, side)
        height, rise = rng.uniform(0.16, 0.30), rng.uniform(0.06, 0.10)
        meniscus = dome(chest.anatomy, chest.x, side) - height - rise * out * np.abs(out)
        veil = np.minimum(chest.y - meniscus, chest.depth[side])
        wedge = np.minimum(chest.y - meniscus - 0.45 * height, 0.18 * (out - 0.10))
        density = _haze(chest, veil, 0.01, rng.uniform(0.08, 0.12))
        density += rng.uniform(0.26, 0.36) * soft(wedge, 0.012) * soft(chest.depth[side])
        lesions.append(Lesion(density, 1.0, veil > 0))
    return lesions


def pneumothorax(rng: np.random.Generator, chest: Chest) -> list[Lesion]:
    """Air between chest wall and a lung that fell in: a lucency without markings, bounded by a fine pleural line."""
    side = SIDES[rng.integers(2)]
    collapse = rng.uniform(0.27, 0.42)
    edge = rib_cage_depth(chest.anatomy, chest.x, chest.y, side, collapse)
    floor = rng.uniform(0.60, 0.72)
    air = np.minimum(np.minimum(-edge, chest.depth[side]), floor - chest.y)
    cover = soft(air, 0.01)
    line = np.exp(-(((edge + 0.006) / 0.012) ** 2)) * soft(chest.depth[side]) * expit((floor - 0.12 - chest.y) / 0.03)
    density = rng.uniform(0.18, 0.26) * line - rng.uniform(0.06, 0.09) * cover * (1 - line)
    return [Lesion(density, 1 - cover, air > 0)]


@dataclass(frozen=True, slots=True)
class Finding:
    """A class: its share of images in the multi-label view, and what draws its objects."""

    rate: float
    draw: Callable[[np.random.Generator, Chest], list[Lesion]]


FINDINGS: dict[str, Finding] = {
    "nodule": Finding(0.25, nodule),
    "consolidation": Finding(0.30, consolidation),
    "effusion": Finding(0.30, effusion),
    "pneumothorax": Finding(0.20, pneumothorax),
}
