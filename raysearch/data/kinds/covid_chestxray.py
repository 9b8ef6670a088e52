"""COVID-19 image data collection: Cohen et al., arXiv 2003.11597 and 2006.11988, in the layout of its repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, View
from raysearch.data._manifest import FileManifest, MaskFiles
from raysearch.data.kinds._base import BITS, MISSING, Kind, Option, size_option, task_option
from raysearch.data.kinds._files import entries
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

LESIONS = ("consolidation", "ground_glass_opacities", "pleural_effusion", "pneumothorax")
LUNGS = ("left_lung", "right_lung")

_V7LABS = "semantic_masks_v7labs_lungs"
_SEGMENTATIONS = "segmentations"
_UNLABELLED = ("", "todo", "unknown")
_NORMAL = "No Finding"


class _Labelled(NamedTuple):
    classes: tuple[str, ...]
    labels: NDArray[np.int8]
    truth: NDArray[np.int8]
    regions: dict[int, dict[int, MaskFiles]]


class CovidChestXray(Kind):
    """Chest X-rays in ``images/`` with ``metadata.csv``; rows of other modalities are left out.

    Classes of the single view: ``covid-19`` and ``other`` (any other named finding, and No Finding); ``todo`` and
    ``Unknown`` are unlabelled. Region truth is that of the image's own class. Classes of the multi view: the task's
    structures.

    Tasks: ``lungs`` (the union of both lungs, from one of two sources of masks that are never mixed) and ``lesions``
    (from ``segmentations/``: consolidation, ground-glass opacities, effusion, pneumothorax; an image with any file
    there was annotated in full, one with No Finding has none of them, and of all others nothing is known).
    """

    name = "covid_chestxray"
    title = "COVID-19 image data collection (Cohen et al., 2020)"
    version = 1
    options = (
        task_option("lungs", "lesions"),
        size_option(256),
        BITS,
        Option(
            name="masks",
            default="v7labs",
            choices=("v7labs", "segmentations"),
            about="where lung masks come from; the two disagree, lesions always come from segmentations",
        ),
        MISSING,
    )

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = data_folder(spec.path, self.title)
        metadata = find_table(root, "metadata.csv")
        table = read_table(metadata, ("patientid", "finding", "modality", "filename"))
        xray = table["modality"].str.lower() == "x-ray"
        notes = [f"{int((~xray).sum())} rows of other modalities than X-ray are left out"] if not xray.all() else []
        table = table[xray]
        if table.empty:
            raise DataError(f"table {metadata} has no row of modality X-ray; get the original file again")

        folder = root / "images"
        files = {path.name for path in entries(folder)}
        problems = duplicates(table["filename"], metadata.name)
        problems += without_patient(table["filename"], table["patientid"], metadata.name)
        absent, skipped = listed_but_absent(table["filename"], files, metadata.name, skip=spec["missing"] == "skip")
        table = table[table["filename"].isin(files)].reset_index(drop=True)

        masks, unused = _mask_files(root, str(spec["task"]), str(spec["masks"]), table["filename"])
        if unused:
            notes.append(f"{unused} masks belong to no image of {metadata.name} and are left out")
        labelled = _single(table["finding"], masks) if view == "single" else _multi(table["finding"], masks)
        return FileManifest(
            root=root,
            channels=1,
            classes=labelled.classes,
            ids=tuple(table["filename"]),
            paths=tuple(folder / name for name in table["filename"]),
            patients=table["patientid"].to_numpy(dtype=str),
            labels=labelled.labels,
            truth=labelled.truth,
            regions=labelled.regions,
            official=np.full(len(table), "", "<U5"),
            tables=(metadata,),
            problems=tuple(problems + absent),
            notes=tuple(notes + skipped),
        )


class _Masks(NamedTuple):
    """Structure -> image row -> files; and the rows that were annotated at all."""

    task: str
    files: dict[str, dict[int, tuple[Path, ...]]]
    annotated: set[int]


def _mask_files(root: Path, task: str, source: str, names: pd.Series[str]) -> tuple[_Masks, int]:
    """The task's masks, and how many mask files belong to no image.

    Raises:
        DataError: the folder that should hold the masks does not exist.
    """
    by_name = {name: row for row, name in enumerate(names)}
    by_stem = {Path(name).stem: row for row, name in enumerate(names)}
    if task == "lungs" and source == "v7labs":
        found = [(by_name.get(path.name), path) for path in _files(root / _V7LABS)]
        lungs: dict[int, tuple[Path, ...]] = {row: (path,) for row, path in found if row is not None}
        return _Masks(task, {"lungs": lungs}, set(lungs)), sum(row is None for row, _ in found)

    structures = [path for path in _files(root / _SEGMENTATIONS) if path.is_dir()]
    found = [(by_stem.get(path.stem), path) for structure in structures for path in _files(structure)]
    annotated = {row for row, _ in found if row is not None}
    groups: dict[str, tuple[str, ...]] = {"lungs": LUNGS} if task == "lungs" else {name: (name,) for name in LESIONS}
    files: dict[str, dict[int, tuple[Path, ...]]] = {name: {} for name in groups}
    for name, members in groups.items():
        for row, path in found:
            if row is not None and path.parent.name in members:
                files[name][row] = (*files[name].get(row, ()), path)
    return _Masks(task, files, annotated), sum(row is None for row, _ in found)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"mask folder {folder} does not exist; get it, or choose another task or masks=...")
    return entries(folder)


def _single(findings: pd.Series[str], masks: _Masks) -> _Labelled:
    unlabelled = findings.str.lower().isin(_UNLABELLED).to_numpy()
    # newer releases spell the path through the taxonomy: Pneumonia/Viral/COVID-19
    covid = findings.str.split("/").str[-1].str.startswith("COVID-19").to_numpy()
    labels = np.where(np.stack([covid, ~covid], axis=1), PRESENT, ABSENT).astype(np.int8)
    labels[unlabelled] = UNKNOWN
    truth = np.full_like(labels, UNKNOWN)
    if masks.task == "lesions":
        truth[findings == _NORMAL] = ABSENT
    regions: dict[int, dict[int, MaskFiles]] = {}
    for row in sorted(masks.annotated):
        if unlabelled[row]:
            continue
        own = 0 if covid[row] else 1
        if paths := tuple(path for of_class in masks.files.values() for path in of_class.get(row, ())):
            regions[row] = {own: MaskFiles(paths)}
        elif masks.task == "lesions":
            truth[row, own] = ABSENT
    return _Labelled(("covid-19", "other"), labels, truth, regions)


def _multi(findings: pd.Series[str], masks: _Masks) -> _Labelled:
    shape = (len(findings), len(masks.files))
    regions: dict[int, dict[int, MaskFiles]] = {}
    for label, files in enumerate(masks.files.values()):
        for row, paths in files.items():
            regions.setdefault(row, {})[label] = MaskFiles(paths)
    if masks.task == "lungs":  # every chest has lungs, annotated or not
        labels, truth = np.full(shape, PRESENT, np.int8), np.full(shape, UNKNOWN, np.int8)
        return _Labelled(tuple(masks.files), labels, truth, regions)
    known = (findings == _NORMAL).to_numpy().copy()
    known[sorted(masks.annotated)] = True
    labels = np.where(known[:, None], ABSENT, UNKNOWN).astype(np.int8).repeat(shape[1], axis=1)
    truth = labels.copy()
    for row, of_row in regions.items():
        labels[row, list(of_row)], truth[row, list(of_row)] = PRESENT, UNKNOWN
    return _Labelled(tuple(masks.files), labels, truth, regions)
