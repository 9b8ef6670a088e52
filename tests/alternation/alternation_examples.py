"""Thresholds of paper 000 and small evidence for the tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raysearch.alternation import Thresholds
from raysearch.method import LossThreshold
from raysearch.thresholds import Regions

SPECS = (
    LossThreshold(name="tau", bounds="inside"),
    LossThreshold(name="rho", bounds="outside"),
    LossThreshold(name="tau_hat", bounds="present"),
    LossThreshold(name="rho_hat", bounds="absent", below="tau_hat"),
)
START = {"tau": 0.7, "rho": 0.1, "tau_hat": 0.05, "rho_hat": 0.01}


def by_class(values: dict[str, float], classes: Sequence[str]) -> Thresholds:
    return {name: dict.fromkeys(classes, value) for name, value in values.items()}


def random_regions(seed: int, rows: int = 60, classes: Sequence[str] = ("a", "b"), steps: int = 8) -> Regions:
    """Evidence with few distinct values, so that ties occur; about half of the present pairs are annotated."""
    rng = np.random.default_rng(seed)
    present = rng.random(rows) < 0.6
    annotated = present & (rng.random(rows) < 0.6)
    shares = {
        name: rng.integers(0, steps + 1, rows) / steps for name in ("inside", "outside", "blob", "positive_outside")
    }
    return Regions(
        classes=tuple(classes),
        image=np.arange(rows),
        label=rng.integers(0, len(classes), rows).astype(np.int32),
        patient=np.array([f"p{n}" for n in range(rows)]),
        present=present,
        annotated=annotated,
        total=np.clip(rng.integers(0, steps, rows) / steps + 0.2 * present, 0, 1),
        **{name: np.where(annotated, values, np.nan) for name, values in shares.items()},
    )
