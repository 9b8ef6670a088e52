"""COVID-19 image data collection: Cohen et al., arXiv 2003.11597 and 2006.11988, in the layout of its repository."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, View
from raysearch.data._manifest import FileManifest, MaskFiles
from raysearch.data.kinds._base import MISSING, Kind, Option, size_option, task_option
from raysearch.data.kinds._files import Finder, absent_folder, by_stem, entries, is_name, similar_folder
from raysearch.data.kinds._patients import NOBODY, read_patients
from raysearch.data.kinds._tables import (
    data_folder,
    duplicates,
    find_table,
    listed_but_absent,
    read_table,
    refuse_nothing,
)
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

LESIONS = ("consolidation", "ground_glass_opacities", "pleural_effusion", "pneumothorax")
LUNGS = ("left_lung", "right_lung")

_V7LABS = "semantic_masks_v7labs_lungs"
_SEGMENTATIONS = "segmentations"
_UNLABELLED = ("todo", "unknown", *NOBODY)
_NORMAL = "no finding"
_COVID = re.compile(r"covid\W*19(?!\w)|covid$")
_PERHAPS = re.compile(r"covid|sars\W*cov\W*2|ncov")


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
    there was annotated in full, one with No Finding has none of them, and of all others nothing is known). A lesion
    without a folder is unknown, an empty folder says that no annotated image has it; in the single view, whose region
    is the union, a folder that is absent makes all unknown. So does, of an image, the mask of one lung alone.
    """

    name = "covid_chestxray"
    title = "COVID-19 image data collection (Cohen et al., 2020)"
    version = 2
    options = (
        task_option("lungs", "lesions"),
        size_option(256),
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
        xray = table["modality"].str.lower().str.replace(r"[\s_-]", "", regex=True) == "xray"
        others = ", ".join(sorted(table["modality"][~xray].unique()))
        notes = [f"{int((~xray).sum())} rows of other modalities than X-ray are left out: {others}"] if others else []
        table = table[xray].copy()
        if table.empty:
            raise DataError(f"table {metadata} has no row of modality X-ray; get the original file again")

        folder, finder = root / "images", Finder()
        if not folder.is_dir():
            raise DataError(f"image {absent_folder(folder)}; get it, or name the folder that holds it")
        problems = [
            f"patient {patient}: the file name '{name}' in {metadata.name}, expected that of an image in {folder.name}/"
            for patient, name in zip(table["patientid"], table["filename"], strict=True)
            if not is_name(name)
        ]
        table = table[table["filename"].map(is_name)].copy()
        refuse_nothing(len(table), root, problems)
        files = {_composed(path.name): path for path in entries(folder)}
        paths = {name: files.get(_composed(name)) or finder.find(folder / name) for name in table["filename"]}
        there = [name for name, path in paths.items() if path is not None]
        problems += duplicates(table["filename"], metadata.name)
        patients, wrong, said = read_patients(table["filename"], table["patientid"], metadata.name)
        table["patientid"] = patients
        problems += wrong
        absent, skipped = listed_but_absent(table["filename"], there, metadata.name, skip=spec["missing"] == "skip")
        table = table[table["filename"].isin(there)].reset_index(drop=True)
        notes += said + finder.notes(metadata.name)

        table["finding"] = table["finding"].str.lower()
        problems += _doubtful(table, metadata.name) if view == "single" else []
        masks = _mask_files(root, str(spec["task"]), str(spec["masks"]), table["filename"], problems, notes)
        labelled = _single(table["finding"], masks) if view == "single" else _multi(table["finding"], masks)
        return FileManifest(
            root=root,
            channels=1,
            classes=labelled.classes,
            ids=tuple(table["filename"]),
            paths=tuple(path for name in table["filename"] if (path := paths[name]) is not None),
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
    """Structure -> image row -> files; the rows that were annotated at all; and the structures that have no folder."""

    task: str
    files: dict[str, dict[int, tuple[Path, ...]]]
    annotated: set[int]
    lacking: tuple[str, ...] = ()


def _mask_files(
    root: Path, task: str, source: str, names: pd.Series[str], problems: list[str], notes: list[str]
) -> _Masks:
    """The task's masks.

    Raises:
        DataError: the folder that should hold the masks does not exist, or holds two files of one stem.
    """
    if task == "lungs" and source == "v7labs":
        lungs = _rows_of(_V7LABS, _files(root, _V7LABS), names, True, problems, notes)
        return _Masks(task, {"lungs": {row: (path,) for row, path in lungs}}, {row for row, _ in lungs})

    structures = [path for path in _files(root, _SEGMENTATIONS) if path.is_dir()]
    found: list[tuple[int, Path]] = []
    stray: list[str] = []
    for structure in structures:
        files = list(by_stem(entries(structure)).values())
        own = _rows_of(f"{_SEGMENTATIONS}/{structure.name}", files, names, False, problems, notes)
        found += own
        stray += [structure.name] if len(own) < len(files) and structure.name in LESIONS else []
    groups: dict[str, tuple[str, ...]] = {"lungs": LUNGS} if task == "lungs" else {name: (name,) for name in LESIONS}
    placed: dict[str, dict[int, tuple[Path, ...]]] = {name: {} for name in groups}
    for name, members in groups.items():
        for row, path in found:
            if path.parent.name in members:
                placed[name][row] = (*placed[name].get(row, ()), path)
    lacking = _lacking(
        root / _SEGMENTATIONS, [name for members in groups.values() for name in members], problems, notes
    )
    if task == "lesions" and stray:
        notes.append(f"of images without a mask there, {', '.join(stray)} is unknown: a mask of no image may be theirs")
        lacking += tuple(stray)
    if task == "lungs" and (halves := [row for row, paths in placed["lungs"].items() if len(paths) < len(LUNGS)]):
        notes.append(f"{len(halves)} images have a mask of one lung alone: where their lungs are is unknown")
        placed["lungs"] = {row: paths for row, paths in placed["lungs"].items() if len(paths) == len(LUNGS)}
    return _Masks(task, placed, {row for row, _ in found}, lacking)


def _rows_of(
    folder: str, files: list[Path], names: pd.Series[str], own_names: bool, problems: list[str], notes: list[str]
) -> list[tuple[int, Path]]:
    """The image row of each mask of a folder that belongs to one: by its name without the ending, with `own_names` by
    all of it where it has the image's. A folder of which no mask belongs to any is a problem."""
    by_name = {_composed(name): row for row, name in enumerate(names)} if own_names else {}
    of_stem: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        of_stem.setdefault(Path(_composed(name)).stem, []).append(row)
    found, unused = [], 0
    for path in files:
        name = _composed(path.name)
        rows = [by_name[name]] if name in by_name else of_stem.get(Path(name).stem, [])
        if len(rows) == 1:
            found.append((rows[0], path))
        elif rows:
            images = " or ".join(names[row] for row in rows)
            problems.append(f"{path.parent.name}/{path.name}: may be the mask of {images}; rename image and mask")
        unused += not rows
    if unused == len(files) > 0:
        line = f"all {unused} masks in {folder} belong to no image of metadata.csv, {files[0].name} for one"
        problems.append(f"{line}; expected names such as {Path(names.iloc[0]).stem}.png")
    elif unused:
        notes.append(f"{unused} masks in {folder} belong to no image of metadata.csv and are left out")
    return found


def _lacking(folder: Path, structures: list[str], problems: list[str], notes: list[str]) -> tuple[str, ...]:
    """Those structures that have no folder. One whose folder is perhaps spelt otherwise is a problem."""
    lacking = tuple(name for name in structures if not (folder / name).is_dir())
    for name in lacking:
        line = absent_folder(folder / name, (*LESIONS, *LUNGS), folder.parent)
        if similar_folder(folder, name, (*LESIONS, *LUNGS)):
            problems.append(line)
        else:
            notes.append(f"{line}: {name} is unknown; get it, or make it empty if no image has any")
    return lacking


def _files(root: Path, name: str) -> list[Path]:
    if not (root / name).is_dir():
        similar = similar_folder(root, name, (_V7LABS, _SEGMENTATIONS))
        raise DataError(
            f"mask folder {root / name} does not exist; "
            + (f"did you mean {similar.name}? Rename it" if similar else "get it")
            + ", or choose another task or masks=..."
        )
    return entries(root / name)


def _composed(name: str) -> str:
    """A name with composed letters: Macs take them apart."""
    return unicodedata.normalize("NFC", name)


def _is_covid(finding: str) -> bool:
    """Of a finding in small letters. Newer releases spell the path through the taxonomy, Pneumonia/Viral/COVID-19, and
    several findings have commas between them."""
    return any(_COVID.match(part.strip()) for part in re.split(r"[/,;|]", finding))


def _doubtful(table: pd.DataFrame, name: str) -> list[str]:
    """A problem line for every finding that speaks of the disease, but in words that are not known here."""
    return [
        f"{image}: the finding '{finding}' in {name}, which may be COVID-19 or not; expected COVID-19, or another name"
        for image, finding in zip(table["filename"], table["finding"], strict=True)
        if _PERHAPS.search(finding) and not _is_covid(finding)
    ]


def _single(findings: pd.Series[str], masks: _Masks) -> _Labelled:
    unlabelled = findings.isin(_UNLABELLED).to_numpy()
    covid = findings.map(_is_covid).to_numpy(dtype=bool)
    labels = np.where(np.stack([covid, ~covid], axis=1), PRESENT, ABSENT).astype(np.int8)
    labels[unlabelled] = UNKNOWN
    truth = np.full_like(labels, UNKNOWN)
    if masks.task == "lesions":
        truth[findings == _NORMAL] = ABSENT
    regions: dict[int, dict[int, MaskFiles]] = {}
    for row in sorted(masks.annotated):
        if unlabelled[row] or masks.lacking:  # the union of some structures is not that of all
            continue
        own = 0 if covid[row] else 1
        if paths := tuple(path for of_class in masks.files.values() for path in of_class.get(row, ())):
            regions[row] = {own: MaskFiles(paths, shown=masks.task == "lungs")}
        elif masks.task == "lesions":
            truth[row, own] = ABSENT
    return _Labelled(("covid-19", "other"), labels, truth, regions)


def _multi(findings: pd.Series[str], masks: _Masks) -> _Labelled:
    shape = (len(findings), len(masks.files))
    regions: dict[int, dict[int, MaskFiles]] = {}
    for label, files in enumerate(masks.files.values()):
        for row, paths in files.items():
            regions.setdefault(row, {})[label] = MaskFiles(paths, shown=masks.task == "lungs")
    if masks.task == "lungs":  # every chest has lungs, annotated or not
        labels, truth = np.full(shape, PRESENT, np.int8), np.full(shape, UNKNOWN, np.int8)
        return _Labelled(tuple(masks.files), labels, truth, regions)
    known = (findings == _NORMAL).to_numpy().copy()
    known[sorted(masks.annotated)] = True
    labels = np.where(known[:, None], ABSENT, UNKNOWN).astype(np.int8).repeat(shape[1], axis=1)
    lacking = np.array([name in masks.lacking for name in masks.files], bool)
    labels[np.ix_((findings != _NORMAL).to_numpy(), lacking)] = UNKNOWN
    truth = labels.copy()
    for row, of_row in regions.items():
        labels[row, list(of_row)], truth[row, list(of_row)] = PRESENT, UNKNOWN
    return _Labelled(tuple(masks.files), labels, truth, regions)
