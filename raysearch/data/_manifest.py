"""What a kind of data hands to the cache: images that are already arrays, or records of files on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


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


Manifest = ArrayManifest | FileManifest
