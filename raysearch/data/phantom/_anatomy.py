"""The chest of a patient: outlines of lungs, heart and diaphragm, and the density of a healthy radiograph.

Lengths are fractions of the image side. x runs from -0.5 to 0.5 to the viewer's right, y from 0 to 1 downwards; the
viewer's left (side -1) is the patient's right, as radiographs are hung. Density 0 is air, 1 is thick soft tissue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Field = NDArray[np.float64]
Side = Literal[-1, 1]
SIDES: tuple[Side, Side] = (-1, 1)

EDGE = 0.008
"""Softness of anatomical borders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Anatomy:
    """What the images of one patient share."""

    torso: float
    apex: float
    diaphragm: float
    lung_offset: float
    lung_width: float
    mediastinum: float
    heart_width: float
    heart_height: float
    heart_tilt: float
    rib_spacing: float
    rib_phase: float
    rib_slope: float
    rib_density: float
    lung_density: float
    markings: float
    breast: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Anatomy:
        return cls(
            torso=rng.uniform(0.45, 0.53),
            apex=rng.uniform(0.10, 0.15),
            diaphragm=rng.uniform(0.73, 0.81),
            lung_offset=rng.uniform(0.205, 0.225),
            lung_width=rng.uniform(0.170, 0.198),
            mediastinum=rng.uniform(0.050, 0.068),
            heart_width=rng.uniform(0.150, 0.190),
            heart_height=rng.uniform(0.115, 0.140),
            heart_tilt=rng.uniform(0.35, 0.75),
            rib_spacing=rng.uniform(0.072, 0.088),
            rib_phase=rng.uniform(),
            rib_slope=rng.uniform(0.25, 0.45),
            rib_density=rng.uniform(0.05, 0.10),
            lung_density=rng.uniform(0.22, 0.32),
            markings=rng.uniform(0.02, 0.04),
            breast=rng.uniform(0.04, 0.12) * float(rng.uniform() < 0.5),
        )


def heart_depth(anatomy: Anatomy, x: Field, y: Field) -> Field:
    """Approximate signed distance to the border of the heart, positive inside."""
    dx, dy = x - 0.050, y - (anatomy.diaphragm - 0.050)
    c, s = np.cos(anatomy.heart_tilt), np.sin(anatomy.heart_tilt)
    u, v = (c * dx + s * dy) / anatomy.heart_width, (c * dy - s * dx) / anatomy.heart_height
    return np.asarray((1 - np.hypot(u, v)) * anatomy.heart_height)


def across(anatomy: Anatomy, x: Field, side: Side) -> Field:
    """Place between the middle of a lung (0) and its lateral wall (about 1); negative towards the spine."""
    return (side * x - anatomy.lung_offset) / anatomy.lung_width


def dome(anatomy: Anatomy, x: Field, side: Side) -> Field:
    """Height of the diaphragm: highest over the middle of the lung, falling into the costophrenic angle."""
    base = anatomy.diaphragm + (0.025 if side > 0 else 0.0)
    return np.asarray(base + 0.06 * (across(anatomy, x, side) + 0.2) ** 2)


def rib_cage_depth(anatomy: Anatomy, x: Field, y: Field, side: Side, collapse: float = 0.0) -> Field:
    """Approximate signed distance to the chest wall of one side, positive inside.

    `collapse` in [0, 1) shrinks the outline towards the hilum: the border of a lung that fell in.
    """
    half = 0.5 * (anatomy.diaphragm + 0.16 - anatomy.apex)
    width = anatomy.lung_width * (0.84 + 0.30 * np.clip((y - anatomy.apex) / (2 * half), 0, 1))
    hilum = -0.8 * collapse * anatomy.lung_width
    u = np.abs(side * x - anatomy.lung_offset - hilum) / (width * (1 - collapse))
    v = np.abs(y - anatomy.apex - half * (1 + 0.3 * collapse)) / (half * (1 - collapse))
    # a superellipse of exponent 2.5: squarer than an ellipse at the base, as the thorax is
    return np.asarray((1 - (u * u * np.sqrt(u) + v * v * np.sqrt(v)) ** 0.4) * anatomy.lung_width)


