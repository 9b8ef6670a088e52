"""NIH ChestX-ray14: Wang et al., ChestX-ray8, CVPR 2017, in the layout of its release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, View
from raysearch.data._manifest import FileManifest
from raysearch.data.kinds._base import MISSING, Kind, Option, size_option, task_option
from raysearch.data.kinds._box_tables import fits_its_file
from raysearch.data.kinds._files import files_in, image_folder
from raysearch.data.kinds._labels import normal_or_not
from raysearch.data.kinds._names import meant
from raysearch.data.kinds._nih_tables import (
    FINDINGS,
    FRAME,
    NihBoxes,
    box_regions,
    read_boxes,
    read_official,
    read_positive,
)
from raysearch.data.kinds._patients import read_patients
from raysearch.data.kinds._subset import draw
from raysearch.data.kinds._tables import (
    absent_table,
    data_folder,
    duplicates,
    find_table,
    listed_but_absent,
    read_table,
)
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec


_ENTRIES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_BOXES = "BBox_List_2017.csv"
_LISTS = ("train_val_list.txt", "test_list.txt")
_FILES = (*_ENTRIES, _BOXES, *_LISTS)


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
    The table of boxes and the two lists may be absent.

    Boxes are pixels of the release's 1024 x 1024, whatever size the images have been given, unless ``frame=image`` says
    that they were scaled along. A note says where that may be.

    ``subset`` and ``normal`` draw some of the images, patient by patient: any, or of those without a finding. The
    second domain of MultiMix (Haque et al., 2021) has 1,431 images with pneumonia, which are all, and 2,754 without a
    finding, which are not published: ``task=normal-vs-pneumonia,normal=2754`` is as many.
    """

    name = "chestxray14"
    title = "NIH ChestX-ray14 (Wang et al., CVPR 2017)"
    version = 3
    options = (
        task_option("findings", "normal-vs-pneumonia", "normal-vs-abnormal"),
        Option(name="classes", default="14", choices=("14", "8"), about="of task findings: all, or those with boxes"),
        size_option(512),
        Option(name="subset", default=0, low=0, high=1_000_000, about="how many images are drawn; 0 for all"),
        Option(
            name="normal",
            default=0,
            low=0,
            high=1_000_000,
            about="of tasks with the class normal: how many images without a finding are drawn; 0 for all",
        ),
        Option(name="seed", default=0, low=0, high=2**31 - 1, about="of subset and normal"),
        Option(
            name="frame",
            default="1024",
            choices=("1024", "image"),
            about="what boxes are pixels of: the release's images of 1024x1024, or the image files",
        ),
        MISSING,
    )

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = data_folder(spec.path, self.title)
        entry = find_table(root, *_ENTRIES)
        table = read_table(entry, ("Image Index", "Finding Labels", "Patient ID"))
        names = table["Image Index"]
        problems = duplicates(names, entry.name)
        patients, wrong, said = read_patients(names, table["Patient ID"], entry.name)
        problems += wrong
        positive, wrong = read_positive(table, entry.name)
        problems += wrong
        chosen, notes = _choose(str(spec["task"]), int(spec["classes"]), view, positive, names)

        found = _image_files(root)
        if not found and not _folders(root):
            image_folder(root / "images")
        files, wrong, lines = _by_name(found, names, entry.name)
        problems += _in_two_folders(root, names) + wrong
        notes += lines
        absent, skipped = listed_but_absent(names, files, entry.name, skip=spec["missing"] == "skip")
        notes += skipped + said
        rows = np.flatnonzero(chosen.keep & names.isin(list(files)).to_numpy())
        if not len(rows):
            raise DataError(
                f"{root}: no image is left for task {spec['task']} in the {view} view; choose another task ("
                f"{'; '.join(notes)})"
            )
        rows = _fewer(rows, patients.to_numpy(dtype=str), np.asarray(positive.any(axis=1)), spec, notes)

        tables = [entry]
        problems += absent
        boxes, frame = _boxes(root, str(spec["frame"]), names, positive, files, (tables, problems, notes))
        official = np.full(len(names), "", "<U5")
        if lacking := [name for name in _LISTS if not (root / name).is_file()]:
            for line, similar in (absent_table(root, name, _FILES) for name in lacking):
                (problems if similar else notes).append(f"{line}: there is no official split")
        else:
            lists = (root / _LISTS[0], root / _LISTS[1])
            official, wrong, said = read_official(lists, names, entry.name)
            tables, problems, notes = [*tables, *lists], problems + wrong, notes + said
        ids = names.to_numpy()[rows].tolist()
        if spec["task"] == "normal-vs-abnormal":
            notes += _partly_boxed(boxes, dict(zip(ids, positive[rows].sum(axis=1).tolist(), strict=True)))
        return FileManifest(
            root=root,
            channels=1,
            classes=chosen.classes,
            ids=tuple(ids),
            paths=tuple(files[name] for name in ids),
            patients=patients.to_numpy(dtype=str)[rows],
            labels=chosen.labels[rows],
            truth=chosen.truth[rows],
            regions=box_regions(ids, boxes, chosen.findings, frame),
            official=official[rows],
            tables=tuple(tables),
            problems=tuple(problems),
            notes=tuple(notes),
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
        left = int((~keep).sum())
        notes = [f"{left} images with neither No Finding nor Pneumonia are left out"] if left else []
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
    words = ((none, "without a finding"), (several, "with several"))
    left = " and ".join(f"{number} {what}" for number, what in words if number).replace(" ", " images ", 1)
    notes = [f"{left} are left out of the single view"] if left else []
    keep = (count == 1) & shown.any(axis=1)
    if other := int(((count == 1) & ~keep).sum()):
        notes.append(f"{other} images with another finding than the {len(classes)} classes are left out")
    return _Labelled(classes, keep, labels, truth, findings), notes


def _boxes(
    root: Path,
    frame: str,
    names: pd.Series[str],
    positive: NDArray[np.bool_],
    files: dict[str, Path],
    said: tuple[list[Path], list[str], list[str]],
) -> tuple[NihBoxes, tuple[int, int] | None]:
    """The boxes, if there is a table of them, and their frame, None for the image as it is in its file. The table and
    what is to be said go to the lists of `said`: tables, problems, notes.
    """
    tables, problems, notes = said
    path = root / _BOXES
    if not path.is_file():
        line, similar = absent_table(root, _BOXES, _FILES)
        (problems if similar else notes).append(f"{line}: where the findings are is unknown")
        return {}, FRAME
    tables.append(path)
    boxes, wrong, lines = read_boxes(path, names, positive, None if frame == "image" else FRAME)
    problems += wrong
    notes += lines
    everything = {image: [box for found in of_image.values() for box in found] for image, of_image in boxes.items()}
    if frame == "1024" and (size := fits_its_file(everything, files, FRAME)):
        notes.append(
            f"no box of {_BOXES} reaches beyond its image as it is in its file ({size} for one); they are taken for"
            " pixels of the release's 1024x1024: set frame=image if they were scaled along with the images"
        )
    return boxes, None if frame == "image" else FRAME


def _partly_boxed(boxes: NihBoxes, findings: dict[str, int]) -> list[str]:
    """A note on images of which some findings have boxes and others none, by the number of findings of each image."""
    partly = sum(0 < len(boxes.get(image, {})) < count for image, count in findings.items())
    if not partly:
        return []
    return [f"{partly} images have boxes of some of their findings alone: the region of abnormal is that of these"]


def _image_files(root: Path) -> dict[str, Path]:
    """Name of a file -> path, over the flat layout and the twelve archives' layout; of two files the first."""
    return {path.name: path for folder in reversed(_folders(root)) for path in files_in(folder)}


def _folders(root: Path) -> list[Path]:
    return [folder for folder in (root / "images", *sorted(root.glob("images_0*/images"))) if folder.is_dir()]


def _in_two_folders(root: Path, names: pd.Series[str]) -> list[str]:
    """A problem line for every listed image of which two folders hold a file; links to one file are one."""
    folders, listed = _folders(root), set(names)
    if len(folders) < 2:
        return []
    first: dict[str, Path] = {}
    problems = []
    for path in (path for folder in folders for path in files_in(folder) if path.name in listed):
        other = first.setdefault(path.name, path)
        if not path.samefile(other):
            places = f"{other.relative_to(root).as_posix()} and {path.relative_to(root).as_posix()}"
            problems.append(f"{path.name}: there are both {places}; keep one of them")
    return problems


def _by_name(files: dict[str, Path], names: pd.Series[str], table: str) -> tuple[dict[str, Path], list[str], list[str]]:
    """Name in the table -> file, problem and note lines. An image that is there under another ending than the table
    says is that one; if there are two of these, nothing tells which."""
    listed = set(names)
    found = {name: files[name] for name in listed if name in files}
    others = meant([name for name in files if name not in listed], [name for name in names if name not in found])
    problems = []
    for name, image in others.by_name.items():
        if (other := found.setdefault(image, files[name])) != files[name]:
            problems.append(f"{image}: may be either {other.name} or {name}; keep one of them")
    notes = []
    if others.by_name:
        name, image = next(iter(others.by_name.items()))
        notes.append(f"{len(others.by_name)} images have other endings than in {table}, {name} for {image}")
    if others.unknown:
        notes.append(f"{len(others.unknown)} images in the folder are not listed in {table} and left out")
    return found, problems, notes
