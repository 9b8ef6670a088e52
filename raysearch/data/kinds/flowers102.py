"""Oxford 102 flowers: Nilsback and Zisserman, ICVGIP 2008."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.io
from numpy.typing import NDArray

from raysearch.data._collection import View
from raysearch.data._manifest import FileManifest, MaskFiles, OtherColour, Region
from raysearch.data.kinds._base import MISSING, Kind, size_option, task_option
from raysearch.data.kinds._files import absent_folder, by_stem, files_in, image_folder, release_folder
from raysearch.data.kinds._labels import one_of
from raysearch.data.kinds._tables import find_table, listed_but_absent, refuse_nothing
from raysearch.errors import DataError

if TYPE_CHECKING:
    from raysearch.data._spec import DataSpec

SPECIES = 102

_PARTS = {"trnid": "train", "valid": "valid", "tstid": "test"}
_BACKGROUND = OtherColour((0, 0, 254), tolerance=40)
_MOST_BYTES = 250_000
"""The two files have 0.5 and 15 KB; packed arrays could ask for any amount of memory."""


class Flowers102(Kind):
    """``jpg/image_00001.jpg``, ``segmim/segmim_00001.jpg``, ``imagelabels.mat`` and ``setid.mat``; also in
    ``flowers-102/``.

    Classes are the 102 species by their numbers in ``imagelabels.mat``, the same in both views. The region of an
    image's own class is what is not blue in its segmentation: a pixel that differs from (0, 0, 254) by more than 40 in
    a channel, since these are JPEG files; the others have none. Every image is a patient of its own. The default size
    is next to the short side of 500 of the release.
    """

    name = "flowers102"
    title = "Oxford 102 flowers (Nilsback and Zisserman, 2008)"
    version = 2
    options = (task_option("species"), size_option(512), MISSING)

    def read(self, spec: DataSpec, view: View) -> FileManifest:
        root = release_folder(spec.path, self.title, ("imagelabels.mat", "jpg"), ("flowers-102",))
        tables = (find_table(root, "imagelabels.mat"), find_table(root, "setid.mat"))
        species = _numbers(tables[0], "labels")
        names = [f"image_{number:05d}.jpg" for number in range(1, len(species) + 1)]
        problems = [
            f"{name}: class {number} in imagelabels.mat; expected 1 to {SPECIES}"
            for name, number in zip(names, species.tolist(), strict=True)
            if not 1 <= number <= SPECIES
        ]
        official, wrong = _official(tables[1], names)
        problems += wrong
        files = by_stem(files_in(image_folder(root / "jpg")))
        there = np.array([Path(name).stem in files for name in names])
        absent, notes = listed_but_absent(
            names, np.array(names)[there].tolist(), tables[0].name, skip=spec["missing"] == "skip"
        )
        if neither := int((official == "").sum()):
            notes.append(f"{neither} images are in no part of {tables[1].name}: in no published part")
        rows = np.flatnonzero(there & (species >= 1) & (species <= SPECIES))
        refuse_nothing(len(rows), root, problems)
        ids = [names[row] for row in rows]
        own = species[rows] - 1
        labels, truth = one_of(own, SPECIES)
        regions = _regions(root, ids, own, problems)
        return FileManifest(
            root=root,
            channels=3,
            classes=tuple(f"species-{number:03d}" for number in range(1, SPECIES + 1)),
            ids=tuple(ids),
            paths=tuple(files[Path(name).stem] for name in ids),
            patients=np.array(ids),
            labels=labels,
            truth=truth,
            regions=regions,
            official=official[rows],
            tables=tables,
            problems=tuple(problems + absent),
            notes=tuple(notes),
        )


def _numbers(path: Path, name: str) -> NDArray[np.int64]:
    """The whole numbers of an array of a MATLAB file, in order.

    Raises:
        DataError: no MATLAB file, or none that holds such an array.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"more than {_MOST_BYTES:,} bytes")
        values = np.asarray(scipy.io.loadmat(path, variable_names=(name,))[name])
        if (
            values.dtype.kind not in "iuf"
            or not values.size
            or (values != np.round(values)).any()
            or np.abs(values).max() > _MOST_BYTES
        ):
            raise ValueError(f"'{name}' is no array of whole numbers")
        return values.ravel().astype(np.int64)
    except Exception as error:  # damaged bytes are answered with a dozen exception types
        reason = f"no '{name}'" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise DataError(f"table {path} cannot be read ({reason}); get the original file again") from None


def _official(table: Path, names: list[str]) -> tuple[NDArray[np.str_], list[str]]:
    """The published part of each image, and problem lines."""
    official = np.full(len(names), "", "<U5")
    problems = []
    for variable, part in _PARTS.items():
        numbers = _numbers(table, variable)
        known = (numbers >= 1) & (numbers <= len(names))
        problems += [f"image {number}: in {variable} of {table.name}, but not labelled" for number in numbers[~known]]
        rows = numbers[known] - 1
        problems += [f"{names[row]}: in two parts of {table.name}" for row in rows[official[rows] != ""]]
        official[rows] = part
    return official, problems


def _regions(root: Path, ids: list[str], own: NDArray[np.int64], problems: list[str]) -> dict[int, dict[int, Region]]:
    if not (root / "segmim").is_dir():
        raise DataError(f"mask {absent_folder(root / 'segmim')}; get 102segmentations.tgz of the release")
    files = by_stem(files_in(root / "segmim"))
    regions: dict[int, dict[int, Region]] = {}
    for row, (name, label) in enumerate(zip(ids, own.tolist(), strict=True)):
        stem = Path(name).stem.replace("image_", "segmim_")
        if stem in files:
            regions[row] = {label: MaskFiles((files[stem],), _BACKGROUND, shown=True)}
        else:
            problems.append(f"{name}: segmim/{stem}.jpg, its mask, is absent")
    return regions