def lung_depth(anatomy: Anatomy, x: Field, y: Field, side: Side) -> Field:
    """Approximate signed distance to the border of a lung, positive inside: the anatomical mask is ``> 0``.

    Inside the chest wall, above the diaphragm, beside the mediastinum and not behind the heart.
    """
    wall = rib_cage_depth(anatomy, x, y, side)
    diaphragm = dome(anatomy, x, side) - y
    medial = side * x - anatomy.mediastinum
    return np.minimum(np.minimum(wall, diaphragm), np.minimum(medial, -heart_depth(anatomy, x, y)))


def soft(depth: Field, edge: float = EDGE) -> Field:
    """Coverage in (0, 1) from a signed distance."""
    return np.asarray(expit(depth / edge))


def _band(distance: Field, width: float) -> Field:
    return np.asarray(np.exp(-((distance / width) ** 2)))


def healthy_density(anatomy: Anatomy, x: Field, y: Field, lungs: Field) -> Field:
    """Density (H, W) of the chest without findings, devices and lung markings; `lungs` is the cover of both lungs."""
    shoulder = 0.10 + (anatomy.torso - 0.10) * expit((y - 0.115 - 0.12 * np.abs(x)) / 0.022)
    torso = soft(shoulder - np.abs(x), 0.012)
    density = torso * (0.80 - 0.25 * (x / anatomy.torso) ** 2)
    density *= 1 - (1 - anatomy.lung_density / 0.8) * lungs
    heart = soft(heart_depth(anatomy, x, y), 0.012) * expit((anatomy.diaphragm + 0.05 - y) / 0.02)
    mediastinum = soft(anatomy.mediastinum * (0.75 + 0.35 * y) - np.abs(x), 0.012)
    density += (0.04 + 0.08 * np.clip(y / 0.8, 0, 1)) * np.maximum(heart, mediastinum) * torso
    spine = _band(x, 0.038) * (1 + 0.25 * np.cos(2 * np.pi * y / 0.055))
    trachea = _band(x + 0.004, 0.018) * expit((0.33 - y) / 0.03)
    density += 0.10 * spine - 0.14 * trachea
    for side in SIDES:
        out = across(anatomy, x, side)
        cage = soft(rib_cage_depth(anatomy, x, y, side), 0.012)
        # posterior ribs fall outwards; the fainter anterior ends fall inwards
        posterior = (y - anatomy.rib_slope * 0.18 * (out - 0.35 * out * np.abs(out))) / anatomy.rib_spacing
        anterior = (y + anatomy.rib_slope * 0.25 * out) / (1.1 * anatomy.rib_spacing) + 0.3
        ribs = expit(6 * (np.cos(2 * np.pi * (posterior + anatomy.rib_phase)) - 0.25))
        ends = expit(6 * (np.cos(2 * np.pi * (anterior + anatomy.rib_phase)) - 0.3)) * expit((out + 0.1) / 0.15)
        density += anatomy.rib_density * cage * (ribs + 0.35 * ends) * expit((anatomy.diaphragm + 0.1 - y) / 0.03)
        clavicle = y - (anatomy.apex + 0.055) + 0.10 * (out - 0.2) * np.abs(out - 0.2) + 0.02 * out
        density += 0.13 * _band(clavicle, 0.016) * expit((side * x - 0.045) / 0.01) * torso
        hilum = np.hypot((side * x - 0.085) / 0.035, (y - 0.47) / 0.085)
        density += 0.12 * np.exp(-(hilum**2)) * lungs
        breast = np.hypot((side * x - 0.21) / 0.15, (y - anatomy.diaphragm + 0.03) / 0.14)
        density += anatomy.breast * expit((1 - breast) / 0.08) * torso
    return np.asarray(np.maximum(density, 0))
