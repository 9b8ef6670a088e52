"""JSRT: Shiraishi et al., AJR 2000, with the SCR masks of van Ginneken et al., Medical Image Analysis 2006."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, UNKNOWN, View
from raysearch.data._image_file import RAW
from raysearch.data._manifest import Boxes, Brighter, FileManifest, MaskFiles, Region
from raysearch.data.kinds._base import Kind, size_option, task_option
from raysearch.data.kinds._box_tables import fits_its_file
from raysearch.data.kinds._files import (
    IMAGES,
    absent_folder,
    by_stem,
    entries,
    files_in,
    first_folder,
    only_folder,
    similar_folder,
)
from raysearch.data.kinds._labels import normal_or_not
from raysearch.data.kinds._tables import absent_table, data_folder, one_line
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

_STEM = re.compile(r"JPC[LN]N\d{3}")
_NODULE = "JPCLN"
_SIDE = 2048
"""Width and height of the release's images, which the table of nodules is about."""
_MM = 0.175
"""Side of a pixel of them in mm."""

_STRUCTURES = {"lungs": ("left lung", "right lung"), "heart": ("heart",)}
_ALL = ("left lung", "right lung", "heart", "left clavicle", "right clavicle")
_FOLDS = {"fold1": "train", "fold2": "test"}
_MASKS = (".gif", *IMAGES)
_GRAY = Brighter(127)
_TABLES = ("CLNDAT_EN.txt", "CLNDAT_EN.TXT")
_SIZE, _X, _Y = 2, 5, 6
"""Cells of the table of nodules: file, subtlety, size in mm, age, sex, x, y, and what follows."""


class Jsrt(Kind):
    """``All247images/JPCLN001.IMG`` to ``JPCNN093.IMG`` (2048 x 2048, no header), or PNG, JPEG, BMP or TIFF files of
    these names in ``All247images/``, ``images/`` or the folder itself; SCR's masks in ``fold1/masks/left lung/`` and so
    on, also below ``scratch/`` or ``scr/``.

    Tasks: ``lungs`` (the union of both) and ``heart`` are one class that every image has, the same in both views;
    ``nodule`` has the classes normal (JPCNN) and nodule (JPCLN), whose region is the square around the centre, with the
    size for its side, that ``Clinical_Information/CLNDAT_EN.txt`` tells, and UNKNOWN without that table. Every image is
    of another patient. SCR's fold1 is published train, fold2 published test; images in neither have no part.
    """

    name = "jsrt"
    title = "JSRT with SCR (Shiraishi et al., 2000; van Ginneken et al., 2006)"
    version = 3
    options = (task_option("lungs", "heart", "nodule"), size_option(256))

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root, files = _release(spec.path)
        stems = list(files)
        places = ("", "scratch", "scr", "SCR", "scr/scratch")
        masks = first_folder(*(root / name / fold for name in places for fold in _FOLDS))
        folds = masks.parent if masks else root
        problems = _misspelt(folds)
        notes = _other_forms(root, files)
        fold_of = _fold_of(folds, problems)
        tables: tuple[Path, ...] = ()
        if spec["task"] == "nodule":
            classes: tuple[str, ...] = ("normal", "nodule")
            labels, truth = normal_or_not(np.array([not stem.startswith(_NODULE) for stem in stems]))
            regions, tables = _nodules(root, files, problems, notes)
        else:
            classes = (str(spec["task"]),)
            labels, truth = np.full((len(stems), 1), PRESENT, np.int8), np.full((len(stems), 1), UNKNOWN, np.int8)
            regions = _structures(folds, stems, fold_of, _STRUCTURES[classes[0]], problems)
            if not regions and not problems:
                raise DataError(
                    f"{root}: no image has a mask of {classes[0]}; put SCR's fold1/masks and fold2/masks there, or"
                    " choose task=nodule"
                )
            if missing := len(stems) - len(regions):
                notes.append(f"{missing} images have no mask of {classes[0]}: their region is unknown")
            if unused := len(fold_of.keys() - set(stems)):
                notes.append(f"masks of {unused} images that are not there are left out")
        return FileManifest(
            root=root,
            channels=1,
            classes=classes,
            ids=tuple(path.name for path in files.values()),
            paths=tuple(files.values()),
            patients=np.array(stems),
            labels=labels,
            truth=truth,
            regions=regions,
            official=np.array([_FOLDS.get(fold_of.get(stem, ""), "") for stem in stems]),
            tables=tables,
            problems=tuple(problems),
            notes=tuple(notes),
        )


