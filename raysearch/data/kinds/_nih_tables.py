"""The tables of NIH ChestX-ray14's release: findings, boxes and lists of the published parts."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raysearch.data._box_check import are_shares
from raysearch.data._manifest import Boxes
from raysearch.data.kinds._box_tables import box_form
from raysearch.data.kinds._names import meant
from raysearch.data.kinds._tables import read_header, read_names, read_table
from raysearch.errors import DataError, nearest

FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
"""In the order of the paper; the first eight have boxes."""

_NORMAL = "No Finding"
_ALIASES = {"Infiltrate": "Infiltration"}  # the boxes say one, the table the other
FRAME = (1024, 1024)
"""Width and height of the release's images, which its boxes are about."""
_BOX_COLUMNS = ("Image Index", "Finding Label")
_NUMBERS = ("1", "2", "3", "4", "5", "6", "7")
"""Names for the columns after these two, as many as the release's header splits into."""

NihBoxes = dict[str, dict[str, list[list[float]]]]
"""Image -> finding -> boxes (left, top, width, height)."""


def read_positive(table: pd.DataFrame, where: str) -> tuple[NDArray[np.bool_], list[str]]:
    """(rows, 14) bool: the findings of each row, and a problem line for every row that says something else."""
    known = {name: column for column, name in enumerate(FINDINGS)} | {_NORMAL: -1}
    positive = np.zeros((len(table), len(FINDINGS)), bool)
    images = table["Image Index"].to_numpy()
    problems = []
    for text, rows in table.groupby("Finding Labels").indices.items():  # 836 combinations in 112,120 rows
        found = [_ALIASES.get(name.strip(), name.strip()) for name in str(text).split("|")]
        if unknown := [name for name in found if name not in known]:
            problems += [
                f"{image}: unknown finding '{unknown[0]}' in {where}; {nearest(unknown[0], known)}"
                for image in images[rows]
            ]
        elif _NORMAL in found and len(found) > 1:
            problems += [f"{image}: both 'No Finding' and '{text}' in {where}" for image in images[rows]]
        else:
            for name in found:
                if name != _NORMAL:
                    positive[rows, known[name]] = True
    return positive, problems


def read_boxes(
    path: Path, names: pd.Series[str], positive: NDArray[np.bool_], frame: tuple[int, int] | None
) -> tuple[NihBoxes, list[str], list[str]]:
    """The boxes of listed images, with problem and note lines.

    The release's header, ``Image Index,Finding Label,Bbox [x,y,w,h],,,``, splits into nine columns over rows of six.
    One that names corners (``xmin,ymin,xmax,ymax``) is read as such.

    Args:
        frame: (width, height) that a box has to be inside; None if that depends on the image.

    Raises:
        DataError: as `read_table`, or a header that does not tell what the numbers are.
    """
    table = read_table(path, (*_BOX_COLUMNS, *_NUMBERS[:4]), (*_BOX_COLUMNS, *_NUMBERS), may_be_empty=True)
    header = read_header(path)
    form = box_form(header[2:])
    if form is None or max(form.columns) >= len(_NUMBERS):
        raise DataError(
            f"table {path} has the header '{','.join(header)[:120]}', which does not tell what the numbers of a box"
            " are; expected x,y,w,h or xmin,ymin,xmax,ymax after Image Index,Finding Label"
        )
    columns = [_NUMBERS[column] for column in form.columns]
    cells = read_table(path, columns, (*_BOX_COLUMNS, *_NUMBERS), may_be_empty=True)
    numbers = cells[columns].apply(pd.to_numeric, errors="coerce").to_numpy(float).reshape(-1, 4)
    row_of = dict(zip(names, range(len(names)), strict=True))
    images = meant(table["Image Index"], names).by_name
    boxes: NihBoxes = defaultdict(lambda: defaultdict(list))
    problems, unlisted = [], 0
    twice: list[list[float]] = []
    rows = zip(
        table["Image Index"], table["Finding Label"], numbers.tolist(), form.boxes(numbers).tolist(), strict=True
    )
    for said, label, written, (x, y, w, h) in rows:
        finding = _ALIASES.get(label, label)
        image = images.get(said, said)
        box = f"box [{', '.join(f'{number:g}' for number in written)}] in {path.name}"
        if image not in row_of:
            unlisted += 1
        elif finding not in FINDINGS:
            problems.append(f"{image}: unknown finding '{label}' of {box}; {nearest(label, FINDINGS)}")
        elif not _inside((x, y, w, h), frame):
            where = "the image" if frame is None else f"the image of {frame[0]}x{frame[1]}"
            problems.append(f"{image}: {box} is not inside {where}")
        elif are_shares(x, y, w, h):
            problems.append(f"{image}: {box} is smaller than a pixel; expected pixels, not shares of the image")
        elif not positive[row_of[image], FINDINGS.index(finding)]:
            problems.append(f"{image}: {finding} {box}, but the table does not label the image so")
        else:
            (twice if [x, y, w, h] in boxes[image][finding] else boxes[image][finding]).append([x, y, w, h])
    notes = [f"{unlisted} boxes are of images that the table does not list"] if unlisted else []
    if twice:
        notes.append(f"{len(twice)} boxes of {path.name} stand there more than once: each counts once")
    return boxes, problems, notes if len(table) else [f"{path.name} has no rows: where the findings are is unknown"]


def _inside(box: tuple[float, float, float, float], frame: tuple[int, int] | None) -> bool:
    """Up to a pixel, by which the release's boxes exceed."""
    x, y, w, h = box
    right, bottom = frame or (np.inf, np.inf)
    return w > 0 and h > 0 and min(x, y) > -1 and x + w < right + 1 and y + h < bottom + 1


def read_official(
    lists: tuple[Path, Path], names: pd.Series[str], table: str
) -> tuple[NDArray[np.str_], list[str], list[str]]:
    """The published part of each image, problem and note lines.

    Args:
        lists: of train and of test.
        names: of the table's images.
    """
    parts: list[set[str]] = []
    problems: list[str] = []
    notes: list[str] = []
    for path in lists:
        said = read_names(path)
        found = meant(said, names)
        parts.append(set(found.by_name.values()))
        notes += found.notes(path.name)
        line = f"names of {path.name} are no image of {table}, {found.unknown[0]} for one" if found.unknown else ""
        if line and not found.by_name:
            problems.append(f"all {len(found.unknown)} {line}; expected names such as {names.iloc[0]}")
        elif line:
            notes.append(f"{len(found.unknown)} {line}")
        problems += [f"{name}: may be {' or '.join(images)} in {path.name}" for name, images in found.several.items()]
    train, test = parts
    problems += [f"{name}: in both {lists[0].name} and {lists[1].name}" for name in sorted(train & test)]
    official = np.where(names.isin(train), "train", np.where(names.isin(test), "test", ""))
    if neither := int((official == "").sum()):
        notes.append(f"{neither} images of {table} are in neither list: they are in no published part")
    return official, problems, notes


def box_regions(
    ids: list[str], boxes: NihBoxes, findings: dict[str, int], frame: tuple[int, int] | None
) -> dict[int, dict[int, Boxes]]:
    regions: dict[int, dict[int, Boxes]] = {}
    for row, name in enumerate(ids):
        merged: dict[int, list[list[float]]] = defaultdict(list)
        for finding, of_finding in boxes.get(name, {}).items():
            if finding in findings:
                merged[findings[finding]] += of_finding
        if merged:
            regions[row] = {label: Boxes(np.array(found), frame) for label, found in merged.items()}
    return regions
