"""CheXpert: Irvin et al., AAAI 2019, with CheXlocalize's segmentations, in the layouts of their releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, View
from raysearch.data._manifest import FileManifest
from raysearch.data.kinds._base import MISSING, Kind, Option, size_option, task_option
from raysearch.data.kinds._chexlocalize import PATHOLOGIES, Drawn, find_annotations, read_annotations
from raysearch.data.kinds._chexpert_files import find_files, names_of, part_folders
from raysearch.data.kinds._chexpert_regions import place_regions
from raysearch.data.kinds._files import Finder, absent_folder, release_folder, similar_folder
from raysearch.data.kinds._labels import normal_or_not
from raysearch.data.kinds._patients import NOBODY
from raysearch.data.kinds._tables import absent_table, duplicates, listed_but_absent, read_table, refuse_nothing
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

OBSERVATIONS = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema"),
    *("Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture"),
    "Support Devices",
)
"""In the order of the tables."""

_NORMAL, _DEVICES = "No Finding", "Support Devices"
_COLUMN = {"Airspace Opacity": "Lung Opacity"}  # CheXlocalize's name -> the table's
_TABLES = {
    "train": ("train.csv",),
    "valid": ("valid.csv", "val_labels.csv"),
    "test": ("test.csv", "test_labels.csv"),
}
_INNER = ("CheXpert-v1.0", "CheXpert-v1.0-small", "CheXpert")
_UNCERTAIN, _BLANK = 2, 3
_CODES = {"1.0": PRESENT, "1": PRESENT, "0.0": ABSENT, "0": ABSENT, "-1.0": _UNCERTAIN, "-1": _UNCERTAIN}
_POLICIES = {"ignore": UNKNOWN, "zeros": ABSENT, "ones": PRESENT}


class _Labelled(NamedTuple):
    """What a task makes of the table. `members` says which pathologies' regions are those of a class."""

    classes: tuple[str, ...]
    keep: NDArray[np.bool_]
    labels: NDArray[np.int8]
    truth: NDArray[np.int8]
    members: Mapping[int, tuple[str, ...]]
    notes: list[str]


