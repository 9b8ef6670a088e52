"""Where the files of a release lie."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from raysearch.data.kinds._tables import data_folder
from raysearch.errors import DataError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


_KEPT_BY_SYSTEMS = ("thumbs.db", "desktop.ini")
"""Files that systems put into folders, hidden ones apart."""


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


def is_name(name: str) -> bool:
    """Whether a table names a file that is in its folder itself."""
    return len(PurePosixPath(name).parts) == 1 and inside(Path(), name) is not None


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


def other_files(folder: Path, suffixes: Iterable[str] = IMAGES) -> list[Path]:
    """The files and folders in a folder that `files_in` leaves out, but for those that systems keep there."""
    known = {*files_in(folder, suffixes)}
    return [path for path in entries(folder) if path not in known and path.name.lower() not in _KEPT_BY_SYSTEMS]


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


class Finder:
    """Finds files that a table names. One that is not there under its own name is the only one whose name differs in
    the ending alone: ``a.JPG``, or ``a.png`` after a conversion, where the table says ``a.jpg``."""

    def __init__(self, suffixes: Iterable[str] = IMAGES) -> None:
        self._suffixes = tuple(suffixes)
        self._listed: dict[Path, dict[str, list[Path]]] = {}
        self._other: list[tuple[str, str]] = []
        self._given: dict[Path, Path] = {}

    def find(self, path: Path) -> Path | None:
        """The file; None if there is none.

        Raises:
            DataError: several files differ in the ending alone, one stands for two names, or the folder cannot be read.
        """
        if is_file(path):
            return self._give(path, path)
        if path.parent not in self._listed:
            self._listed[path.parent] = {}
            for file in files_in(path.parent, self._suffixes):
                self._listed[path.parent].setdefault(file.stem, []).append(file)
        found = self._listed[path.parent].get(path.stem, [])
        if len(found) > 1:
            names = " and ".join(file.name for file in found)
            raise DataError(f"{path.parent} holds {names}, and either may be {path.name}; keep one of them")
        if not found:
            return None
        self._other.append((path.name, found[0].name))
        return self._give(path, found[0])

    def _give(self, path: Path, file: Path) -> Path:
        if (other := self._given.setdefault(file, path)) != path:
            raise DataError(f"{file} may be both {other.name} and {path.name}; get the one that is absent")
        return file

    def notes(self, table: str) -> list[str]:
        """A line on files that have other endings than `table` has it; empty if none has."""
        if not self._other:
            return []
        said, name = self._other[0]
        return [f"{len(self._other)} images have other endings than in {table}, {name} for {said}"]


def image_folder(folder: Path) -> Path:
    """The folder that should hold the images.

    Raises:
        DataError: it does not exist.
    """
    if not folder.is_dir():
        raise DataError(f"image {absent_folder(folder)}; get it, or name the folder that holds it")
    return folder


def first_folder(*folders: Path) -> Path | None:
    """The first of these that exists."""
    return next((folder for folder in folders if folder.is_dir()), None)


def similar_folder(parent: Path, name: str, known: Iterable[str] = ()) -> Path | None:
    """The folder in `parent` whose name is most likely a misspelling of `name`; None if there is none.

    Args:
        known: names that mean something else.
    """
    folders = {path.name.lower(): path for path in entries(parent) if path.is_dir() and path.name not in known}
    match = difflib.get_close_matches(name.lower(), folders, n=1, cutoff=0.65)
    return folders[match[0]] if match else None


def absent_folder(folder: Path, known: Iterable[str] = (), root: Path | None = None) -> str:
    """What to say of a folder that does not exist: its name, and the folder that may be meant.

    Args:
        known: names that mean something else.
        root: where the folder's name begins; None for all of its path.
    """
    name = folder if root is None else folder.relative_to(root)
    similar = similar_folder(folder.parent, folder.name, known)
    meant = f", but {similar.name} does: rename it if it is the same" if similar else ""
    return f"folder {name} does not exist{meant}"
