"""NIH ChestX-ray14: Wang et al., ChestX-ray8, CVPR 2017, in the layout of its release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, View
from raysearch.data._manifest import FileManifest
from raysearch.data.kinds._base import BITS, MISSING, Kind, Option, size_option, task_option
from raysearch.data.kinds._draw import draw
from raysearch.data.kinds._files import entries
from raysearch.data.kinds._labels import normal_or_not
from raysearch.data.kinds._nih_tables import FINDINGS, box_regions, read_boxes, read_official, read_positive
from raysearch.data.kinds._tables import (
    data_folder,
    duplicates,
    find_table,
    listed_but_absent,
    read_table,
    without_patient,
)
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec


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

    ``subset`` and ``normal`` draw some of the images, patient by patient: any, or of those without a finding. The
    second domain of MultiMix (Haque et al., 2021) has 1,431 images with pneumonia, which are all, and 2,754 without a
    finding, which are not published: ``task=normal-vs-pneumonia,normal=2754`` is as many.
    """

    name = "chestxray14"
    title = "NIH ChestX-ray14 (Wang et al., CVPR 2017)"
    version = 2
    options = (
        task_option("findings", "normal-vs-pneumonia", "normal-vs-abnormal"),
        Option(name="classes", default="14", choices=("14", "8"), about="of task findings: all, or those with boxes"),
        size_option(512),
        BITS,
        Option(name="subset", default=0, low=0, high=1_000_000, about="how many images are drawn; 0 for all"),
        Option(
            name="normal",
            default=0,
            low=0,
            high=1_000_000,
            about="of tasks with the class normal: how many images without a finding are drawn; 0 for all",
        ),
        Option(name="seed", default=0, low=0, high=2**31 - 1, about="of subset and normal"),
        MISSING,
    )

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = data_folder(spec.path, self.title)
        entry = find_table(root, "Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
        table = read_table(entry, ("Image Index", "Finding Labels", "Patient ID"))
        names = table["Image Index"]
        problems = duplicates(names, entry.name)
        problems += without_patient(names, table["Patient ID"], entry.name)
        positive, wrong = read_positive(table, entry.name)
        problems += wrong
        chosen, notes = _choose(str(spec["task"]), int(spec["classes"]), view, positive, names)

        files = _image_files(root)
        absent, skipped = listed_but_absent(names, files, entry.name, skip=spec["missing"] == "skip")
        notes += skipped
        if extra := len(files.keys() - set(names)):
            notes.append(f"{extra} images in the folder are not listed in {entry.name} and left out")
        rows = np.flatnonzero(chosen.keep & names.isin(list(files)).to_numpy())
        if not len(rows):
            raise DataError(
                f"{root}: no image is left for task {spec['task']} in the {view} view; choose another task ("
                f"{'; '.join(notes)})"
            )
        rows = _fewer(rows, table["Patient ID"].to_numpy(dtype=str), np.asarray(positive.any(axis=1)), spec, notes)

        bbox = find_table(root, "BBox_List_2017.csv")
        boxes, wrong, note = read_boxes(bbox, names, positive)
        problems += absent + wrong
        official, wrong, lists = read_official(root, names)
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
            regions=box_regions(ids, boxes, chosen.findings),
            official=official[rows],
            tables=(entry, bbox, *lists),
            problems=tuple(problems),
            notes=tuple(notes + note),
        )


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
    labels, truth = normal_or_not(count == 0)
    return _Labelled(("normal", other), keep, labels, truth, findings), notes


def _fewer(
    rows: NDArray[np.int64],
    patients: NDArray[np.str_],
    abnormal: NDArray[np.bool_],
    spec: DataSpec,
    notes: list[str],
) -> NDArray[np.int64]:
    """The rows that the options normal and subset leave, and a note on what they leave out."""
    normal, subset, seed = int(spec["normal"]), int(spec["subset"]), int(spec["seed"])
    kept = rows
    if normal:
        if spec["task"] == "findings":
            raise DataError("data option normal is of tasks with the class normal; leave it out with task findings")
        drawn = draw(patients, rows[~abnormal[rows]], normal, seed)
        kept = np.sort(np.concatenate([rows[abnormal[rows]], drawn]))
    if subset:
        kept = draw(patients, kept, subset, seed)
    if left := len(rows) - len(kept):
        notes.append(f"{left} of {len(rows)} images are not drawn (subset={subset}, normal={normal}, seed={seed})")
    return kept


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
    return {path.name: path for folder in folders for path in entries(folder) if path.suffix == ".png"}
