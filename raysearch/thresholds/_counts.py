"""Evidence of kind ``counts``: histograms of the map inside and outside the region, of every known pair."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raysearch.thresholds._quantise import BINS


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Histograms of R known pairs: enough for every pixel metric at every threshold, 2 KiB a pair before compression.

    Rows are in the order of (image, label) whatever the order in which they were made, so that results do not depend
    on batches or workers. Evidence of two parts adds up: `merge`.

    Attributes:
        classes: K names.
        foreground: (R, 256) uint32, pixels inside the region by quantised map value; all zero for ABSENT pairs.
        background: (R, 256) uint32, pixels outside it.
        image: (R,) int64, row in the collection.
        label: (R,) int32, class index below K.
        patient: (R,) str.
        present: (R,) bool, whether the pair is PRESENT (else ABSENT). UNKNOWN pairs have no row.
    """

    classes: tuple[str, ...]
    foreground: NDArray[np.uint32]
    background: NDArray[np.uint32]
    image: NDArray[np.int64]
    label: NDArray[np.int32]
    patient: NDArray[np.str_]
    present: NDArray[np.bool_]

    def __post_init__(self) -> None:
        rows = len(self.image)
        for name, dtype, shape in _LAYOUT:
            array = getattr(self, name)
            if array.shape != (rows, *shape) or not np.issubdtype(array.dtype, dtype):
                expected = f"{np.dtype(dtype).name} {(rows, *shape)}" if dtype is not np.str_ else f"str {(rows,)}"
                raise ValueError(f"{name} of {rows} pairs must be {expected}, got {array.dtype} {array.shape}")
        if rows and not 0 <= self.label.min() <= self.label.max() < len(self.classes):
            raise ValueError(f"labels of the classes {', '.join(self.classes)} must lie in 0..{len(self.classes) - 1}")
        if self.foreground[~self.present].any():
            raise ValueError("an absent pair has no foreground, but foreground was counted for one")
        order = np.lexsort((self.label, self.image))
        image, label = self.image[order], self.label[order]
        if ((image[1:] == image[:-1]) & (label[1:] == label[:-1])).any():
            raise ValueError("a pair (image, class) is counted twice")
        if (order != np.arange(rows)).any():
            for name, _, _ in _LAYOUT:
                object.__setattr__(self, name, getattr(self, name)[order])

    def __len__(self) -> int:
        return len(self.image)

    @classmethod
    def from_maps(
        cls,
        maps: NDArray[np.uint8],
        masks: NDArray[np.uint8],
        truth: NDArray[np.int8],
        rows: ArrayLike,
        patients: ArrayLike,
        classes: Sequence[str],
    ) -> Counts:
        """Counts N images.

        Args:
            maps: (N, M, H, W) uint8 of `quantise`. M is K, or 1 for one map of the image's object whatever its class.
                With one map a PRESENT pair is compared with the union of the image's regions, and an ABSENT pair of
                an image that has a PRESENT one makes no row: the map is about the object that is there.
            masks: (N, K, H, W) uint8 or bool in {0, 1}; read where `truth` is PRESENT.
            truth: (N, K) int8, PRESENT 1, ABSENT 0, UNKNOWN -1.
            rows: (N,) row of each image in the collection.
            patients: (N,) str.
            classes: K names.

        Raises:
            ValueError: shapes or types do not fit.
        """
        rows, patients = np.asarray(rows, np.int64), np.asarray(patients, np.str_)
        images, labels = len(rows), len(classes)
        if (
            maps.dtype != np.uint8
            or maps.ndim != 4
            or maps.shape[1] not in (1, labels)
            or masks.shape != (images, labels, *maps.shape[2:])
            or truth.shape != (images, labels)
            or not len(maps) == len(patients) == images
        ):
            raise ValueError(
                f"expected uint8 maps (N, 1 or K, H, W), masks (N, K, H, W), truth (N, K) and N patients of "
                f"{images} rows and {labels} classes; got {maps.dtype} {maps.shape}, {masks.shape}, {truth.shape} and "
                f"{patients.shape}"
            )
        known, present = truth >= 0, truth > 0
        one_map = maps.shape[1] == 1 and labels > 1
        if one_map:
            known &= present | ~present.any(axis=1, keepdims=True)
        which, label = np.nonzero(known)
        histograms = np.zeros((len(which), 2, BINS), np.uint32)
        for out, n, k in zip(histograms, which, label, strict=True):
            if not present[n, k]:
                out[0] = np.bincount(maps[n, k % maps.shape[1]].ravel(), minlength=BINS)
                continue
            region = masks[n, present[n]].any(axis=0) if one_map else masks[n, k] != 0
            # both histograms in one pass over the pixels
            codes = maps[n, k % maps.shape[1]] | (region.astype(np.uint16) << 8)
            out[:] = np.bincount(codes.ravel(), minlength=2 * BINS).reshape(2, BINS)
        return cls(
            classes=tuple(classes),
            foreground=histograms[:, 1],
            background=histograms[:, 0],
            image=rows[which],
            label=label.astype(np.int32),
            patient=patients[which],
            present=present[which, label],
        )

    @classmethod
    def merge(cls, parts: Iterable[Counts]) -> Counts:
        """All pairs of several parts (batches, workers); ValueError if one pair is in two of them or K differs."""
        parts = list(parts)
        if len({part.classes for part in parts}) != 1:
            raise ValueError(f"parts must have the same classes, got {[part.classes for part in parts]}")
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name, _, _ in _LAYOUT}
        return cls(classes=parts[0].classes, **arrays)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Counts:
        """The pairs at `rows`, a mask or indices of rows."""
        return Counts(classes=self.classes, **{name: getattr(self, name)[rows] for name, _, _ in _LAYOUT})


_LAYOUT: tuple[tuple[str, type[np.generic], tuple[int, ...]], ...] = (
    ("foreground", np.uint32, (BINS,)),
    ("background", np.uint32, (BINS,)),
    ("image", np.int64, ()),
    ("label", np.int32, ()),
    ("patient", np.str_, ()),
    ("present", np.bool_, ()),
)
assert {name for name, _, _ in _LAYOUT} | {"classes"} == {field.name for field in fields(Counts)}


@dataclass(frozen=True)
class Confusion:
    """Pixel counts (R, L) int64 of R pairs at L levels: true/false positives and negatives."""

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    tn: NDArray[np.int64]

    def __getitem__(self, index: object) -> Confusion:
        """The same numpy index into all four."""
        return Confusion(*(getattr(self, field.name)[index] for field in fields(self)))


def confusion(counts: Counts) -> Confusion:
    """Confusion at all 257 levels, (R, 257) each: what `binarise` at that level would count, pixel for pixel."""
    tp, fp = (_at_least(histogram) for histogram in (counts.foreground, counts.background))
    return Confusion(tp, fp, tp[:, :1] - tp, fp[:, :1] - fp)


def _at_least(histogram: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(R, 256) -> (R, 257): how many pixels have at least each value; none has 256."""
    out = np.zeros((len(histogram), BINS + 1), np.int64)
    np.cumsum(histogram[:, ::-1], axis=1, out=out[:, BINS - 1 :: -1])
    return out
