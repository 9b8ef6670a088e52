"""What a kind of data hands to the cache: images that are already arrays, or records of files on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch._text import counted
from raysearch.errors import DataError
from raysearch.thresholds._values import check_regions, check_truth

_NO_TEXT = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, kw_only=True)
class ArrayManifest:
    """Images that a kind computes. N images, K classes, M region masks; the fields mean what `Collection` says.

    Attributes:
        classes: K names.
        ids: N names, unique.
        patients: (N,) str.
        images: (N, C, H, W) uint8, C is 1 or 3.
        labels: (N, K) int8 in {1, 0, -1}.
        truth: (N, K) int8 in {1, 0, -1}.
        mask_row: (N, K) int32, row of `masks` where `truth` is 1, -1 elsewhere.
        masks: (M, H, W) uint8 in {0, 1}.
        official: (N,) str, ``train``, ``test`` or empty.
        notes: what was left out or changed, one line each.

    Raises:
        DataError: arrays of other shapes, types or values.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    patients: NDArray[np.str_]
    images: NDArray[np.uint8]
    labels: NDArray[np.int8]
    truth: NDArray[np.int8]
    mask_row: NDArray[np.int32]
    masks: NDArray[np.uint8]
    official: NDArray[np.str_]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            self._check()
        except ValueError as error:
            raise DataError(f"arrays of {len(self.ids)} images cannot be used: {error}") from None

    def _check(self) -> None:
        images, pairs, size = len(self.ids), (len(self.ids), len(self.classes)), self.images.shape[2:]
        if len(set(self.ids)) < images:
            raise ValueError("an image's name is there twice; give each one its own")
        if self.images.dtype != np.uint8 or self.images.shape not in [(images, channels, *size) for channels in (1, 3)]:
            raise ValueError(f"images must be uint8 (N, 1 or 3, H, W), found {_type(self.images)}")
        if self.masks.dtype != np.uint8 or self.masks.shape != (len(self.masks), *size):
            raise ValueError(f"masks must be uint8 (M, {size[0]}, {size[1]}), found {_type(self.masks)}")
        for name in ("labels", "truth", "mask_row"):
            values = getattr(self, name)
            if values.shape != pairs or not np.issubdtype(values.dtype, np.integer):
                raise ValueError(f"{name} must be whole numbers of shape {pairs}, found {_type(values)}")
        for name in ("patients", "official"):
            values = getattr(self, name)
            if values.shape != (images,) or not np.issubdtype(values.dtype, np.str_):
                raise ValueError(f"{name} must be text of shape ({images},), found {_type(values)}")
        check_truth("labels", self.labels)
        check_truth("truth", self.truth)
        check_regions(self.masks)
        known = self.mask_row >= 0
        if (known != (self.truth == 1)).any() or self.mask_row.max(initial=-1) >= len(self.masks):
            raise ValueError(
                f"mask_row must name one of the {len(self.masks)} masks where truth is 1, and be -1 elsewhere"
            )


def _type(values: NDArray[Any]) -> str:
    return f"{values.dtype} {values.shape}"


@dataclass(frozen=True)
class Boxes:
    """Region truth drawn as boxes; several boxes are one region, their union.

    Attributes:
        boxes: (B, 4) float64, left, top, width, height in pixels of the frame.
        frame: (width, height) of the picture that the boxes were drawn on; None for the image as it is in its file.
    """

    boxes: NDArray[np.float64]
    frame: tuple[int, int] | None


@dataclass(frozen=True)
class Brighter:
    """What is brighter than `level`, 0 to 255; palettes are looked up. A file of zeros and ones is not read."""

    level: int


@dataclass(frozen=True)
class Values:
    """What has one of these values; of a palette image, one of these indices.

    Attributes:
        known: all values that a file may have; one with another value is not read.
    """

    values: tuple[int, ...]
    known: tuple[int, ...]


@dataclass(frozen=True)
class OtherColour:
    """What has another colour than the background. JPEG data will do: a colour that differs by at most `tolerance` in
    every channel is still the background's."""

    colour: tuple[int, int, int]
    tolerance: int


Foreground = Brighter | Values | OtherColour


@dataclass(frozen=True)
class MaskFiles:
    """Region truth in mask files, several files are one region, their union. A region that turns out to be empty is
    ABSENT, or UNKNOWN if it is `shown`.

    Attributes:
        foreground: what of a file is the region; None for black and white, and for numbers of regions, see
            `raysearch.data._mask_levels`. Masks that are drawn into the alpha channel alone are read there.
        shown: whether the image is sure to show the region: an empty mask says nothing of where it is then.
    """

    paths: tuple[Path, ...]
    foreground: Foreground | None = None
    shown: bool = False


@dataclass(frozen=True)
class RunLengths:
    """Region truth as run lengths, several are one region, their union.

    Attributes:
        runs: in COCO's compressed form, see `raysearch.data._rle`; each fills the frame.
        frame: (width, height) of the picture that they were made from.
        table: name of the file that they come from.
    """

    runs: tuple[str, ...]
    frame: tuple[int, int]
    table: str


@dataclass(frozen=True)
class Polygons:
    """Region truth as polygons, several are one region, their union; the outline belongs to it.

    Attributes:
        polygons: (P, 2) float64 each, x and y in pixels of the frame, P at least 2.
        frame, table: as in `RunLengths`.
    """

    polygons: tuple[NDArray[np.float64], ...]
    frame: tuple[int, int]
    table: str


Region = Boxes | MaskFiles | RunLengths | Polygons


@dataclass(frozen=True, kw_only=True)
class FileManifest:
    """Images in files, not read yet. N images, K classes.

    Attributes:
        root: the folder that was asked for.
        channels: 1 (read as gray) or 3 (read as RGB).
        classes: K names.
        ids: N names, unique.
        paths: N image files.
        patients: (N,) str.
        labels: (N, K) int8 in {1, 0, -1}.
        truth: (N, K) int8, 0 or -1; pairs with a region become 1, or 0 if the region is empty.
        regions: row -> class index -> region.
        official: (N,) str, ``train``, ``valid``, ``test`` or empty.
        tables: the files that all of this was read from.
        problems: what is wrong in the tables or absent on disk, one line each; no collection is made of these.
        notes: what was left out or changed on purpose, one line each.

    Raises:
        DataError: names of images that are not text, and so cannot be recorded.
    """

    root: Path
    channels: int
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    paths: tuple[Path, ...]
    patients: NDArray[np.str_]
    labels: NDArray[np.int8]
    truth: NDArray[np.int8]
    regions: Mapping[int, Mapping[int, Region]]
    official: NDArray[np.str_]
    tables: tuple[Path, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        odd = sorted(path.name for path in self.paths if not _is_text(str(path.relative_to(self.root))))
        odd = odd or [str(name) for name in (*self.ids, *self.patients) if not _is_text(str(name))]
        if odd:
            raise DataError(
                f"{self.root}: the names of {counted(len(odd), 'image')} are not UTF-8, '{odd[0]}' for one; rename them"
            )


def _is_text(name: str) -> bool:
    """Whether no byte of it is one that Python keeps because it is no text."""
    return _NO_TEXT.search(name) is None


Manifest = ArrayManifest | FileManifest
