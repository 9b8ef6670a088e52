"""The tables of NIH ChestX-ray14's release: findings, boxes and lists of the published parts."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raysearch.data._manifest import Boxes
from raysearch.data.kinds._tables import read_names, read_table
from raysearch.errors import nearest

FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
"""In the order of the paper; the first eight have boxes."""

_NORMAL = "No Finding"
_ALIASES = {"Infiltrate": "Infiltration"}  # the boxes say one, the table the other
_FRAME = (1024, 1024)
_BOX_COLUMNS = ("Image Index", "Finding Label", "x", "y", "w", "h")


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
    path: Path, names: pd.Series[str], positive: NDArray[np.bool_]
) -> tuple[dict[str, dict[str, list[list[float]]]], list[str], list[str]]:
    """Image -> finding -> boxes (left, top, width, height), with problem and note lines.

    The file's header, ``Image Index,Finding Label,Bbox [x,y,w,h],,,``, splits into nine columns over rows of six.
    """
    header = (*_BOX_COLUMNS, "7", "8", "9")
    table = read_table(path, _BOX_COLUMNS, header)
    numbers = table[["x", "y", "w", "h"]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    row_of = dict(zip(names, range(len(names)), strict=True))
    boxes: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    problems, unlisted = [], 0
    for image, label, (x, y, w, h) in zip(table["Image Index"], table["Finding Label"], numbers.tolist(), strict=True):
        finding = _ALIASES.get(label, label)
        box = f"box [{x:g}, {y:g}, {w:g}, {h:g}] in {path.name}"
        if image not in row_of:
            unlisted += 1
        elif finding not in FINDINGS:
            problems.append(f"{image}: unknown finding '{label}' of {box}; {nearest(label, FINDINGS)}")
        elif not (w > 0 and h > 0 and min(x, y) > -1 and x + w < _FRAME[0] + 1 and y + h < _FRAME[1] + 1):
            problems.append(f"{image}: {box} is not inside the image of {_FRAME[0]}x{_FRAME[1]}")
        elif not positive[row_of[image], FINDINGS.index(finding)]:
            problems.append(f"{image}: {finding} {box}, but the table does not label the image so")
        else:
            boxes[image][finding].append([x, y, w, h])
    return boxes, problems, [f"{unlisted} boxes are of images that the table does not list"] if unlisted else []


def read_official(root: Path, names: pd.Series[str]) -> tuple[NDArray[np.str_], list[str], tuple[Path, ...]]:
    """The published part of each image, problem lines, and the lists that were read: both or none."""
    lists = (root / "train_val_list.txt", root / "test_list.txt")
    if not all(path.is_file() for path in lists):
        return np.full(len(names), "", "<U5"), [], ()
    train, test = (set(read_names(path)) for path in lists)
    problems = [f"{name}: in both train_val_list.txt and test_list.txt" for name in sorted(train & test)]
    return np.where(names.isin(train), "train", np.where(names.isin(test), "test", "")), problems, lists


def box_regions(
    ids: list[str], boxes: dict[str, dict[str, list[list[float]]]], findings: dict[str, int]
) -> dict[int, dict[int, Boxes]]:
    regions: dict[int, dict[int, Boxes]] = {}
    for row, name in enumerate(ids):
        merged: dict[int, list[list[float]]] = defaultdict(list)
        for finding, of_finding in boxes.get(name, {}).items():
            if finding in findings:
                merged[findings[finding]] += of_finding
        if merged:
            regions[row] = {label: Boxes(np.array(found), _FRAME) for label, found in merged.items()}
    return regions
