"""Evidence by pairs (image, class), and the known pairs of a batch of maps."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from raysearch.thresholds._boxes import TruthBoxes, region_boxes
from raysearch.thresholds._evidence import Column, Evidence
from raysearch.thresholds._values import check_regions, check_truth


@dataclass(frozen=True, kw_only=True)
class Pairs(Evidence):
    """Evidence of R known pairs (image, class), in the order of (image, label). UNKNOWN pairs have no row.

    Attributes:
        label: (R,) int32, class index below K.
        present: (R,) bool, whether the pair is PRESENT (else ABSENT).
    """

    columns: ClassVar[dict[str, Column]] = {**Evidence.columns, "label": (np.int32, ()), "present": (np.bool_, ())}
    key: ClassVar[tuple[str, ...]] = ("image", "label")

    label: NDArray[np.int32]
    present: NDArray[np.bool_]

    def check(self) -> None:
        if len(self) and not 0 <= self.label.min() <= self.label.max() < len(self.classes):
            raise ValueError(f"labels of the classes {', '.join(self.classes)} must lie in 0..{len(self.classes) - 1}")


@dataclass(frozen=True)
class MapPairs:
    """The R known pairs of a batch of N images with localization maps; see `known_pairs`.

    Attributes:
        index: the five fields of `Pairs`, to be passed on to an evidence class.
        which: (R,) place in the batch.
        maps: (N, M, H, W) uint8.
        areas: (N, 4) half-open x1, y1, x2, y2: the picture's own pixels, the only ones that count.
        outlines: the boxes of regions that are some.
        regions: (P, H, W) in {0, 1}, of the PRESENT pairs.
        region: (R,) place of each pair in `regions`, or of its image's first one where there is one map an image;
            read where the pair is PRESENT.
        count: (R,) how many of `regions` the pair is compared with, from `region` on.
    """

    index: dict[str, Any]
    which: NDArray[np.int64]
    maps: NDArray[np.uint8]
    areas: NDArray[np.integer[Any]]
    outlines: Outlines
    regions: NDArray[np.uint8]
    region: NDArray[np.int64]
    count: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.which)

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_] | None]]:
        """Map (h, w) uint8 and region (h, w) bool of each pair, cut to the picture's own area; None for the region of
        an ABSENT one."""
        one_map = self.maps.shape[1] == 1
        columns = self.which, self.index["label"], self.index["present"], self.region, self.count
        for n, k, present, first, count in zip(*columns, strict=True):
            x1, y1, x2, y2 = self.areas[n]
            image = self.maps[n, 0 if one_map else k, y1:y2, x1:x2]
            yield image, np.any(self.regions[first : first + count, y1:y2, x1:x2], axis=0) if present else None

    def truth_boxes(self, row: int) -> TruthBoxes:
        """(B, 4) float64 in the cut map of a PRESENT pair: its regions' boxes, and `region_boxes` of what are none."""
        x1, y1, x2, y2 = self.areas[self.which[row]]
        numbers = np.arange(self.region[row], self.region[row] + self.count[row])
        of_pair = np.isin(self.outlines.region, numbers)
        shape = numbers[~np.isin(numbers, self.outlines.region)]
        boxes: TruthBoxes = self.outlines.boxes[of_pair] - np.array([x1, y1, x1, y1])
        if not len(shape):
            return boxes
        return np.concatenate([boxes, region_boxes(np.any(self.regions[shape, y1:y2, x1:x2], axis=0))])


class Outlines(NamedTuple):
    """Regions that are boxes: (B, 4) float64 x1, y1, x2, y2 in pixels, within the picture's area, and the region that
    each belongs to, (B,) ascending."""

    boxes: NDArray[np.float64]
    region: NDArray[np.integer[Any]]


NO_OUTLINES = Outlines(np.empty((0, 4)), np.empty(0, np.int64))


