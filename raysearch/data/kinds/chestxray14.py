"""NIH ChestX-ray14: Wang et al., ChestX-ray8, CVPR 2017, in the layout of its release."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, View
from raysearch.data._manifest import Boxes, FileManifest
from raysearch.data.kinds._base import MISSING, Kind, Option, size_option, task_option
from raysearch.data.kinds._tables import (
    data_folder,
    duplicates,
    find_table,
    listed_but_absent,
    read_names,
    read_table,
    without_patient,
)
from raysearch.errors import DataError, nearest

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax"),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
"""In the order of the paper; the first eight have boxes."""

_NORMAL = "No Finding"
_ALIASES = {"Infiltrate": "Infiltration"}  # the boxes say one, the table the other
_FRAME = (1024, 1024)
_BOX_COLUMNS = ("Image Index", "Finding Label", "x", "y", "w", "h")


class _Labelled(NamedTuple):
    """The rows of the table that a task uses. `findings` says which boxes belong to which class."""

    classes: tuple[str, ...]
    keep: NDArray[np.bool_]
    labels: NDArray[np.int8]
    truth: NDArray[np.int8]
    findings: dict[str, int]


class ChestXray14(Kind):
    """Images of 1024 x 1024 in ``images/`` or ``images_001/images/`` to ``images_012/images/``.

    Tasks: ``findings`` (14 classes, or with ``classes=8`` those that have boxes; the single view keeps images with
    exactly one of the 14, if it is a class), ``normal-vs-pneumonia`` (images
    with No Finding or with Pneumonia among the labels) and ``normal-vs-abnormal`` (abnormal is any finding, its region
    the union of all boxes). Region truth of a labelled class is PRESENT with a box and UNKNOWN without, of a class that
    the image does not have ABSENT, and of `normal` always UNKNOWN. The default size is that of Rozenberg et al. 2020.
    """

    name = "chestxray14"
    title = "NIH ChestX-ray14 (Wang et al., CVPR 2017)"
    version = 2
    options = (
        task_option("findings", "normal-vs-pneumonia", "normal-vs-abnormal"),
        Option(name="classes", default="14", choices=("14", "8"), about="of task findings: all, or those with boxes"),
        size_option(512),
        MISSING,
    )

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = data_folder(spec.path, self.title)
        entry = find_table(root, "Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
        table = read_table(entry, ("Image Index", "Finding Labels", "Patient ID"))
        names = table["Image Index"]
        problems = duplicates(names, entry.name)
        problems += without_patient(names, table["Patient ID"], entry.name)
        positive, wrong = _positive(table, entry.name)
        problems += wrong
        chosen, notes = _choose(str(spec["task"]), int(spec["classes"]), view, positive, names)

        files = _image_files(root)
        absent, skipped = listed_but_absent(names, files, entry.name, skip=spec["missing"] == "skip")
        notes += skipped
        if extra := len(files.keys() - set(names)):
            notes.append(f"{extra} images in the folder are not listed in {entry.name} and left out")
        rows = np.flatnonzero(chosen.keep & names.isin(list(files)).to_numpy())
        if not len(rows):
            raise DataError(f"{root}: no image is left for task {spec['task']} in the {view} view; choose another task")

        bbox = find_table(root, "BBox_List_2017.csv")
        boxes, wrong, note = _boxes(bbox, names, positive)
        problems += absent + wrong
        official, wrong, lists = _official(root, names)
        problems += wrong
        if not lists:
            note.append("train_val_list.txt and test_list.txt are absent: there is no official split")
        ids = names.to_numpy()[rows].tolist()
        return FileManifest(
            root=root,
            channels=1,
            classes=chosen.classes,
            ids=tuple(ids),
            paths=tuple(files[name] for name in ids),
            patients=table["Patient ID"].to_numpy(dtype=str)[rows],
            labels=chosen.labels[rows],
            truth=chosen.truth[rows],
            regions=_regions(ids, boxes, chosen.findings),
            official=official[rows],
            tables=(entry, bbox, *lists),
            problems=tuple(problems),
            notes=tuple(notes + note),
        )


def _positive(table: pd.DataFrame, where: str) -> tuple[NDArray[np.bool_], list[str]]:
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


def _choose(
    task: str, classes: int, view: View, positive: NDArray[np.bool_], names: pd.Series[str]
) -> tuple[_Labelled, list[str]]:
    count = positive.sum(axis=1)
    if task == "findings":
        return _findings(FINDINGS[:classes], view, positive, count)
    if classes != len(FINDINGS):
        raise DataError(f"data option classes={classes} is of task findings; leave it out with task {task}")
    if task == "normal-vs-pneumonia":
        other, keep = "pneumonia", (count == 0) | positive[:, FINDINGS.index("Pneumonia")]
        findings = {"Pneumonia": 1}
        notes = [f"{int((~keep).sum())} images with neither No Finding nor Pneumonia are left out"]
    else:
        other, keep, notes = "abnormal", np.ones(len(names), bool), []
        findings = dict.fromkeys(FINDINGS, 1)
    normal = count == 0
    labels = np.where(np.stack([normal, ~normal], axis=1), PRESENT, ABSENT).astype(np.int8)
    truth = np.full_like(labels, UNKNOWN)
    truth[normal, 1] = ABSENT
    return _Labelled(("normal", other), keep, labels, truth, findings), notes


def _findings(
    classes: tuple[str, ...], view: View, positive: NDArray[np.bool_], count: NDArray[np.int64]
) -> tuple[_Labelled, list[str]]:
    shown = positive[:, : len(classes)]
    labels = np.where(shown, PRESENT, ABSENT).astype(np.int8)
    truth = np.where(shown, UNKNOWN, ABSENT).astype(np.int8)
    findings = {name: column for column, name in enumerate(classes)}
    if view == "multi":
        return _Labelled(classes, np.ones(len(positive), bool), labels, truth, findings), []
    none, several = int((count == 0).sum()), int((count > 1).sum())
    notes = [f"{none} images without a finding and {several} with several are left out of the single view"]
    keep = (count == 1) & shown.any(axis=1)
    if other := int(((count == 1) & ~keep).sum()):
        notes.append(f"{other} images with another finding than the {len(classes)} classes are left out")
    return _Labelled(classes, keep, labels, truth, findings), notes


def _image_files(root: Path) -> dict[str, Path]:
    """Image name -> path, over the flat layout and the twelve archives' layout."""
    folders = [root / "images", *sorted(root.glob("images_0*/images"))]
    return {
        path.name: path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.suffix == ".png"
    }


def _boxes(
    path: Path, names: pd.Series[str], positive: NDArray[np.bool_]
) -> tuple[dict[str, dict[str, list[list[float]]]], list[str], list[str]]:
    """Image -> finding -> boxes (left, top, width, height), with problem and note lines.

    The file's header, ``Bbox [x,y,w,h],,,``, splits into nine columns over rows of six.
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


def _official(root: Path, names: pd.Series[str]) -> tuple[NDArray[np.str_], list[str], tuple[Path, ...]]:
    """The published part of each image, problem lines, and the lists that were read: both or none."""
    lists = (root / "train_val_list.txt", root / "test_list.txt")
    if not all(path.is_file() for path in lists):
        return np.full(len(names), "", "<U5"), [], ()
    train, test = (set(read_names(path)) for path in lists)
    problems = [f"{name}: in both train_val_list.txt and test_list.txt" for name in sorted(train & test)]
    return np.where(names.isin(train), "train", np.where(names.isin(test), "test", "")), problems, lists


def _regions(
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
