"""What CheXlocalize drew, as region truth of the classes of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN
from raysearch.data._manifest import Polygons, Region, RunLengths
from raysearch.data.kinds._chexlocalize import Drawn


class Placed(NamedTuple):
    """`truth` (N, K) int8 and `regions` as in `FileManifest`, problem and note lines."""

    truth: NDArray[np.int8]
    regions: dict[int, dict[int, Region]]
    problems: list[str]
    notes: list[str]


def place_regions(
    images: Sequence[str],
    drawn: Mapping[str, Drawn],
    labels: NDArray[np.int8],
    truth: NDArray[np.int8],
    members: Mapping[int, tuple[str, ...]],
) -> Placed:
    """Region truth of images that were annotated in full; that of the others stays.

    A class has the union of what was drawn of its members, and is UNKNOWN if it is not known of one. Without any it is
    ABSENT, unless the image is labelled with it; a region of a class that the image is labelled not to have is left
    out. Both contradictions are UNKNOWN.

    Args:
        images: N names, as in `drawn`.
        labels, truth: (N, K) int8, before anything was drawn.
        members: class index -> pathologies.
    """
    placed = Placed(truth.copy(), {}, [], [])
    missing = contrary = unnamed = 0
    for row, image in enumerate(images):
        if image not in drawn:
            continue
        for label, pathologies in members.items():
            found = [drawn[image][name] for name in pathologies if name in drawn[image]]
            placed.truth[row, label] = UNKNOWN
            if not found and labels[row, label] != PRESENT:
                placed.truth[row, label] = ABSENT
            elif not found:
                missing += 1
            elif labels[row, label] == ABSENT and not any(found):
                placed.truth[row, label] = ABSENT  # the label alone speaks
            elif labels[row, label] == ABSENT:
                contrary += 1
            elif None in found:
                unnamed += 1
            elif region := _union([part for part in found if part is not None], image, placed.problems):
                placed.regions.setdefault(row, {})[label] = region
    if unused := len(drawn.keys() - set(images)):
        placed.notes.append(f"{unused} images that CheXlocalize annotated are not used")
    if missing:
        placed.notes.append(f"{missing} labels of images that CheXlocalize annotated have no region: these are unknown")
    if unnamed:
        placed.notes.append(f"{unnamed} regions are not told in full by CheXlocalize's files: these are unknown")
    if beyond := sum(_reaches_beyond(region) for of_row in placed.regions.values() for region in of_row.values()):
        placed.notes.append(f"{beyond} regions of CheXlocalize reach beyond their images: they are cut there")
    if contrary:
        placed.notes.append(f"{contrary} regions of CheXlocalize contradict the image's labels: these are unknown")
    return placed


def _reaches_beyond(region: Region) -> bool:
    """Whether polygons leave their frame by more than a pixel."""
    return isinstance(region, Polygons) and any(
        (points < -1).any() or (points > np.add(region.frame, 1)).any() for points in region.polygons
    )


def _union(parts: list[RunLengths | Polygons], image: str, problems: list[str]) -> Region | None:
    """The parts of one image as one region; None without any, or if they are of different frames or forms."""
    if len(parts) < 2:
        return parts[0] if parts else None
    frame, table = parts[0].frame, parts[0].table
    runs = [part for part in parts if isinstance(part, RunLengths)]
    polygons = [part for part in parts if isinstance(part, Polygons)]
    if len({part.frame for part in parts}) > 1 or (runs and polygons):
        problems.append(f"{image}: regions of different sizes or forms in {table}")
        return None
    if runs:
        return RunLengths(tuple(text for part in runs for text in part.runs), frame, table)
    return Polygons(tuple(points for part in polygons for points in part.polygons), frame, table)
