"""Montgomery County chest X-rays: Jaeger et al., Quantitative Imaging in Medicine and Surgery 2014."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from raysearch.data._collection import PRESENT, UNKNOWN, View
from raysearch.data._manifest import FileManifest, MaskFiles, Region
from raysearch.data.kinds._base import Kind, size_option, task_option
from raysearch.data.kinds._files import absent_folder, by_stem, files_in, other_files, release_folder
from raysearch.data.kinds._labels import normal_or_not
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

_STEM = re.compile(r"MCUCXR_\d+_([01])")
_MASKS = ("leftMask", "rightMask")


class Montgomery(Kind):
    """``CXR_png/MCUCXR_0001_0.png`` with ``ManualMask/leftMask/`` and ``rightMask/``, in ``MontgomerySet/`` or its
    parent.

    Tasks: ``lungs`` (the union of both, one class that every image has, the same in both views) and
    ``normal-vs-abnormal`` (from the last digit of the name: 0 normal, 1 tuberculosis; where the disease is, nobody
    annotated). Every image is of another patient; no split is published. ``ClinicalReadings/`` is not read.
    """

    name = "montgomery"
    title = "Montgomery County chest X-rays (Jaeger et al., 2014)"
    version = 2
    options = (task_option("lungs", "normal-vs-abnormal"), size_option(256))

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = release_folder(spec.path, self.title, ("CXR_png",), ("MontgomerySet",))
        found = files_in(root / "CXR_png")
        files = by_stem(path for path in found if _STEM.fullmatch(path.stem))
        stems = list(files)
        if not stems:
            raise DataError(f"{root / 'CXR_png'} holds no image MCUCXR_0001_0.png; get the original files again")
        notes = []
        if other := len(found) - len(stems):
            notes.append(f"{other} images with other names than MCUCXR_0001_0.png are left out")
        if unused_files := other_files(root / "CXR_png"):
            notes.append(f"{len(unused_files)} files beside the images are left out, {unused_files[0].name} for one")
        regions: dict[int, dict[int, Region]] = {}
        problems: list[str] = []
        if spec["task"] == "lungs":
            classes: tuple[str, ...] = ("lungs",)
            labels, truth = np.full((len(stems), 1), PRESENT, np.int8), np.full((len(stems), 1), UNKNOWN, np.int8)
            regions, problems, unused = _lungs(root / "ManualMask", stems)
            if unused:
                notes.append(f"{unused} masks belong to no image of CXR_png and are left out")
        else:
            classes = ("normal", "abnormal")
            labels, truth = normal_or_not(np.array([stem.endswith("_0") for stem in stems]))
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
            official=np.full(len(stems), "", "<U5"),
            tables=(),
            problems=tuple(problems),
            notes=tuple(notes),
        )


def _lungs(folder: Path, stems: list[str]) -> tuple[dict[int, dict[int, Region]], list[str], int]:
    """Regions, problem lines, and how many mask files belong to no image."""
    if not folder.is_dir():
        raise DataError(f"mask {absent_folder(folder)}; get it, or choose another task")
    if lacking := [absent_folder(folder / name, _MASKS) for name in _MASKS if not (folder / name).is_dir()]:
        raise DataError(f"mask {lacking[0]}; get it, or choose another task")
    sides = {name: by_stem(files_in(folder / name)) for name in _MASKS}
    regions: dict[int, dict[int, Region]] = {}
    problems = []
    for row, stem in enumerate(stems):
        paths = tuple(files[stem] for files in sides.values() if stem in files)
        if len(paths) == len(_MASKS):
            regions[row] = {0: MaskFiles(paths, shown=True)}
        problems += [f"{stem}: ManualMask/{name}/{stem}.png is absent" for name in _MASKS if stem not in sides[name]]
    return regions, problems, sum(len(files.keys() - set(stems)) for files in sides.values())
