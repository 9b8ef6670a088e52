"""JSRT: Shiraishi et al., AJR 2000, with the SCR masks of van Ginneken et al., Medical Image Analysis 2006."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from raysearch.data._collection import PRESENT, UNKNOWN, View
from raysearch.data._manifest import Boxes, Brighter, FileManifest, MaskFiles, RawPixels, Region
from raysearch.data.kinds._base import Kind, size_option, task_option
from raysearch.data.kinds._files import IMAGES, files_in, first_folder
from raysearch.data.kinds._labels import normal_or_not
from raysearch.data.kinds._tables import data_folder
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

_STEM = re.compile(r"JPC[LN]N\d{3}")
_NODULE = "JPCLN"
_RAW = RawPixels(width=2048, height=2048, dtype=">u2", highest=4095, inverted=True)
_MM = 0.175
"""Side of a pixel of the 2048 x 2048 frame in mm."""

_STRUCTURES = {"lungs": ("left lung", "right lung"), "heart": ("heart",)}
_FOLDS = {"fold1": "train", "fold2": "test"}
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
    version = 1
    options = (task_option("lungs", "heart", "nodule"), size_option(256))

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = data_folder(spec.path, self.title)
        files, raw = _images(root)
        stems = list(files)
        masks = first_folder(*(root / name / "fold1" for name in ("", "scratch", "scr", "SCR", "scr/scratch")))
        folds = masks.parent if masks else root
        fold_of = _fold_of(folds)
        problems: list[str] = []
        notes: list[str] = []
        tables: tuple[Path, ...] = ()
        if spec["task"] == "nodule":
            classes: tuple[str, ...] = ("normal", "nodule")
            labels, truth = normal_or_not(np.array([not stem.startswith(_NODULE) for stem in stems]))
            regions, tables = _nodules(root, stems, problems)
            if not tables:
                notes.append("CLNDAT_EN.txt is absent: where the nodules are is unknown")
        else:
            classes = (str(spec["task"]),)
            labels, truth = np.full((len(stems), 1), PRESENT, np.int8), np.full((len(stems), 1), UNKNOWN, np.int8)
            regions = _structures(folds, stems, fold_of, _STRUCTURES[classes[0]], problems)
            if missing := len(stems) - len(regions):
                notes.append(f"{missing} images have no mask of {classes[0]}: their region is unknown")
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
            raw=raw,
        )


def _images(root: Path) -> tuple[dict[str, Path], RawPixels | None]:
    """Stem -> file, and the layout if they are the release's files without a header.

    Raises:
        DataError: there are none.
    """
    for folder in (root / "All247images", root / "All247images" / "All247images", root / "images", root):
        for suffixes, raw in (((".img",), _RAW), (IMAGES, None)):
            files = {stem: path for stem, path in files_in(folder, suffixes).items() if _STEM.fullmatch(stem)}
            if files:
                return files, raw
    raise DataError(f"{root} holds no image All247images/JPCLN001.IMG; name the folder of {Jsrt.title}")


def _fold_of(folds: Path) -> dict[str, str]:
    """Stem -> the fold whose masks hold it."""
    return {
        path.stem: fold for fold in _FOLDS for path in sorted((folds / fold / "masks").glob("*/*.*")) if path.is_file()
    }


def _structures(
    folds: Path, stems: list[str], fold_of: dict[str, str], structures: tuple[str, ...], problems: list[str]
) -> dict[int, dict[int, Region]]:
    there = {
        (fold, structure): files_in(folds / fold / "masks" / structure, (".gif", *IMAGES))
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
            regions[row] = {0: MaskFiles(tuple(path for path in paths if path), _GRAY)}
        problems += [
            f"{stem}: {fold}/masks/{structure}/{stem}.gif, its mask, is absent"
            for structure, path in zip(structures, paths, strict=True)
            if path is None
        ]
    return regions


def _nodules(
    root: Path, stems: list[str], problems: list[str]
) -> tuple[dict[int, dict[int, Region]], tuple[Path, ...]]:
    folders = (root, root / "Clinical_Information", root / "Clinical_Information" / "Clinical_Information")
    tables = [folder / name for folder in folders for name in _TABLES if (folder / name).is_file()][:1]
    found: dict[str, NDArray[np.float64]] = {}
    for table in tables:
        try:
            lines = table.read_text("latin-1").splitlines()
        except OSError as error:
            raise DataError(f"table {table} cannot be read ({error.strerror}); get the original file again") from None
        for cells in (line.split("\t") for line in lines if line.strip()):
            stem = cells[0].strip().partition(".")[0]
            try:
                found[stem] = _square(*(float(cells[column]) for column in (_SIZE, _X, _Y)))
            except (ValueError, IndexError):
                problems.append(
                    f"{stem}: no size, x and y in cells 3, 6 and 7 of {table.name}, or not inside the image"
                )
    rows = {stem: row for row, stem in enumerate(stems)}
    frame = (_RAW.width, _RAW.height)
    return {rows[stem]: {1: Boxes(box[None], frame)} for stem, box in found.items() if stem in rows}, tuple(tables)


def _square(size: float, x: float, y: float) -> NDArray[np.float64]:
    """Left, top, width and height of the square around a centre; ValueError if that is not in the image."""
    side = size / _MM
    if not (0 < side < _RAW.width and 0 <= x < _RAW.width and 0 <= y < _RAW.height):
        raise ValueError
    return np.array([x - side / 2, y - side / 2, side, side])
