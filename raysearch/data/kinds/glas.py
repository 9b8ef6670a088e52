"""GlaS: gland segmentation in colon histology, Sirinukunwattana et al., Medical Image Analysis 2017."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from raysearch.data._collection import ABSENT, PRESENT, UNKNOWN, View
from raysearch.data._manifest import FileManifest, MaskFiles
from raysearch.data.kinds._base import MISSING, Kind, Option, size_option, task_option
from raysearch.data.kinds._files import by_stem, files_in
from raysearch.data.kinds._patients import read_patients
from raysearch.data.kinds._tables import data_folder, duplicates, find_table, listed_but_absent, read_table
from raysearch.errors import nearest

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

CLASSES = ("benign", "malignant")

_FOLDER = "Warwick QU Dataset (Released 2016_07_08)"
_COLUMNS = ("name", "patient ID", "grade (GlaS)")


def _part(name: str) -> str:
    """The published part of an image, empty if its name tells none."""
    return next((part for part in ("train", "test") if name.startswith(part)), "")


class Glas(Kind):
    """Images ``train_1.bmp`` to ``train_85.bmp``, ``testA_*.bmp``, ``testB_*.bmp``, glands in ``*_anno.bmp``; other
    endings will do.

    Classes benign and malignant, the same in both views. The region of an image's own class is the union of its glands,
    the other class has none. The published parts share 11 of the 16 patients: with ``patients=id`` they can therefore
    not be used as a split; ``patients=image`` takes every image for a patient of its own, as publications on the set
    do. The default size is next to the release's 775 x 522, and holds the crops of 480 of Belharbi et al. (min-max
    entropy).
    """

    name = "glas"
    title = "GlaS, Warwick QU (Sirinukunwattana et al., 2017)"
    version = 2
    options = (
        task_option("glands"),
        size_option(768),
        Option(
            name="patients",
            default="id",
            choices=("id", "image"),
            about="id: the table's patients stay together; image: every image is a patient of its own",
        ),
        MISSING,
    )

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = data_folder(spec.path, self.title)
        if (root / _FOLDER).is_dir():
            root = root / _FOLDER
        grade = find_table(root, "Grade.csv")
        table = read_table(grade, _COLUMNS)
        problems = duplicates(table["name"], grade.name)
        table["patient ID"], wrong, said = read_patients(table["name"], table["patient ID"], grade.name)
        problems += wrong
        for image, found in zip(table["name"], table["grade (GlaS)"], strict=True):
            if found not in CLASSES:
                problems.append(f"{image}: unknown grade '{found}' in {grade.name}; {nearest(found, CLASSES)}")

        files = by_stem(files_in(root))
        absent, notes = listed_but_absent(table["name"], files, grade.name, skip=spec["missing"] == "skip")
        notes += said
        table = table[table["name"].isin(list(files))].reset_index(drop=True)
        annotated = table["name"].map(lambda name: f"{name}_anno" in files)
        problems += [f"{name}: {name}_anno.bmp, its mask, is absent" for name in table["name"][~annotated]]
        if extra := len({name for name in files if not name.endswith("_anno")} - set(table["name"])):
            notes.append(f"{extra} images in the folder are not listed in {grade.name} and left out")

        masks = {name.removesuffix("_anno") for name in files if name.endswith("_anno")}
        if unused := len(masks - set(table["name"])):
            notes.append(f"{unused} masks in the folder are of no image that {grade.name} lists and are left out")
        official = table["name"].map(_part).to_numpy(dtype=str)
        if nowhere := table["name"][official == ""].tolist():
            notes.append(
                f"{len(nowhere)} images are in no published part, {nowhere[0]} for one; expected names such as train_1"
                " and testA_1"
            )

        patients = table["patient ID"]
        if spec["patients"] == "image":
            patients = table["name"]
            notes.append("patients=image: images of one patient may fall in different parts, scores are optimistic")
        benign = (table["grade (GlaS)"] == CLASSES[0]).to_numpy()
        labels = np.where(np.stack([benign, ~benign], axis=1), PRESENT, ABSENT).astype(np.int8)
        return FileManifest(
            root=root,
            channels=3,
            classes=CLASSES,
            ids=tuple(files[name].name for name in table["name"]),
            paths=tuple(files[name] for name in table["name"]),
            patients=patients.to_numpy(dtype=str),
            labels=labels,
            truth=np.where(labels == PRESENT, UNKNOWN, ABSENT).astype(np.int8),
            regions={
                row: {int(not benign[row]): MaskFiles((files[f"{name}_anno"],), shown=True)}
                for row, name in enumerate(table["name"])
                if annotated[row]
            },
            official=official,
            tables=(grade,),
            problems=tuple(problems + absent),
            notes=tuple(notes),
        )
