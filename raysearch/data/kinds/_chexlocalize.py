"""CheXlocalize: radiologists' segmentations of CheXpert's validation and test images.

Saporta et al., Benchmarking saliency methods for chest X-ray interpretation, Nature Machine Intelligence 2022.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch.data._image_file import MAX_PIXELS
from raysearch.data._manifest import Polygons, RunLengths
from raysearch.data._rle import run_lengths
from raysearch.errors import DataError, nearest

PATHOLOGIES = (
    *("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Lesion", "Airspace Opacity", "Edema", "Consolidation"),
    *("Atelectasis", "Pneumothorax", "Pleural Effusion", "Support Devices"),
)
"""In the order of the released code; Airspace Opacity is CheXpert's Lung Opacity."""

_ALIASES = {"Lung Opacity": "Airspace Opacity"}
_FORMS = ("gt_segmentations", "gt_annotations")
_SIZE = "img_size"


Drawn = dict[str, RunLengths | Polygons | None]
"""Pathology -> what was drawn of it on one image; None if that is not known: it cannot be read, or run lengths, which
name every pathology, leave it out. One without a region is no key."""


def annotation_files(folders: Sequence[Path]) -> list[Path]:
    """Of each part that was annotated, the file that is there: segmentations before the polygons they were made from,
    earlier folders first."""
    found = []
    for part in ("val", "test"):
        names = [folder / f"{form}_{part}.json" for form in _FORMS for folder in folders]
        found += [path for path in names if path.is_file()][:1]
    return found


def read_annotations(path: Path) -> tuple[dict[str, Drawn], list[str]]:
    """Image id (``patient64541_study1_view1_frontal``) -> what was drawn on it, and problem lines.

    Raises:
        DataError: unreadable, no JSON, or no object of images.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise DataError(f"annotations {path} cannot be read ({reason}); get the original file again") from None
    if not isinstance(content, dict):
        raise DataError(f"annotations {path} hold no object of images; get the original file again")
    drawn: dict[str, Drawn] = {}
    problems: list[str] = []
    for image, entry in content.items():
        drawn[image] = {}
        lines = ["no object of pathologies in " + path.name]
        if isinstance(entry, dict):
            lines = _read_image(entry, path.name, drawn[image])
        problems += [" ".join(f"{image}: {line}".split()) for line in lines]
    return drawn, problems


def _read_image(entry: Mapping[str, Any], table: str, drawn: Drawn) -> list[str]:
    problems = []
    for name, value in entry.items():
        pathology = _ALIASES.get(name, name)
        if name == _SIZE:
            continue
        if pathology not in PATHOLOGIES:
            problems.append(f"unknown pathology '{name}' in {table}; {nearest(name, PATHOLOGIES)}")
            continue
        try:
            polygons = isinstance(value, list)
            region = _polygons(value, entry.get(_SIZE), table) if polygons else _run_lengths(value, table)
        except ValueError as error:
            drawn[pathology] = None
            problems.append(f"{pathology} in {table}: {error}")
            continue
        if region is not None:
            drawn[pathology] = region
    if any(isinstance(value, dict) for value in entry.values()):
        named = {_ALIASES.get(name, name) for name in entry}
        drawn |= dict.fromkeys(pathology for pathology in PATHOLOGIES if pathology not in named)
    return problems


def _run_lengths(value: object, table: str) -> RunLengths | None:
    if not isinstance(value, dict) or not isinstance(value.get("counts"), str):
        raise ValueError("expected an object with size and counts, or a list of polygons")
    width, height = _frame(value.get("size"))
    runs = run_lengths(value["counts"], width * height)
    return RunLengths((value["counts"],), (width, height), table) if runs[1::2].any() else None


def _polygons(value: list[object], size: object, table: str) -> Polygons | None:
    frame = _frame(size)
    polygons = tuple(_points(polygon, frame) for polygon in value)
    return Polygons(polygons, frame, table) if polygons else None


def _points(polygon: object, frame: tuple[int, int]) -> NDArray[np.float64]:
    try:
        points = np.asarray(polygon, np.float64)
    except (TypeError, ValueError, OverflowError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2 or not np.isfinite(points).all():
        raise ValueError("a polygon that is no list of at least two points [x, y]")
    if (points < np.negative(frame)).any() or (points > np.multiply(frame, 2)).any():
        raise ValueError(f"a polygon far outside the image of {frame[0]}x{frame[1]}")
    return points


def _frame(size: object) -> tuple[int, int]:
    """(width, height) of a size, which is written [height, width]."""
    whole = isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size)
    if not whole or not isinstance(size, list):
        raise ValueError(f"the size {size!r:.40}, expected [height, width] in pixels")
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"oversized: {size[1]}x{size[0]}, at most {MAX_PIXELS:,} pixels are read")
    return size[1], size[0]
