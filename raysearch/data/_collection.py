"""A collection: images at one size, with labels and region truth, decoded once and memory-mapped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raysearch.data._twins import Twins
from raysearch.thresholds._values import check_truth

View = Literal["single", "multi"]

PRESENT, ABSENT, UNKNOWN = 1, 0, -1
"""Truth of a pair (image, class). Not annotated is *unknown*, never empty."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """N images, K classes, M region masks.

    Attributes:
        source: canonical spelling of what was asked, e.g. ``phantom:images=400,size=64``.
        view: ``single`` (each image holds exactly one class; `labels` has one PRESENT a row, or is all
            UNKNOWN for an unlabelled image) or ``multi``.
        classes: K names.
        image_ids: N names, unique (file names for files).
        patients: (N,) str; images of one patient never fall in different parts of a split. Patients who share a picture
            are one, see `twins`.
        images: (N, C, H, W) uint8, memory-mapped, C is 1 or 3.
        labels: (N, K) int8, image-level label PRESENT / ABSENT / UNKNOWN.
        truth: (N, K) int8, *region* truth: PRESENT means a mask is known and not empty, ABSENT that the class is
            known to have no region in this image, UNKNOWN that nobody annotated it.
        mask_row: (N, K) int32, row of `masks` for PRESENT pairs, -1 elsewhere.
        masks: (M, H, W) uint8 in {0, 1}, memory-mapped.
        official: (N,) str, the published part: ``train``, ``valid``, ``test`` or empty where none is published.
        fingerprint: hex digest of pixels, labels, truth and masks: the same data has the same fingerprint anywhere.
        folder: the cache folder that `load_collection` opens again in another process; empty if there is none.
        areas: (N, 4) int32, x1, y1, x2, y2, half-open: the pixels of the picture itself; around it lies padding, which
            no metric counts. None if every picture fills its image.
        boxes: (B, 4) float64, x1, y1, x2, y2 in pixels, within the areas: the outlines of the regions that are boxes.
        box_mask: (B,) int32, the row of `masks` that each of these belongs to, ascending.
        notes: what was left out or changed on the way in, one line each; nothing is dropped in silence.
        twins: which images show one picture, and the patients by name; None where they were not compared.
        sources: names of the sources that were joined (see `raysearch.data.join`); empty where there is one alone.
        source_classes: by class, the index of its source in `sources`; empty where there is one alone.
        source_images: how many images each source has; they lie one after the other. Empty where there is one alone.
        parts: the sources as they are by themselves; empty where there is one alone, and in what `guard` returns.

    Raises:
        ValueError: labels or truth of other values; in the single view, an image of several classes or of none.
    """

    source: str
    view: View
    classes: tuple[str, ...]
    image_ids: tuple[str, ...]
    patients: NDArray[np.str_]
    images: NDArray[np.uint8]
    labels: NDArray[np.int8]
    truth: NDArray[np.int8]
    mask_row: NDArray[np.int32]
    masks: NDArray[np.uint8]
    official: NDArray[np.str_]
    fingerprint: str
    folder: str
    areas: NDArray[np.int32] | None = None
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 4)))
    box_mask: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    notes: tuple[str, ...] = ()
    twins: Twins | None = None
    sources: tuple[str, ...] = ()
    source_classes: tuple[int, ...] = ()
    source_images: tuple[int, ...] = ()
    parts: tuple[Collection, ...] = ()

    def __post_init__(self) -> None:
        check_truth(f"labels of {self.source}", self.labels)
        check_truth(f"region truth of {self.source}", self.truth)
        known = (self.labels != UNKNOWN).any(axis=1)
        if self.view == "single" and (wrong := known & ((self.labels == PRESENT).sum(axis=1) != 1)).any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"image {self.image_ids[row]} of {self.source} has labels {self.labels[row].tolist()}: in the single"
                " view an image is of one class, or all of its labels are -1"
            )

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def named_patients(self) -> NDArray[np.str_]:
        """(N,) str, as the data names them."""
        return self.patients if self.twins is None else self.twins.named

    @property
    def channels(self) -> int:
        return int(self.images.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return int(self.images.shape[2]), int(self.images.shape[3])

    @property
    def source_of(self) -> NDArray[np.int8]:
        """(N,) index of each image's source in `sources`; 0 where there is one alone."""
        counts = self.source_images or (len(self),)
        return np.repeat(np.arange(len(counts), dtype=np.int8), counts)

    def of_source(self, rows: NDArray[np.int64], name: str) -> NDArray[np.bool_]:
        """Which of `rows` are of a source: all of them where there is one alone."""
        if not self.sources:
            return np.ones(len(rows), bool)
        return np.asarray(self.source_of[rows] == self.sources.index(name))

    def areas_of(self, rows: NDArray[np.int64]) -> NDArray[np.int32] | None:
        """`areas` of n rows, (n, 4); None if all of these fill their images."""
        height, width = self.size
        areas = None if self.areas is None else self.areas[rows]
        return None if areas is None or (areas == [0, 0, width, height]).all() else areas

    def inside(self, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """(n, H, W), the pixels of the picture itself in each of n rows; None if they are all."""
        areas = self.areas_of(rows)
        if areas is None:
            return None
        x1, y1, x2, y2 = areas.T[:, :, None]
        y, x = np.arange(self.size[0]), np.arange(self.size[1])
        return np.asarray(((y1 <= y) & (y < y2))[:, :, None] & ((x1 <= x) & (x < x2))[:, None, :])

    def boxes_of(self, masks: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The boxes (b, 4) of some rows of `masks`, and which of these rows each belongs to, (b,) ascending."""
        first, end = np.searchsorted(self.box_mask, masks), np.searchsorted(self.box_mask, masks, side="right")
        owner = np.repeat(np.arange(len(masks)), end - first)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(end - first) - (end - first), end - first)
        return self.boxes[np.repeat(first, end - first) + place], owner

    def mask(self, image: int, label: int) -> NDArray[np.uint8]:
        """Region mask (H, W) of a pair that is PRESENT (the mask) or ABSENT (zeros); ValueError for UNKNOWN."""
        if self.truth[image, label] == UNKNOWN:
            raise ValueError(f"region truth of image {self.image_ids[image]}, class {self.classes[label]} is unknown")
        row = self.mask_row[image, label]
        return self.masks[row] if row >= 0 else np.zeros(self.size, np.uint8)