def _release(path: str | None) -> tuple[Path, dict[str, Path]]:
    """The folder of the release, the one that was named or the only one inside it, and its images by their stems.

    Raises:
        DataError: there is no such folder, there are no images, or images in several folders.
    """
    named = data_folder(path, Jsrt.title)
    folder = named if _images(named) else only_folder(named, Jsrt.title, _images)
    if folder is None:
        raise DataError(f"{named} holds no image All247images/JPCLN001.IMG; name the folder of {Jsrt.title}")
    return folder, _images(folder)


def _images(root: Path) -> dict[str, Path]:
    """Stem -> file: the release's files without a header, or pictures; empty if there are none."""
    for folder in _places(root):
        for suffixes in (RAW, IMAGES):
            files = by_stem(path for path in files_in(folder, suffixes) if _STEM.fullmatch(path.stem))
            if files:
                return files
    return {}


def _other_forms(root: Path, files: dict[str, Path]) -> list[str]:
    """A note on images that are there in another place or form too."""
    read = next(iter(files.values()))
    others = {
        (folder, ending)
        for folder in _places(root)
        for ending, suffixes in (("*.IMG", RAW), ("pictures", IMAGES))
        if any(path.stem in files and path != files[path.stem] for path in files_in(folder, suffixes))
    }
    if not others:
        return []
    names = sorted(f"{ending} in {folder.name}/" for folder, ending in others)
    return [f"images are read from {read.parent.name}/, {read.name} for one; there are also {', '.join(names)}"]


def _places(root: Path) -> tuple[Path, ...]:
    return root / "All247images", root / "All247images" / "All247images", root / "images", root


def _misspelt(folds: Path) -> list[str]:
    """A problem line for every folder of masks that is perhaps spelt otherwise."""
    lines = [absent_folder(folds / fold, _FOLDS, folds) for fold in _FOLDS if _has_similar(folds / fold, tuple(_FOLDS))]
    inner = [folds / fold / "masks" for fold in _FOLDS if (folds / fold).is_dir()]
    return lines + [absent_folder(folder, root=folds) for folder in inner if _has_similar(folder)]


def _has_similar(folder: Path, known: tuple[str, ...] = ()) -> bool:
    return not folder.is_dir() and similar_folder(folder.parent, folder.name, known) is not None


def _fold_of(folds: Path, problems: list[str]) -> dict[str, str]:
    """Stem -> the fold whose masks hold it; an image in both is a problem."""
    first, second = (
        {path.stem for structure in entries(folds / fold / "masks") for path in files_in(structure, _MASKS)}
        for fold in _FOLDS
    )
    problems += [f"{stem}: masks in both {' and '.join(_FOLDS)}; keep one fold's" for stem in sorted(first & second)]
    return {stem: fold for fold, stems in zip(_FOLDS, (first, second), strict=True) for stem in stems}


def _structures(
    folds: Path, stems: list[str], fold_of: dict[str, str], structures: tuple[str, ...], problems: list[str]
) -> dict[int, dict[int, Region]]:
    absent = [
        folds / fold / "masks" / structure
        for fold in _FOLDS
        for structure in structures
        if (folds / fold).is_dir() and not (folds / fold / "masks" / structure).is_dir()
    ]
    if lines := [absent_folder(path, _ALL, folds) for path in absent if similar_folder(path.parent, path.name, _ALL)]:
        problems += lines
        return {}
    there = {
        (fold, structure): by_stem(files_in(folds / fold / "masks" / structure, _MASKS))
        for fold in _FOLDS
        for structure in structures
    }
    regions: dict[int, dict[int, Region]] = {}
    for row, stem in enumerate(stems):
        if stem not in fold_of:
            continue
        fold = fold_of[stem]
        paths = [there[fold, structure].get(stem) for structure in structures]
        if all(paths):
            regions[row] = {0: MaskFiles(tuple(path for path in paths if path), _GRAY, shown=True)}
        problems += [
            f"{stem}: {fold}/masks/{structure}/{stem}.gif, its mask, is absent"
            for structure, path in zip(structures, paths, strict=True)
            if path is None
        ]
    return regions