def known_pairs(
    maps: NDArray[np.uint8],
    regions: NDArray[np.uint8],
    truth: NDArray[np.int8],
    rows: ArrayLike,
    patients: ArrayLike,
    classes: Sequence[str],
    *,
    areas: NDArray[np.integer[Any]] | None = None,
    outlines: Outlines = NO_OUTLINES,
) -> MapPairs:
    """The known pairs of N images, as every kind of evidence made from maps takes them.

    Args:
        maps: (N, M, H, W) uint8 of `quantise`. M is K, or 1 for one map of the image's object whatever its class.
            With one map a PRESENT pair is compared with the union of the image's regions, and an ABSENT pair of an
            image that has a PRESENT one makes no row: the map is about the object that is there.
        regions: (P, H, W) uint8 or bool in {0, 1}, of the PRESENT pairs in the order of (image, label).
        truth: (N, K) int8, PRESENT 1, ABSENT 0, UNKNOWN -1.
        rows: (N,) row of each image in the collection.
        patients: (N,) str.
        classes: K names.
        areas: (N, 4) half-open x1, y1, x2, y2, the picture's own pixels in each image; None if these are all. What lies
            outside, the padding of a picture that is not square, enters nothing.
        outlines: of those of `regions` that are boxes. Box metrics compare with these, not with what pixels show.

    Raises:
        ValueError: shapes or types do not fit; a region is of other values than 0 and 1, a truth of others than 1, 0
            and -1, or an area does not lie in the image.
    """
    rows, patients = np.asarray(rows, np.int64), np.asarray(patients, np.str_)
    images, labels = len(rows), len(classes)
    if (
        maps.dtype != np.uint8
        or maps.ndim != 4
        or maps.shape[1] not in (1, labels)
        or truth.shape != (images, labels)
        or regions.shape != (int((truth > 0).sum()), *maps.shape[2:])
        or not len(maps) == len(patients) == images
    ):
        raise ValueError(
            f"expected uint8 maps (N, 1 or K, H, W), truth (N, K), a region (H, W) of each PRESENT pair and N patients,"
            f" for {images} rows and {labels} classes; got {maps.dtype} {maps.shape}, {truth.shape}, {regions.shape}"
            f" and {patients.shape}"
        )
    check_regions(regions)
    check_truth("truth", truth)
    whole = (0, 0, maps.shape[3], maps.shape[2])
    areas = np.tile(whole, (images, 1)) if areas is None else np.asarray(areas)
    if areas.shape != (images, 4) or (areas < 0).any() or (areas[:, 2:] > whole[2:]).any() or _empty(areas).any():
        raise ValueError(f"expected areas (N, 4), half-open x1, y1, x2, y2 in {whole}; got {areas.shape}")
    if len(outlines.boxes) != len(outlines.region) or (len(outlines.region) and max(outlines.region) >= len(regions)):
        raise ValueError(f"expected boxes of the {len(regions)} regions; got {len(outlines.boxes)} of other regions")
    known, present = truth >= 0, truth > 0
    first: NDArray[np.int64] = np.cumsum(present).reshape(truth.shape) - present
    count = np.ones_like(first)
    if maps.shape[1] == 1:
        known &= present | ~present.any(axis=1, keepdims=True)
        first[:], count[:] = first[:, :1], present.sum(axis=1, keepdims=True)
    which, label = np.nonzero(known)
    index = {
        "classes": tuple(classes),
        "image": rows[which],
        "label": label.astype(np.int32),
        "patient": patients[which],
        "present": present[which, label],
    }
    return MapPairs(index, which, maps, areas, outlines, regions, first[which, label], count[which, label])


def _empty(areas: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    return np.asarray((areas[:, :2] >= areas[:, 2:]).any(axis=1))


@dataclass(frozen=True, kw_only=True)
class FromMaps(Pairs, abc.ABC):
    """Evidence that is made from localization maps and regions."""

    @classmethod
    @abc.abstractmethod
    def from_pairs(cls, pairs: MapPairs) -> Self:
        """Of the known pairs of a batch."""

    @classmethod
    def from_maps(
        cls,
        maps: NDArray[np.uint8],
        masks: NDArray[np.uint8],
        truth: NDArray[np.int8],
        rows: ArrayLike,
        patients: ArrayLike,
        classes: Sequence[str],
        *,
        areas: NDArray[np.integer[Any]] | None = None,
        outlines: Outlines = NO_OUTLINES,
    ) -> Self:
        """Of a batch of N images; arguments and errors of `known_pairs`, but for masks (N, K, H, W) uint8 or bool in
        {0, 1}, which are read where `truth` is PRESENT."""
        if masks.ndim != 4 or masks.shape[:2] != np.shape(truth):
            raise ValueError(f"expected masks (N, K, H, W) and truth (N, K); got {masks.shape} and {np.shape(truth)}")
        regions = masks[np.asarray(truth) > 0]
        pairs = known_pairs(maps, regions, truth, rows, patients, classes, areas=areas, outlines=outlines)
        return cls.from_pairs(pairs)
