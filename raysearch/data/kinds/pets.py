"""Oxford-IIIT Pet: Parkhi et al., Cats and Dogs, CVPR 2012."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raysearch.data._collection import View
from raysearch.data._manifest import FileManifest, MaskFiles, Region, Values
from raysearch.data.kinds._base import MISSING, Kind, Option, size_option, task_option
from raysearch.data.kinds._files import absent_folder, by_stem, files_in, image_folder, inside, release_folder
from raysearch.data.kinds._labels import one_of
from raysearch.data.kinds._names import meant
from raysearch.data.kinds._pet_heads import read_head
from raysearch.data.kinds._tables import absent_table, find_table, listed_but_absent, read_columns, refuse_nothing
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

SPECIES = ("cat", "dog")
_FILES = ("list.txt", "trainval.txt", "test.txt")

_PET, _BACKGROUND, _BORDER = _TRIMAP = 1, 2, 3
_FOREGROUND = {"pet": Values((_PET, _BORDER), _TRIMAP), "background": Values((_PET,), _TRIMAP)}


class Pets(Kind):
    """``images/*.jpg`` with ``annotations/list.txt``, ``trimaps/*.png``, ``xmls/*.xml``, and ``trainval.txt`` and
    ``test.txt``, the published parts.

    Tasks: ``breed`` (37 classes) and ``species`` (cat, dog), the same in both views. The region of an image's own class
    is the pet in its trimap, whose border (value 3, neither one nor the other) belongs to the pet or with
    ``border=background`` does not, or with ``regions=heads`` the head's box, which only some of published train have:
    it is UNKNOWN in the others. Every image is a patient of its own.
    """

    name = "pets"
    title = "Oxford-IIIT Pet (Parkhi et al., CVPR 2012)"
    version = 3
    options = (
        task_option("breed", "species"),
        Option(
            name="regions", default="trimaps", choices=("trimaps", "heads"), about="the whole pet, or its head's box"
        ),
        Option(name="border", default="pet", choices=tuple(_FOREGROUND), about="what a trimap's border counts as"),
        size_option(512),
        MISSING,
    )

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = release_folder(spec.path, self.title, ("annotations",), ("oxford-iiit-pet",))
        table = find_table(root / "annotations", "list.txt")
        listed, problems = _listed(table)
        parts, lists, wrong, said = _parts(root / "annotations", listed)
        files = by_stem(files_in(image_folder(root / "images")))
        there = [name for name in listed if name in files]
        absent, notes = listed_but_absent(list(listed), there, table.name, skip=spec["missing"] == "skip")
        refuse_nothing(len(there), root, problems)
        notes += said
        breeds = sorted({name.rpartition("_")[0] for name in listed})
        if spec["task"] == "breed":
            classes, own = tuple(breeds), [breeds.index(name.rpartition("_")[0]) for name in there]
        else:
            classes, own = SPECIES, [listed[name] for name in there]
        labels, truth = one_of(np.array(own, np.int64), len(classes))
        if spec["regions"] == "heads":
            regions, xmls = _heads(root, there, own, problems)
            if without := len(there) - len(xmls):
                notes.append(f"{without} images have no file in annotations/xmls/: where the head is is unknown")
            if unused := len(files_in(root / "annotations" / "xmls", (".xml",))) - len(xmls):
                notes.append(f"{unused} files of annotations/xmls/ belong to no image and are left out")
        else:
            regions, xmls = _trimaps(root, there, own, str(spec["border"]), problems), ()
        return FileManifest(
            root=root,
            channels=3,
            classes=classes,
            ids=tuple(files[name].name for name in there),
            paths=tuple(files[name] for name in there),
            patients=np.array(there),
            labels=labels,
            truth=truth,
            regions=regions,
            official=np.array([parts.get(name, "") for name in there]),
            tables=(table, *lists, *xmls),
            problems=tuple(problems + wrong + absent),
            notes=tuple(notes),
        )


def _listed(table: Path) -> tuple[dict[str, int], list[str]]:
    """Name -> species, and problem lines."""
    listed: dict[str, int] = {}
    problems = []
    for name, _, species, _ in read_columns(table, 4):
        if inside(table.parent, name) is None or "/" in name or not name.rpartition("_")[0]:
            problems.append(f"{name}: no name of the form Abyssinian_100 in {table.name}")
        elif species not in ("1", "2"):
            problems.append(f"{name}: species '{species}' in {table.name}; expected 1 (cat) or 2 (dog)")
        elif name in listed:
            problems.append(f"{name}: stands more than once in {table.name}")
        else:
            listed[name] = int(species) - 1
    return listed, problems


def _parts(folder: Path, listed: dict[str, int]) -> tuple[dict[str, str], tuple[Path, ...], list[str], list[str]]:
    """Name -> published part, the lists that were read (both or none), problem and note lines."""
    lists = (folder / "trainval.txt", folder / "test.txt")
    lacking = [absent_table(folder, path.name, _FILES) for path in lists if not path.is_file()]
    if lacking:
        lines = [(f"{line}: there is no official split", similar) for line, similar in lacking]
        return {}, (), [line for line, similar in lines if similar], [line for line, similar in lines if not similar]
    problems: list[str] = []
    notes: list[str] = []
    parts: list[set[str]] = []
    for path in lists:
        found = meant([row[0] for row in read_columns(path, 4)], listed)
        parts.append(set(found.by_name.values()))
        notes += found.notes(path.name)
        problems += [f"{name}: in {path.name}, but no image of list.txt" for name in found.unknown]
    train, test = parts
    problems += [f"{name}: in both trainval.txt and test.txt" for name in sorted(train & test)]
    if neither := len(listed.keys() - train - test):
        notes.append(f"{neither} images of list.txt are in neither trainval.txt nor test.txt: in no published part")
    return dict.fromkeys(train, "train") | dict.fromkeys(test, "test"), lists, problems, notes


def _trimaps(
    root: Path, names: list[str], own: list[int], border: str, problems: list[str]
) -> dict[int, dict[int, Region]]:
    """Regions.

    Raises:
        DataError: there is no folder of them.
    """
    folder = root / "annotations" / "trimaps"
    if not folder.is_dir():
        raise DataError(f"mask {absent_folder(folder)}; get it, or set regions=heads")
    files = by_stem(files_in(folder))
    regions: dict[int, dict[int, Region]] = {}
    for row, (name, label) in enumerate(zip(names, own, strict=True)):
        if name in files:
            regions[row] = {label: MaskFiles((files[name],), _FOREGROUND[border], shown=True)}
        else:
            problems.append(f"{name}: annotations/trimaps/{name}.png, its mask, is absent")
    return regions


def _heads(
    root: Path, names: list[str], own: list[int], problems: list[str]
) -> tuple[dict[int, dict[int, Region]], tuple[Path, ...]]:
    """Regions, and the files that they were read from.

    Raises:
        DataError: there is no folder of them.
    """
    folder = root / "annotations" / "xmls"
    if not folder.is_dir():
        raise DataError(f"{absent_folder(folder)}; get it, or set regions=trimaps")
    files = by_stem(files_in(folder, (".xml",)))
    regions: dict[int, dict[int, Region]] = {}
    read = []
    for row, (name, label) in enumerate(zip(names, own, strict=True)):
        if name not in files:
            continue
        path = files[name]
        read.append(path)
        try:
            regions[row] = {label: read_head(path)}
        except ValueError as error:
            problems.append(f"{name}: annotations/xmls/{path.name}: {error}")
    return regions, tuple(read)
