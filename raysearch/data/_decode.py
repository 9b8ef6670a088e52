"""One row of a manifest, read: the picture and its regions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from raysearch.data._depth import Depth
from raysearch.data._fit import FitMode
from raysearch.data._image_file import UnreadableError
from raysearch.data._manifest import Boxes, FileManifest
from raysearch.data._picture import read_image
from raysearch.data._regions import place_boxes, read_region
from raysearch.data._thumbnails import thumbnail


@dataclass(frozen=True)
class Decoded:
    """One row of a manifest, read.

    Attributes:
        pixels: (C, size, size) uint8; None if the image cannot be read.
        masks: class index -> (size, size) uint8; all zero if the region is empty.
        source: (width, height) of the upright picture; (0, 0) if it cannot be read.
        shares: class index -> foreground share of the picture, without the padding, in [0, 1].
        problems: one line each, with the file's name.
        turned: whether the picture is stored in another orientation (EXIF), which was undone.
        area: x1, y1, x2, y2, half-open: the picture's own pixels; None if they are all.
        boxes: class index -> (B, 4) float64, x1, y1, x2, y2 in pixels, of the regions that are boxes.
        thumbnail: see `raysearch.data._thumbnails`; None if the image cannot be read.
    """

    pixels: NDArray[np.uint8] | None
    masks: dict[int, NDArray[np.uint8]]
    source: tuple[int, int]
    shares: dict[int, float]
    problems: tuple[str, ...]
    turned: bool = False
    area: tuple[int, int, int, int] | None = None
    boxes: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    thumbnail: NDArray[np.uint8] | None = None

    @property
    def window(self) -> tuple[slice, slice]:
        """(rows, columns) of `area`."""
        if self.area is None:
            return slice(None), slice(None)
        x1, y1, x2, y2 = self.area
        return slice(y1, y2), slice(x1, x2)


def decode(manifest: FileManifest, row: int, size: int, mode: FitMode, depth: Depth | None = None) -> Decoded:
    """Reads the image and the regions of one row; what cannot be read is told in `problems`.

    Args:
        depth: of the collection, see `raysearch.data._depth.find_depth`.
    """
    try:
        pixels, fit, turned, _ = read_image(manifest.paths[row], size, manifest.channels, mode, depth)
    except UnreadableError as error:
        return Decoded(None, {}, (0, 0), {}, (f"{manifest.ids[row]}: {error}",))
    masks: dict[int, NDArray[np.uint8]] = {}
    shares: dict[int, float] = {}
    boxes: dict[int, NDArray[np.float64]] = {}
    problems = []
    for label, region in manifest.regions.get(row, {}).items():
        try:
            masks[label] = read_region(region, fit)
            shares[label] = float(masks[label][fit.window].mean())
            if isinstance(region, Boxes):
                boxes[label] = place_boxes(region, fit)
        except UnreadableError as error:
            problems.append(f"{manifest.ids[row]}: {error}")
    area = None if fit.area == (0, 0, size, size) else fit.area
    small = thumbnail(pixels[(slice(None), *fit.window)])
    return Decoded(pixels, masks, fit.source, shares, tuple(problems), turned, area, boxes, small)