class CheXpert(Kind):
    """``train.csv`` with ``train/``, ``valid.csv`` with ``valid/``, and from CheXlocalize's release ``test_labels.csv``
    with ``test/``; at least one of them. Stanford's batches, ``CheXpert-v1.0 batch 1 (validate & csv)/`` and
    ``CheXpert-v1.0 batch 2 (train 1)/`` and so on beside it, will do too. ``gt_segmentations_val.json`` and
    ``gt_segmentations_test.json`` (or the polygons, ``gt_annotations_*.json``) lie in the folder, in ``CheXlocalize/``
    inside it, or beside it.

    Tasks: ``findings`` (the ten that CheXlocalize segments), ``observations`` (all 14), ``normal-vs-pneumonia`` (images
    with No Finding or with Pneumonia) and ``normal-vs-abnormal`` (abnormal is any other observation but support
    devices, its region the union of their regions). The single view of the first two keeps images with exactly one of
    the observations, if it is a class and nothing is uncertain.

    Uncertain labels (-1) are unknown, absent or present: U-Ignore, U-Zeros and U-Ones of the paper. It finds none the
    best for all; its final model takes U-Ones, the default here, for atelectasis and edema. A blank is absent, or
    unknown with ``blank=ignore``.

    Region truth of a labelled class is PRESENT where CheXlocalize has a region and UNKNOWN without; of a class that the
    image does not have ABSENT, and of `normal` always UNKNOWN. The default size is CheXseg's.
    """

    name = "chexpert"
    title = "CheXpert (Irvin et al., AAAI 2019) with CheXlocalize (Saporta et al., 2022)"
    version = 2
    options = (
        task_option("findings", "observations", "normal-vs-pneumonia", "normal-vs-abnormal"),
        size_option(320),
        Option(
            name="uncertain", default="ones", choices=tuple(_POLICIES), about="what an uncertain label (-1) counts as"
        ),
        Option(name="blank", default="zeros", choices=("zeros", "ignore"), about="what no label at all counts as"),
        Option(
            name="views", default="frontal", choices=("frontal", "all"), about="whether lateral images are used too"
        ),
        MISSING,
    )

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = release_folder(spec.path, self.title, [name for names in _TABLES.values() for name in names], _INNER)
        table, tables, problems = _read_tables(root)
        refuse_nothing(len(table), root, problems)
        notes: list[str] = []
        for part, names in _TABLES.items():
            if not any((root / name).is_file() for name in names):
                line, similar = absent_table(root, names[0], [name for others in _TABLES.values() for name in others])
                (problems if similar else notes).append(f"{line}: no image is in published {part}")
        if spec["views"] == "frontal":
            view_of = table["below"].str.lower().str.extract(r"_(frontal|lateral)[^/]*$", expand=False)
            problems += [
                f"{name}: neither frontal nor lateral by its name; rename it, or set views=all"
                for name in table["Path"][view_of.isna()]
            ]
            lateral = view_of == "lateral"
            notes += [f"{int(lateral.sum())} lateral images are left out (views=frontal)"] if lateral.any() else []
            table = table[~lateral]
        folders = {part: part_folders(root, part) for part in table["part"].unique()}
        every = [name for part in _TABLES for name in names_of(part)]
        problems += [
            f"image {absent_folder(folder, every)}"
            for of_part in folders.values()
            for folder in of_part
            if not folder.is_dir() and similar_folder(folder.parent, folder.name, every)
        ]
        finder = Finder()
        files, doubled = find_files(zip(table["part"], table["below"], strict=True), folders, finder)
        table = table.assign(file=pd.Series(files, index=table.index, dtype=object))
        problems += doubled
        notes += finder.notes("the tables")
        there = table["file"].notna()
        absent, skipped = listed_but_absent(
            table["Path"], table["Path"][there], "the tables", skip=spec["missing"] == "skip"
        )
        table = table[there].reset_index(drop=True)
        labels, wrong, changed = _labels(table, str(spec["uncertain"]), str(spec["blank"]))
        notes += changed
        chosen = _choose(str(spec["task"]), view, labels)
        rows = np.flatnonzero(chosen.keep)
        if not len(rows):
            raise DataError(
                f"{root}: no image is left for task {spec['task']} in the {view} view; choose another task ("
                f"{'; '.join(notes + skipped + chosen.notes)})"
            )

        table = table.iloc[rows]
        annotations, said = find_annotations(root, set(table["part"]))
        problems += [line for line, similar in said if similar]
        notes += [line for line, similar in said if not similar]
        drawn: dict[str, Drawn] = {}
        for path in annotations:
            entries, found = read_annotations(path)
            drawn |= entries
            problems += found
        placed = place_regions(table["image"].tolist(), drawn, chosen.labels[rows], chosen.truth[rows], chosen.members)
        return FileManifest(
            root=root.parent,  # the annotations may lie beside the images
            channels=1,
            classes=chosen.classes,
            ids=tuple(table["id"]),
            paths=tuple(table["file"]),
            patients=table["patient"].to_numpy(dtype=str),
            labels=chosen.labels[rows],
            truth=placed.truth,
            regions=placed.regions,
            official=table["part"].to_numpy(dtype=str),
            tables=(*tables, *annotations),
            problems=tuple(problems + wrong + absent + placed.problems),
            notes=tuple(notes + skipped + chosen.notes + placed.notes),
        )


def _read_tables(root: Path) -> tuple[pd.DataFrame, list[Path], list[str]]:
    """The rows of all tables with the columns below (its folder), id, image (CheXlocalize's name), patient and part
    added."""
    paths = {
        part: next((root / name for name in names if (root / name).is_file()), None) for part, names in _TABLES.items()
    }
    found = {part: path for part, path in paths.items() if path is not None}
    parts = []
    problems: list[str] = []
    for part, path in found.items():
        rows = read_table(path, ("Path", *OBSERVATIONS))
        rows["part"] = part
        below = rows["Path"].map(lambda name, part=part: _below(name, names_of(part)))
        problems += [
            f"{name}: no path of the form {part}/patient00001/study1/view1_frontal.jpg in {path.name}"
            for name in rows["Path"][below.isna()]
        ]
        rows["below"] = below
        rows["id"] = part + "/" + below
        problems += duplicates(rows["id"][below.notna()], path.name)
        parts.append(rows[below.notna()])
    table = pd.concat(parts, ignore_index=True)
    table["image"] = [below.rpartition(".")[0].replace("/", "_") for below in table["below"]]
    table["patient"] = table["below"].str.split("/").str[0]
    return table, list(found.values()), problems


