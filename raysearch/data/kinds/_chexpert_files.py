"""Where the images of CheXpert lie: in a folder a part, or in the batches that Stanford ships since 2021."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from raysearch.data.kinds._files import Finder, entries

_NAMES = {"train": ("train",), "valid": ("valid", "val"), "test": ("test",)}
_BATCH = {
    "train": re.compile(r".*batch \d+ \(train \d+\).*", re.IGNORECASE),
    "valid": re.compile(r".*batch \d+ \(valid.*", re.IGNORECASE),
}
"""Folders such as ``CheXpert-v1.0 batch 2 (train 1)`` of patients, and ``batch 1 (validate & csv)`` with ``valid/``."""


def names_of(part: str) -> tuple[str, ...]:
    """Names that the folder of a part has."""
    return _NAMES[part]


def part_folders(root: Path, part: str) -> list[Path]:
    """The folders that hold the patients of a part: the one of its name in the folder of the tables, or, where there is
    none, those inside the batches that lie in it or beside it."""
    own = [root / name for name in _NAMES[part] if (root / name).is_dir()]
    if own or part not in _BATCH:
        return own[:1] or [root / part]
    for place in (root, root.parent):
        batches = [path for path in entries(place) if path.is_dir() and _BATCH[part].fullmatch(path.name)]
        inner = [batch / name for batch in batches for name in _NAMES[part] if (batch / name).is_dir()]
        if found := inner or (batches if part == "train" else []):
            return found
    return [root / part]


def find_files(
    images: Iterable[tuple[str, str]], folders: Mapping[str, Sequence[Path]], finder: Finder
) -> tuple[list[Path | None], list[str]]:
    """The file of each image, None if it is absent, and a problem line for every image that two batches hold.

    Args:
        images: part and what is below its folder, ``patient00001/study1/view1_frontal.jpg``.
        folders: by part.
    """
    patients = {
        folder: {path.name for path in entries(folder)}
        for of_part in folders.values()
        for folder in of_part
        if len(of_part) > 1
    }
    files: list[Path | None] = []
    problems = []
    for part, below in images:
        patient = below.partition("/")[0]
        places = [folder for folder in folders[part] if folder not in patients or patient in patients[folder]]
        found = [path for folder in places if (path := finder.find(folder / below)) is not None]
        if len(found) > 1:
            problems.append(f"{part}/{below}: is in both {places[0].name} and {places[1].name}; keep one of them")
        files.append(found[0] if found else None)
    return files, problems
