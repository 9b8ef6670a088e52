"""Decodes a manifest into a folder of .npy files, row by row."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch._cgroup import usable_cpus
from raysearch._text import counted
from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN
from raysearch.data._decode import Decoded, decode
from raysearch.data._depth import Depth, find_depth
from raysearch.data._fit import FitMode
from raysearch.data._glance import Looks
from raysearch.data._manifest import ArrayManifest, FileManifest, Manifest, MaskFiles
from raysearch.data._npy import NpyWriter, read_npy
from raysearch.data._thumbnails import SIDE, same_pictures, thumbnail
from raysearch.data._twins import Twins

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""

_CHUNK = 64  # images decoded ahead of the writer, so that memory does not grow with the collection


@dataclass
class Contents:
    """What a manifest holds once its files are read: everything but the pixels. N images, K classes.

    Attributes:
        labels, truth: (N, K) int8, as in `Collection`; a region whose file cannot be read is UNKNOWN.
        mask_row: (N, K) int32.
        areas: (N, 4) int32, as in `Collection`; None if every picture fills its image.
        boxes: (B, 4) float64, and `box_mask` (B,) int32, as in `Collection`.
        shares: foreground share of the picture of each mask, in the masks' order, in [0, 1].
        looks: of the images and the regions, at a glance.
        twins: which images show one picture; None if they were not compared. `patients` are those of `twins`.
        sizes: ``WxH`` of the source files -> how many.
        problems: one line each.
        notes: one line each.
        fingerprint: see `Collection`.
    """

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    patients: NDArray[np.str_]
    official: NDArray[np.str_]
    labels: NDArray[np.int8]
    truth: NDArray[np.int8]
    mask_row: NDArray[np.int32]
    looks: Looks
    areas: NDArray[np.int32] | None = None
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 4)))
    box_mask: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    twins: Twins | None = None
    shares: list[float] = field(default_factory=list)
    sizes: Counter[str] = field(default_factory=Counter)
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprint: str = ""


def write_contents(
    manifest: Manifest,
    size: int,
    mode: FitMode,
    folder: Path,
    progress: Progress | None = None,
    bits: int | None = None,
) -> Contents:
    """Writes ``images.npy`` (N, C, size, size), ``masks.npy`` (M, size, size) and ``thumbnails.npy`` (N, SIDE, SIDE),
    all uint8, and returns the rest.

    If that has problems, the arrays are of no use.

    Raises:
        OSError: the folder cannot be written.
    """
    channels = manifest.channels if isinstance(manifest, FileManifest) else manifest.images.shape[1]
    with (
        NpyWriter(folder / "images.npy", (channels, size, size), np.uint8) as images,
        NpyWriter(folder / "masks.npy", (size, size), np.uint8) as masks,
        NpyWriter(folder / "thumbnails.npy", (SIDE, SIDE), np.uint8) as thumbnails,
    ):
        contents = read_contents(manifest, size, mode, (images, masks, thumbnails), progress, bits)
    contents.fingerprint = _fingerprint(contents, images, masks)
    if not contents.problems:
        picture = same_pictures(read_npy(folder / "thumbnails.npy", mapped=True))
        contents.twins = Twins(named=contents.patients, picture=picture)
        contents.patients = contents.twins.patients
    return contents


def read_contents(
    manifest: Manifest,
    size: int,
    mode: FitMode,
    writers: tuple[NpyWriter, NpyWriter, NpyWriter] | None = None,
    progress: Progress | None = None,
    bits: int | None = None,
) -> Contents:
    """Reads every image and region of a manifest to the end, whatever is wrong with some, and hands the pixels, the
    masks and the thumbnails to the writers.

    Args:
        bits: of the values in 16-bit files; None to find it out.
    """
    contents = Contents(
        manifest.classes,
        manifest.ids,
        manifest.patients,
        manifest.official,
        manifest.labels.astype(np.int8),
        manifest.truth.astype(np.int8),
        np.full(manifest.truth.shape, -1, np.int32),
        Looks.of(len(manifest.ids)),
        notes=manifest.notes,
    )
    problems = list(manifest.problems) if isinstance(manifest, FileManifest) else []
    empty = failed = turned = 0
    areas = np.tile(np.array([0, 0, size, size], np.int32), (len(manifest.ids), 1))
    boxes: list[NDArray[np.float64]] = []
    if isinstance(manifest, FileManifest):
        found = find_depth(manifest.paths, bits)
        problems += [found.problem] if found.problem else []
        contents.notes += (found.note,) if found.note else ()
        rows = _decoded(manifest, size, mode, found.depth)
    else:
        rows = _rendered(manifest)
    for row, decoded in enumerate(rows):
        problems += decoded.problems
        turned += decoded.turned
        areas[row] = areas[row] if decoded.area is None else decoded.area
        if decoded.pixels is not None:
            contents.sizes["x".join(map(str, decoded.source))] += 1
            own = decoded.pixels[(slice(None), *decoded.window)]
            contents.looks.values[row] = own.min(), own.max()
            if writers and decoded.thumbnail is not None:
                writers[0].append(decoded.pixels)
                writers[2].append(decoded.thumbnail)
        for label, mask in decoded.masks.items():
            if not mask.any():
                shown = _is_shown(manifest, row, label)
                contents.truth[row, label] = UNKNOWN if shown else ABSENT
                failed, empty = failed + shown, empty + (not shown)
                continue
            contents.truth[row, label] = PRESENT
            boxes.append(decoded.boxes.get(label, np.empty((0, 4))))
            contents.mask_row[row, label] = len(contents.shares)
            contents.shares.append(decoded.shares[label])
            contents.looks.add_region(mask[decoded.window])
            if writers:
                writers[1].append(mask)
        if progress is not None:
            progress(row + 1, len(manifest.ids))
    contents.areas = areas if (areas != [0, 0, size, size]).any() else None
    if boxes:
        contents.boxes = np.concatenate(boxes)
        contents.box_mask = np.repeat(np.arange(len(boxes), dtype=np.int32), list(map(len, boxes)))
    contents.notes += tuple(_notes(mode, empty=empty, failed=failed, turned=turned))
    contents.problems = tuple(problems)
    return contents


def _notes(mode: FitMode, *, empty: int, failed: int, turned: int) -> Iterator[str]:
    """What was read otherwise than one may expect, a line a kind."""
    nothing = "are empty, or lie in what fit=crop leaves out" if mode == "crop" else "are empty"
    if empty:
        yield f"{empty} masks {nothing}: these regions are absent"
    if failed:
        yield f"{failed} masks {nothing} though the image shows its object: these regions are unknown"
    if turned:
        yield (
            f"{counted(turned, 'image')} turned upright, as the EXIF orientation says: masks and boxes are taken to be"
            " of the upright image"
        )


def _is_shown(manifest: Manifest, row: int, label: int) -> bool:
    region = manifest.regions[row][label] if isinstance(manifest, FileManifest) else None
    return isinstance(region, MaskFiles) and region.shown


def _decoded(manifest: FileManifest, size: int, mode: FitMode, depth: Depth) -> Iterator[Decoded]:
    with ThreadPoolExecutor(min(8, usable_cpus())) as pool:
        for start in range(0, len(manifest.ids), _CHUNK):
            chunk = range(start, min(start + _CHUNK, len(manifest.ids)))
            yield from pool.map(lambda row: decode(manifest, row, size, mode, depth), chunk)


def _rendered(manifest: ArrayManifest) -> Iterator[Decoded]:
    source = (manifest.images.shape[3], manifest.images.shape[2])
    for row, pixels in enumerate(manifest.images):
        masks = {
            int(label): manifest.masks[manifest.mask_row[row, label]]
            for label in np.flatnonzero(manifest.truth[row] == PRESENT)
        }
        shares = {label: float(mask.mean()) for label, mask in masks.items()}
        yield Decoded(pixels, masks, source, shares, (), thumbnail=thumbnail(pixels))


def _fingerprint(contents: Contents, images: NpyWriter, masks: NpyWriter) -> str:
    digest = hashlib.sha256(json.dumps([contents.classes, contents.labels.shape]).encode())
    parts: list[NDArray[Any]] = [contents.labels, contents.truth, contents.mask_row]
    if contents.areas is not None:
        parts.append(contents.areas)
    if len(contents.boxes):
        parts += [contents.boxes, contents.box_mask]
    for part in parts:
        digest.update(part.tobytes())
    for writer in (images, masks):
        digest.update(writer.digest.digest())
    return digest.hexdigest()
