"""Who has what: patients and their images, findings, reported labels and annotated images, before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from raysearch.data.phantom._anatomy import Anatomy
from raysearch.data.phantom._findings import FINDINGS
from raysearch.data.phantom._streams import IMAGE, PATIENT, Key, stream

LABEL_NOISE = 0.02
"""Share of image labels that are reported wrongly. Region truth is never wrong."""

PATIENT_SHARE = 0.5
"""Share of the variance of a finding's liability that the images of one patient have in common."""

NAMES = tuple(FINDINGS)


@dataclass(frozen=True, slots=True)
class Patient:
    number: int
    images: int
    anatomy: Anatomy
    liability: NDArray[np.float64]
    """(1 + K,) standard normal: of being abnormal, then of each finding."""


def patients(seed: int, source: Key, images: int) -> list[Patient]:
    """The patient of each of the first `images` images: one to four images each, in a row."""
    of_image: list[Patient] = []
    while len(of_image) < images:
        number = of_image[-1].number + 1 if of_image else 0
        rng = stream(seed, (*source, PATIENT, number))
        patient = Patient(number, int(rng.integers(1, 5)), Anatomy.draw(rng), rng.standard_normal(1 + len(NAMES)))
        of_image += [patient] * patient.images
    return of_image[:images]


def findings(
    rng: np.random.Generator, patient: Patient, *, task: str, view: Literal["single", "multi"]
) -> tuple[str, ...]:
    """What the image shows.

    Findings in the single-label view: exactly one, all equally frequent. In the multi-label view: each with its own
    rate, possibly none. Normal against abnormal: in half of the images at least one. Lungs: as in the multi-label view.
    """
    own = rng.standard_normal(1 + len(NAMES))
    liability = np.sqrt(PATIENT_SHARE) * patient.liability + np.sqrt(1 - PATIENT_SHARE) * own
    rates = np.array([FINDINGS[name].rate for name in NAMES])
    excess = liability[1:] - ndtri(1 - rates)
    present = excess > 0
    if task == "findings" and view == "single":
        present = np.arange(len(NAMES)) == np.argmax(liability[1:])
    elif task == "normal-vs-abnormal":
        present[np.argmax(excess)] = True
        present &= liability[0] > 0
    return tuple(name for name, there in zip(NAMES, present, strict=True) if there)


def reported(
    seed: int, source: Key, labels: NDArray[np.int8], *, exclusive: bool
) -> tuple[NDArray[np.int8], NDArray[np.intp]]:
    """Labels (N, K) in {0, 1} as a reader reports them, and the rows that changed.

    With `exclusive` (one class an image) a share `LABEL_NOISE` of the images gets another class, else that share of
    the pairs is flipped.
    """
    noisy = labels.copy()
    count = labels.shape[1]
    for row, label in enumerate(noisy):
        rng = stream(seed, (*source, IMAGE, row, 1))
        if exclusive and rng.uniform() < LABEL_NOISE:
            label[:] = np.roll(label, rng.integers(1, count))
        elif not exclusive:
            label ^= rng.uniform(size=count) < LABEL_NOISE
    return noisy, np.flatnonzero((noisy != labels).any(1))


def annotated_rows(seed: int, source: Key, images: int, share: float) -> NDArray[np.bool_]:
    """(N,) bool, the images whose region truth is known.

    A golden-ratio sequence: of any first n images a share within a few of `share` n is annotated, and what is annotated
    at a smaller share stays so at a larger one.
    """
    start = stream(seed, (*source, PATIENT)).uniform()
    return np.asarray((start + np.arange(images) * (np.sqrt(5) - 1) / 2) % 1 < share)
