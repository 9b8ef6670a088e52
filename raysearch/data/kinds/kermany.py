"""Pneumonia in children's chest X-rays: Kermany et al., Cell 2018, in the layouts of its releases."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raysearch.data._collection import View
from raysearch.data._manifest import FileManifest
from raysearch.data.kinds._base import Kind, size_option, task_option
from raysearch.data.kinds._files import entries, files_in, other_files, release_folder
from raysearch.data.kinds._labels import normal_or_not
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

_CLASSES = ("NORMAL", "PNEUMONIA")
_PARTS = {"train": "train", "val": "train", "test": "test"}
_OPTIONAL = ("val",)
_PATIENT = (
    re.compile(r"(person\d+)_(?:bacteria|virus)_\d+"),
    re.compile(r"((?:NORMAL2-)?IM-\d+)-\d+(?:-\d+)*"),
    re.compile(r"(?:NORMAL|BACTERIA|VIRUS)-(\d+)-\d+"),
)
"""Names of the second release, its normal images, and the third release's <disease>-<patient>-<image>."""


class Kermany(Kind):
    """``train/``, ``val/`` and ``test/`` with ``NORMAL/*.jpeg`` and ``PNEUMONIA/*.jpeg`` each, in ``chest_xray/`` or
    its parent.

    Classes normal and pneumonia, the same in both views; where a pneumonia is, nobody annotated. Published test is
    test; ``val``, 16 images that a later packing took out of train, counts as published train and may be absent.

    Patients are read from the names: ``person12_bacteria_3`` is patient 12, whatever the germ, ``IM-0115-0001`` and
    ``NORMAL2-IM-0115-0001`` are two. The numbers start again in ``test``, which the authors made of other patients, so
    the same number there is someone else. The images themselves were not compared.
    """

    name = "kermany"
    title = "Chest X-ray pneumonia (Kermany et al., Cell 2018)"
    version = 1
    options = (task_option("normal-vs-pneumonia"), size_option(256))

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = release_folder(spec.path, self.title, ("train",), ("chest_xray", "chest_xray/chest_xray"))
        found = {(folder, name): files_in(root / folder / name) for folder in _PARTS for name in _CLASSES}
        rows = [(path, _PARTS[folder], name) for (folder, name), files in found.items() for path in files]
        if not rows:
            raise DataError(f"{root} holds no image train/NORMAL/*.jpeg; get the original files again")
        problems = [
            f"{folder}/{name}: holds no image; get the original files again"
            for (folder, name), files in found.items()
            if not files and folder not in _OPTIONAL
        ]
        ids = [path.relative_to(root).as_posix() for path, _, _ in rows]
        problems += _contradictions(rows, ids)
        owners = [_patient(path.stem) for path, _, _ in rows]
        patients = [f"{part}/{owner or path.stem}" for (path, part, _), owner in zip(rows, owners, strict=True)]
        notes = ["patients are what the file names tell of them", *_doubled(ids)]
        if unnamed := owners.count(None):
            notes.append(f"{unnamed} file names tell no patient: each of these images is a patient of its own")
        if val := sum(name.startswith("val/") for name in ids):
            notes.append(f"the {val} images of val count as published train")
        problems += [
            f"folder {path.name} holds images of these classes and is no part; expected {', '.join(_PARTS)}: rename it"
            for path in entries(root)
            if path.name not in _PARTS and any((path / name).is_dir() for name in _CLASSES)
        ]
        unused = [path for part, name in found for path in other_files(root / part / name)]
        if unused:
            notes.append(
                f"{len(unused)} files or folders beside the images are left out,"
                f" {unused[0].relative_to(root).as_posix()} for one"
            )
        others = [path for folder in _PARTS for path in entries(root / folder) if path.is_dir()]
        if unread := [path.relative_to(root).as_posix() for path in others if path.name not in _CLASSES]:
            notes.append(f"folders other than {' and '.join(_CLASSES)} are left out: {', '.join(unread)}")
        labels, truth = normal_or_not(np.array([name == "NORMAL" for _, _, name in rows]))
        return FileManifest(
            root=root,
            channels=1,
            classes=("normal", "pneumonia"),
            ids=tuple(ids),
            paths=tuple(path for path, _, _ in rows),
            patients=np.array(patients),
            labels=labels,
            truth=truth,
            regions={},
            official=np.array([part for _, part, _ in rows]),
            tables=(),
            problems=tuple(problems),
            notes=tuple(notes),
        )


def _contradictions(rows: list[tuple[Path, str, str]], ids: list[str]) -> list[str]:
    """A problem line for every image of a published part, as (path, part, class), whose name stands for both classes:
    in these releases a name is of one image alone."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    problems = []
    for (path, part, name), image in zip(rows, ids, strict=True):
        other, known = first.setdefault((part, path.stem), (name, image))
        if other != name:
            problems.append(f"{image}: an image of the same name is {known}; keep the one in the right folder")
    return problems


def _doubled(ids: list[str]) -> list[str]:
    """A note on images whose names differ in the ending alone: copies of one, or two."""
    first: dict[str, str] = {}
    pairs = [(other, image) for image in ids if (other := first.setdefault(image.rpartition(".")[0], image)) != image]
    if not pairs:
        return []
    return [f"{len(pairs)} images have another's name but for the ending, {' and '.join(pairs[0])}: they count as two"]


def _patient(stem: str) -> str | None:
    return next((match[1] for pattern in _PATIENT if (match := pattern.fullmatch(stem))), None)