def _below(name: str, folders: Sequence[str]) -> str | None:
    """``patient00001/study1/view1_frontal.jpg`` of a path, whatever leads to it; None if it is none or leads out."""
    *above, part, patient, study, view = ["", "", "", *name.replace("\\", "/").split("/")]
    below = f"{patient}/{study}/{view}"
    known = part.lower() in folders and all((patient, study, view)) and ".." not in (*above, patient, study, view)
    return below if known and "\0" not in below else None


def _labels(
    table: pd.DataFrame, uncertain: str, blank: str
) -> tuple[dict[str, NDArray[np.int8]], list[str], list[str]]:
    """Observation -> (rows,) label, a problem line for every cell that is none, and a note on uncertain ones."""
    labels: dict[str, NDArray[np.int8]] = {}
    problems = []
    doubtful = 0
    for name in OBSERVATIONS:
        codes = table[name].map(lambda cell: _BLANK if cell.lower() in NOBODY else _CODES.get(cell))
        for image, cell in zip(table["Path"][codes.isna()], table[name][codes.isna()], strict=True):
            problems.append(f"{image}: '{cell}' for {name}; expected 1.0, 0.0, -1.0 or nothing")
        values = codes.fillna(_BLANK).to_numpy().astype(np.int8)
        doubtful += int((values == _UNCERTAIN).sum())
        values[values == _UNCERTAIN] = _POLICIES[uncertain]
        values[values == _BLANK] = _POLICIES[blank]
        labels[name] = values
    word = {"ones": "present", "zeros": "absent", "ignore": "unknown"}[uncertain]
    notes = [f"{doubtful} uncertain labels of the tables count as {word} (uncertain={uncertain})"] if doubtful else []
    return labels, problems, notes


def _choose(task: str, view: View, labels: dict[str, NDArray[np.int8]]) -> _Labelled:
    if task in ("findings", "observations"):
        classes = PATHOLOGIES if task == "findings" else OBSERVATIONS
        return _observations(classes, view, labels)
    normal = labels[_NORMAL] == PRESENT
    if task == "normal-vs-pneumonia":
        other, members, abnormal = "pneumonia", {}, labels["Pneumonia"] == PRESENT
    else:
        pathologies = [name for name in OBSERVATIONS if name not in (_NORMAL, _DEVICES)]
        other, members = "abnormal", {1: tuple(name for name in PATHOLOGIES if name != _DEVICES)}
        abnormal = np.any([labels[name] == PRESENT for name in pathologies], axis=0)
    keep = normal ^ abnormal
    left = int((~keep).sum())
    notes = [f"{left} images that are neither, or both, of normal and {other} are left out"] if left else []
    return _Labelled(("normal", other), keep, *normal_or_not(normal), members, notes)


def _observations(classes: tuple[str, ...], view: View, labels: dict[str, NDArray[np.int8]]) -> _Labelled:
    shown = np.stack([labels[_COLUMN.get(name, name)] for name in classes], axis=1)
    truth = np.where(shown == ABSENT, ABSENT, UNKNOWN).astype(np.int8)
    truth[:, [column for column, name in enumerate(classes) if name == _NORMAL]] = UNKNOWN
    drawn = {_COLUMN.get(name, name): name for name in PATHOLOGIES}
    names = [_COLUMN.get(name, name) for name in classes]
    members = {column: (drawn[name],) for column, name in enumerate(names) if name in drawn}
    if view == "multi":
        return _Labelled(classes, np.ones(len(shown), bool), shown, truth, members, [])
    every = np.stack([values for name, values in labels.items() if name != _NORMAL or name in classes], axis=1)
    one = ((every == PRESENT).sum(axis=1) == 1) & (every != UNKNOWN).all(axis=1)
    keep = one & (shown == PRESENT).any(axis=1)
    left = int((~keep).sum())
    said = "without exactly one of the classes, and that for certain, are left out of the single view"
    notes = [f"{left} images {said} (options task, uncertain, blank)"] if left else []
    return _Labelled(classes, keep, shown, truth, members, notes)
