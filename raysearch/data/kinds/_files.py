"""Where the files of a release lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from raysearch.data.kinds._tables import data_folder
from raysearch.errors import DataError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def release_folder(path: str | None, title: str, holds: Sequence[str], inner: Sequence[str] = ()) -> Path:
    """The folder of a release: the one that was named, one of `inner` inside it, or the only one inside it that is a
    release.

    Args:
        holds: files or folders, one of which a release has.

    Raises:
        DataError: no such folder, none of these is in it, or several folders inside it are releases.
    """
    root = data_folder(path, title)
    for folder in (root, *(root / name for name in inner)):
        if _is_release(folder, holds):
            return folder
    found = only_folder(root, title, lambda folder: _is_release(folder, holds))
    if found is None:
        raise DataError(f"{root} holds no {' or '.join(holds)}; name the folder of {title}")
    return found


def only_folder(root: Path, title: str, is_release: Callable[[Path], object]) -> Path | None:
    """The folder inside `root` that is a release; None if there is none.

    Raises:
        DataError: there are several.
    """
    found = [folder for folder in entries(root) if folder.is_dir() and is_release(folder)]
    if len(found) > 1:
        names = ", ".join(folder.name for folder in found)
        raise DataError(f"{root} holds {names}, which may all be the folder of {title}; name one of them")
    return found[0] if found else None


def _is_release(folder: Path, holds: Sequence[str]) -> bool:
    return any(os.path.exists(folder / name) for name in holds)


def inside(folder: Path, name: str) -> Path | None:
    """The path of a file that a table names; None for a name that leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        return None
    return folder.joinpath(*parts)


def is_file(path: Path) -> bool:
    """As `Path.is_file`, and False for a name that no file can have."""
    return os.path.isfile(path)


def entries(folder: Path) -> list[Path]:
    """What a folder holds, in the order of the names; hidden ones are left out. Nothing if there is no such folder.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"folder {folder} cannot be read ({reason}); check its permissions and the disk") from None


def files_in(folder: Path, suffixes: Iterable[str] = IMAGES) -> list[Path]:
    """The entries of a folder with one of these endings; DataError as `entries`."""
    known = tuple(suffixes)
    return [path for path in entries(folder) if path.suffix.lower() in known]


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Stem -> file.

    Raises:
        DataError: two files have the same stem: which of them is meant, nothing tells.
    """
    found: dict[str, Path] = {}
    for path in files:
        if (other := found.setdefault(path.stem, path)) != path:
            raise DataError(f"{path.parent} holds both {other.name} and {path.name}; keep one of them")
    return found


def first_folder(*folders: Path) -> Path | None:
    """The first of these that exists."""
    return next((folder for folder in folders if folder.is_dir()), None)