def _nodules(
    root: Path, files: dict[str, Path], problems: list[str], notes: list[str]
) -> tuple[dict[int, dict[int, Region]], tuple[Path, ...]]:
    """Regions, and the table that they were read from, if there is one. An image has one nodule.

    Raises:
        DataError: the table cannot be read or has no rows.
    """
    stems = list(files)
    folders = (root, root / "Clinical_Information", root / "Clinical_Information" / "Clinical_Information")
    table = next((folder / name for folder in folders for name in _TABLES if (folder / name).is_file()), None)
    if table is None:
        said = [absent_table(folder, _TABLES[0]) for folder in folders if folder.is_dir()]
        if similar := [line for line, is_similar in said if is_similar]:
            problems.append(similar[0])
        notes.append(f"{_TABLES[0]} is absent: where the nodules are is unknown")
        return {}, ()
    try:
        content = table.read_bytes()
    except OSError as error:
        raise DataError(f"table {table} cannot be read ({error.strerror}); get the original file again") from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"table {table} cannot be read (UTF-16); get the original file again, or save it as UTF-8")
    text = content.removeprefix(codecs.BOM_UTF8).decode("latin-1").rstrip("\x1a")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"table {table} has no rows; get the original file again")
    found: dict[str, Region | None] = {}
    for cells in (line.split("\t") for line in lines):
        stem = one_line(cells[0].strip().partition(".")[0])
        if not _STEM.fullmatch(stem) or not stem.startswith(_NODULE):
            problems.append(f"{stem}: has a row in {table.name}, which is of images with a nodule: JPCLN001 and so on")
        elif stem in found:
            problems.append(f"{stem}: stands more than once in {table.name}")
        else:
            try:
                box = _square(*(float(cells[column]) for column in (_SIZE, _X, _Y)))
                found[stem] = Boxes(box[None], (_SIDE, _SIDE))
            except (ValueError, IndexError):
                found[stem] = None
                problems.append(
                    f"{stem}: no size, x and y in cells 3, 6 and 7 of {table.name}, or not inside the image"
                )
    problems += [f"{stem}: no row in {table.name}" for stem in stems if stem.startswith(_NODULE) and stem not in found]
    if unused := len(found.keys() - set(stems)):
        notes.append(f"{unused} rows of {table.name} are of images that are not there")
    regions = {stem: region for stem, region in found.items() if isinstance(region, Boxes)}
    inside = {stem: region.boxes.tolist() for stem, region in regions.items()}
    if size := fits_its_file(inside, files, (_SIDE, _SIDE)):
        notes.append(
            f"no nodule of {table.name} reaches beyond its image as it is in its file ({size} for one); x and y are"
            f" taken for pixels of the release's {_SIDE}x{_SIDE}: they must not be scaled along with the images"
        )
    boxes = [(row, found.get(stem)) for row, stem in enumerate(stems)]
    return {row: {1: box} for row, box in boxes if box is not None}, (table,)


def _square(size: float, x: float, y: float) -> NDArray[np.float64]:
    """Left, top, width and height of what the image holds of the square around a centre; ValueError if the image does
    not hold the centre."""
    side = size / _MM
    if not (0 < side < _SIDE and 0 <= x < _SIDE and 0 <= y < _SIDE) or max(x, y) <= 1:  # shares of the image
        raise ValueError
    left, top = max(0.0, x - side / 2), max(0.0, y - side / 2)
    return np.array([left, top, min(x + side / 2, _SIDE) - left, min(y + side / 2, _SIDE) - top])
