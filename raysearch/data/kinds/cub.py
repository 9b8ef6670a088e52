"""Caltech-UCSD Birds 200: Wah et al., CNS-TR-2011-001, with its segmentations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raysearch.data._collection import View
from raysearch.data._manifest import Boxes, Brighter, FileManifest, MaskFiles, Region
from raysearch.data.kinds._base import MISSING, Kind, Option, size_option, task_option
from raysearch.data.kinds._files import (
    Finder,
    absent_folder,
    first_folder,
    image_folder,
    inside,
    release_folder,
    similar_folder,
)
from raysearch.data.kinds._labels import one_of
from raysearch.data.kinds._tables import duplicates, find_table, listed_but_absent, read_keyed, refuse_nothing
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

CUB5 = (
    *("019.Gray_Catbird", "099.Ovenbird", "108.White_necked_Raven", "171.Myrtle_Warbler"),
    "178.Swainson_Warbler",
)
"""The species of Belharbi et al.'s CUB5 (min-max entropy, appendix B.1)."""

_AGREED = Brighter(127)
"""The segmentations are gray: how many of the annotators agree. More than half of them do."""

_PART = {"1": "train", "0": "test"}
_BOXES = "bounding_boxes.txt"
_TABLES = ("images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt", _BOXES)


class Cub(Kind):
    """``images.txt`` and the tables beside it, ``images/``, and ``segmentations/`` in the folder or beside it;
    ``CUB_200_2011/`` or its parent.

    Classes are the 200 species, or with ``classes=5`` those of CUB5, the same in both views. The region of an image's
    own class is where more than half of the annotators saw the bird, or with ``regions=boxes`` the bounding box; the
    others have none. Every image is a patient of its own. The default size is next to the short side of 500 that
    Belharbi et al. scale to.
    """

    name = "cub"
    title = "CUB-200-2011 (Wah et al., 2011)"
    version = 3
    options = (
        task_option("species"),
        Option(name="classes", default="200", choices=("200", "5"), about="all species, or the five of CUB5"),
        Option(name="regions", default="masks", choices=("masks", "boxes"), about="segmentations or bounding boxes"),
        size_option(512),
        MISSING,
    )

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = release_folder(spec.path, self.title, ("images.txt",), ("CUB_200_2011",))
        tables = [find_table(root, name) for name in _TABLES[: 5 if spec["regions"] == "boxes" else 4]]
        problems: list[str] = []
        listed, species, names, parts = (_pairs(table, problems) for table in tables[:4])
        classes = CUB5 if spec["classes"] == "5" else tuple(names.values())
        if absent_classes := [name for name in classes if name not in names.values()]:
            raise DataError(f"table {tables[2]} has no class '{absent_classes[0]}'; get the original file again")

        problems += duplicates(pd.Series(list(listed.values())), tables[0].name)
        problems += duplicates(pd.Series(list(names.values())), tables[2].name)
        problems += [f"{name}: leads out of images/" for name in listed.values() if inside(root, name) is None]
        for table, told, known in ((tables[1], species, names), (tables[3], parts, _PART)):
            problems += [
                f"{name}: no class or part in {table.name}"
                for key, name in listed.items()
                if told.get(key) not in known
            ]
        keep = [
            key
            for key, name in listed.items()
            if inside(root, name) and parts.get(key) in _PART and names.get(species.get(key, "")) in classes
        ]
        finder, images = Finder(), image_folder(root / "images")
        paths = {listed[key]: finder.find(images / listed[key]) for key in keep}
        there = {name: path for name, path in paths.items() if path is not None}
        absent, notes = listed_but_absent(
            [listed[key] for key in keep], there, tables[0].name, skip=spec["missing"] == "skip"
        )
        notes += finder.notes(tables[0].name)
        for table in tables[1:2] + tables[3:]:
            if other := len(read_keyed(table, 5 if table.name == _BOXES else 2)[0].keys() - listed.keys()):
                notes.append(f"{other} numbers of {table.name} are no image's in {tables[0].name}")
        keep = [key for key in keep if listed[key] in there]
        refuse_nothing(len(keep), root, problems)
        ids = [listed[key] for key in keep]
        own = np.array([classes.index(names[species[key]]) for key in keep], np.int64)
        labels, truth = one_of(own, len(classes))
        if spec["regions"] == "boxes":
            regions = _boxes(tables[4], keep, ids, own, problems)
        else:
            regions = _masks(root, ids, own, problems)
        return FileManifest(
            root=root.parent,  # the segmentations may lie beside the images
            channels=3,
            classes=classes,
            ids=tuple(ids),
            paths=tuple(there[name] for name in ids),
            patients=np.array(ids),
            labels=labels,
            truth=truth,
            regions=regions,
            official=np.array([_PART[parts[key]] for key in keep]),
            tables=tuple(tables),
            problems=tuple(problems + absent),
            notes=tuple(notes),
        )


def _pairs(table: Path, problems: list[str]) -> dict[str, str]:
    keyed, repeated = read_keyed(table, 2)
    problems += repeated
    return {key: cell for key, [cell] in keyed.items()}


def _masks(root: Path, ids: list[str], own: NDArray[np.int64], problems: list[str]) -> dict[int, dict[int, Region]]:
    folder = first_folder(root / "segmentations", root.parent / "segmentations")
    if folder is None:
        place = root.parent if similar_folder(root.parent, "segmentations") else root
        raise DataError(f"mask {absent_folder(place / 'segmentations')}; get it, or set regions=boxes")
    regions: dict[int, dict[int, Region]] = {}
    finder = Finder()
    for row, (name, label) in enumerate(zip(ids, own.tolist(), strict=True)):
        path = finder.find((folder / name).with_suffix(".png"))
        if path is not None:
            regions[row] = {label: MaskFiles((path,), _AGREED, shown=True)}
        else:
            problems.append(f"{name}: segmentations/{Path(name).with_suffix('.png')}, its mask, is absent")
    return regions


def _boxes(
    table: Path, keys: list[str], ids: list[str], own: NDArray[np.int64], problems: list[str]
) -> dict[int, dict[int, Region]]:
    boxes, repeated = read_keyed(table, 5)
    problems += repeated
    regions: dict[int, dict[int, Region]] = {}
    for row, (key, name, label) in enumerate(zip(keys, ids, own.tolist(), strict=True)):
        try:
            box = np.array([boxes.get(key, ())], np.float64)
        except ValueError:
            box = np.empty((1, 0))
        if box.shape == (1, 4) and np.isfinite(box).all() and (box[0, 2:] > 0).all():
            regions[row] = {label: Boxes(box, None)}
        else:
            problems.append(f"{name}: no box x y width height in {table.name}")
    return regions
