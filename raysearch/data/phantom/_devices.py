"""Distractors: what shows on radiographs of every class alike and belongs to no finding."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from raysearch.data.phantom._anatomy import Field


def _spots(rng: np.random.Generator, x: Field, y: Field, count: int, radius: tuple[float, float]) -> Field:
    """`count` round bright spots over the thorax."""
    total = np.zeros_like(x)
    for _ in range(count):
        distance = np.hypot(x - rng.uniform(-0.36, 0.36), y - rng.uniform(0.15, 0.85))
        total += rng.uniform(0.18, 0.40) * expit((rng.uniform(*radius) - distance) / 0.004)
    return total


def _line(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """A catheter that enters at the neck or the shoulder and ends over the chest."""
    start, bend = rng.uniform(-0.25, 0.25), rng.uniform(-0.25, 0.25)
    path = start * (1 - y) + bend * y * (1 - y)
    end = rng.uniform(0.35, 0.90)
    return np.asarray(0.16 * np.exp(-(((x - path) / 0.007) ** 2)) * expit((end - y) / 0.01))


def _fold(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """A skin fold: a step of density with one sharp edge, easily taken for a pleural line."""
    angle = rng.uniform(-0.5, 0.5)
    depth = (x - rng.uniform(-0.32, 0.32)) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    reach = expit((rng.uniform(0.08, 0.20) - np.abs(y - rng.uniform(0.3, 0.7))) / 0.03)
    return np.asarray(rng.uniform(0.06, 0.12) * expit(depth / 0.006) * np.exp(-np.maximum(depth, 0) / 0.06) * reach)


def _pacemaker(rng: np.random.Generator, x: Field, y: Field) -> Field:
    side = 1 if rng.uniform() < 0.8 else -1
    dx, dy = (x - side * rng.uniform(0.22, 0.30)) / 0.050, (y - rng.uniform(0.22, 0.30)) / 0.036
    return np.asarray(0.5 * expit((1 - (dx**4 + dy**4) ** 0.25) / 0.12))


def _bulla(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """A thin-walled air space: a weak lucency."""
    dx, dy = x - rng.choice((-1, 1)) * rng.uniform(0.15, 0.28), y - rng.uniform(0.2, 0.6)
    return np.asarray(-rng.uniform(0.03, 0.07) * expit((rng.uniform(0.05, 0.09) - np.hypot(dx, 0.8 * dy)) / 0.015))


def devices(rng: np.random.Generator, x: Field, y: Field) -> Field:
    """Density (H, W) of an image's distractors: clips, electrodes, catheters, skin folds, pacemakers, bullae."""
    total = _spots(rng, x, y, int(rng.poisson(2.0)), (0.007, 0.013))
    total += _spots(rng, x, y, int(rng.poisson(0.8)), (0.015, 0.022))
    for chance, draw in ((0.35, _line), (0.20, _fold), (0.08, _pacemaker), (0.20, _bulla)):
        if rng.uniform() < chance:
            total += draw(rng, x, y)
    return total
