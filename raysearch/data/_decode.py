"""One row of a manifest, read: the picture and its regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raysearch.data._manifest import FileManifest
from raysearch.data._picture import UnreadableError, read_image
from raysearch.data._regions import read_region
from raysearch.data._thumbnails import thumbnail


@dataclass(frozen=True)
class Decoded:
    """One row of a manifest, read.

    Attributes:
        pixels: (C, size, size) uint8; None if the image cannot be read.
        masks: class index -> (size, size) uint8; all zero if the region is empty.
        source: (width, height) of the file; (0, 0) if it cannot be read.
        shares: class index -> foreground share of the picture, without the padding, in [0, 1].
        problems: one line each, with the file's name.
        window: (rows, columns) of the picture on the canvas.
        thumbnail: see `raysearch.data._thumbnails`; None if the image cannot be read.
    """

    pixels: NDArray[np.uint8] | None
    masks: dict[int, NDArray[np.uint8]]
    source: tuple[int, int]
    shares: dict[int, float]
    problems: tuple[str, ...]
    window: tuple[slice, slice] = (slice(None), slice(None))
    thumbnail: NDArray[np.uint8] | None = None


def decode(manifest: FileManifest, row: int, size: int) -> Decoded:
    """Reads the image and the regions of one row; what cannot be read is told in `problems`."""
    try:
        pixels, fit = read_image(manifest.paths[row], size, manifest.channels)
    except UnreadableError as error:
        return Decoded(None, {}, (0, 0), {}, (f"{manifest.ids[row]}: {error}",))
    masks: dict[int, NDArray[np.uint8]] = {}
    shares: dict[int, float] = {}
    problems = []
    for label, region in manifest.regions.get(row, {}).items():
        try:
            masks[label] = read_region(region, fit)
            shares[label] = float(masks[label][fit.window].mean())
        except UnreadableError as error:
            problems.append(f"{manifest.ids[row]}: {error}")
    small = thumbnail(pixels[(slice(None), *fit.window)])
    return Decoded(pixels, masks, fit.source, shares, tuple(problems), fit.window, small)
