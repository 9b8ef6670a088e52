"""Regions from files, run lengths, polygons and boxes onto the canvas of their picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from raysearch.data._box_check import is_rescale, refuse_misplaced
from raysearch.data._fit import Fit
from raysearch.data._image_file import UnreadableError
from raysearch.data._manifest import Boxes, Foreground, MaskFiles, Polygons, Region, RunLengths
from raysearch.data._mask_file import read_foreground
from raysearch.data._rle import fill_runs

_ROUNDING = 1e-6
"""A float32 mean of ones and zeros that is exactly a half may come out a hair below it."""


def read_region(region: Region, fit: Fit) -> NDArray[np.uint8]:
    """A region as (size, size) uint8 in {0, 1}; all zero only if it is empty.

    Raises:
        UnreadableError: a mask that cannot be read or is of another shape than its picture, and a box that is not in
            the picture; begins with its name.
    """
    if isinstance(region, Boxes):
        refuse_misplaced(region, fit.source)
        return draw_boxes(region, fit)
    if isinstance(region, MaskFiles):
        return read_mask(region.paths, fit, region.foreground, region.shown)
    mask = _fill_runs(region) if isinstance(region, RunLengths) else _fill_polygons(region)
    try:
        return place_mask(_at_source(mask, fit), fit)
    except UnreadableError as error:
        raise UnreadableError(f"mask in {region.table}: {error}") from None


def read_mask(
    paths: Sequence[Path], fit: Fit, foreground: Foreground | None = None, shown: bool = False
) -> NDArray[np.uint8]:
    """Union of mask files as (size, size) uint8 in {0, 1}; see `place_mask` and `MaskFiles`. All zero if one of them is
    empty though its object is shown: the union of the others is not all of the region.

    Raises:
        UnreadableError: as for images, or a mask whose aspect ratio differs from the image's by more than a pixel; the
            message begins with the mask's name.
    """
    union = np.zeros((fit.source[1], fit.source[0]), bool)
    for path in paths:
        try:
            part = _at_source(read_foreground(path, foreground), fit)
        except UnreadableError as error:
            raise UnreadableError(f"mask {path.parent.name}/{path.name}: {error}") from None
        if shown and not part.any():
            return np.zeros((fit.size, fit.size), np.uint8)
        union |= part
    return place_mask(union, fit)


def place_mask(mask: NDArray[np.bool_], fit: Fit) -> NDArray[np.uint8]:
    """A mask (height, width) of the picture as (size, size) uint8 in {0, 1}: pixels at least half covered.

    Where no pixel is half covered (a line thinner than half a pixel), those at least half as covered as the most
    covered one, so that a region never vanishes.
    """
    if not mask.any():
        return np.zeros((fit.size, fit.size), np.uint8)
    area = np.asarray(fit.resized(Image.fromarray(mask.astype(np.float32)), Image.Resampling.BOX))
    if not area.any():
        return np.zeros((fit.size, fit.size), np.uint8)  # it lies in what a crop leaves out
    half = 0.5 if area.max() >= 0.5 - _ROUNDING else area.max() / 2
    return _on_canvas(area >= half - _ROUNDING, fit)


def _fill_runs(region: RunLengths) -> NDArray[np.bool_]:
    width, height = region.frame
    return np.asarray(np.logical_or.reduce([fill_runs(runs, height, width) for runs in region.runs]))


def _fill_polygons(region: Polygons) -> NDArray[np.bool_]:
    canvas = Image.new("L", region.frame)
    for points in region.polygons:
        ImageDraw.Draw(canvas).polygon([(x, y) for x, y in points.tolist()], fill=1, outline=1)
    return np.asarray(canvas) > 0


def _at_source(mask: NDArray[np.bool_], fit: Fit) -> NDArray[np.bool_]:
    """A mask at the size of its picture."""
    width, height = fit.source
    if not is_rescale((mask.shape[1], mask.shape[0]), fit.source):
        turned = mask.shape == (width, height)
        raise UnreadableError(
            f"{mask.shape[1]}x{mask.shape[0]} does not fit the image of {width}x{height}; expected the same size or an"
            f" exact rescale{', upright as viewers show the image (EXIF orientation)' if turned else ''}"
        )
    if mask.shape == (height, width):
        return mask
    resized = Image.fromarray(mask.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized) > 0


def draw_boxes(region: Boxes, fit: Fit) -> NDArray[np.uint8]:
    """Union of boxes as (size, size) uint8 in {0, 1}: pixels whose centre is inside a half-open box, at least the one
    that holds the box's centre. Boxes are clipped to the picture; all zero if none is in what a crop leaves of it."""
    mask = np.zeros((fit.size, fit.size), np.uint8)
    for x1, y1, x2, y2 in place_boxes(region, fit):
        rows, columns = (_covered(*span, window) for span, window in zip(((y1, y2), (x1, x2)), fit.window, strict=True))
        mask[rows, columns] = 1
    return mask


def place_boxes(region: Boxes, fit: Fit) -> NDArray[np.float64]:
    """(B, 4) x1, y1, x2, y2 in pixels of the canvas, clipped to the picture; without those that a crop leaves out."""
    frame = region.frame or fit.source
    corners = np.hstack([region.boxes[:, :2], region.boxes[:, :2] + region.boxes[:, 2:]])
    placed = fit.to_canvas(corners.reshape(-1, 2), frame).reshape(-1, 4)
    x1, y1, x2, y2 = fit.area
    placed = placed.clip((x1, y1, x1, y1), (x2, y2, x2, y2))
    return placed[(placed[:, 0] < placed[:, 2]) & (placed[:, 1] < placed[:, 3])]


def _covered(start: float, stop: float, window: slice) -> slice:
    first, last = int(np.ceil(start - 0.5)), int(np.ceil(stop - 0.5))
    if last <= first:
        first = int(np.floor((start + stop) / 2))
        last = first + 1
    return slice(min(max(first, window.start), window.stop - 1), max(min(last, window.stop), window.start + 1))


def _on_canvas(mask: NDArray[np.bool_], fit: Fit) -> NDArray[np.uint8]:
    canvas = np.zeros((fit.size, fit.size), np.uint8)
    canvas[fit.window] = mask
    return canvas
