"""CheXlocalize: radiologists' segmentations of CheXpert's validation and test images.

Saporta et al., Benchmarking saliency methods for chest X-ray interpretation, Nature Machine Intelligence 2022.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch.data._image_file import MAX_PIXELS
from raysearch.data._manifest import Polygons, RunLengths
from raysearch.data._rle import run_lengths
from raysearch.data.kinds._files import absent_folder, similar_folder
from raysearch.data.kinds._names import stem
from raysearch.data.kinds._tables import absent_table
from raysearch.errors import DataError, nearest

PATHOLOGIES = (
    *("Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Lesion", "Airspace Opacity", "Edema", "Consolidation"),
    *("Atelectasis", "Pneumothorax", "Pleural Effusion", "Support Devices"),
)
"""In the order of the released code; Airspace Opacity is CheXpert's Lung Opacity."""

_ALIASES = {"Lung Opacity": "Airspace Opacity"}
_FORMS = ("gt_segmentations", "gt_annotations")
_SIZE = "img_size"
_RELEASE = "CheXlocalize"
_PARTS = {"valid": "val", "test": "test"}


Drawn = dict[str, RunLengths | Polygons | None]
"""Pathology -> what was drawn of it on one image; None if that is not known: it cannot be read, or run lengths, which
name every pathology, leave it out. One without a region is no key."""


def find_annotations(root: Path, parts: Iterable[str]) -> tuple[list[Path], list[tuple[str, bool]]]:
    """Of each part that was annotated, the file that is there: segmentations before the polygons they were made from,
    the release's folder first. And a line for every one that is absent though there are images of its part, with
    whether a file or folder with a similar name may be meant.

    Args:
        root: the folder of the images; CheXlocalize's may lie in it or beside it.
        parts: published parts that there are images of.
    """
    folders = (root, root / _RELEASE, root.parent / _RELEASE, root.parent)
    similar = [absent_folder(place / _RELEASE) for place in (root, root.parent) if similar_folder(place, _RELEASE)]
    found: list[Path] = []
    said: list[tuple[str, bool]] = []
    known = [f"{form}_{part}.json" for form in _FORMS for part in _PARTS]
    for part, file in _PARTS.items():
        names = [folder / f"{form}_{file}.json" for form in _FORMS for folder in folders]
        if there := [path for path in names if path.is_file()]:
            found.append(there[0])
        elif part in parts:
            lines = [absent_table(folder, names[0].name, known) for folder in folders if folder.is_dir()]
            line, is_similar = max(lines, key=lambda each: each[1])
            if similar and not any((place / _RELEASE).is_dir() for place in (root, root.parent)):
                line, is_similar = f"{names[0].name} is absent, and {similar[0]}", True
            said.append((f"CheXlocalize's {line}: where the findings of published {part} are is unknown", is_similar))
    return found, said


def read_annotations(path: Path) -> tuple[dict[str, Drawn], list[str]]:
    """Image id (``patient64541_study1_view1_frontal``) -> what was drawn on it, and problem lines.

    Raises:
        DataError: unreadable, no JSON, or no object of images.
    """
    try:
        content = json.loads(path.read_bytes())  # in any of Unicode's encodings
    except (OSError, ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise DataError(f"annotations {path} cannot be read ({reason}); get the original file again") from None
    if not isinstance(content, dict):
        raise DataError(f"annotations {path} hold no object of images; get the original file again")
    drawn: dict[str, Drawn] = {}
    problems: list[str] = []
    for name, entry in content.items():
        image = stem(name)
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
    if len(points) and (points >= 0).all() and (points <= 1).all():
        raise ValueError("a polygon in shares of the image; expected pixels")
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
