"""What names in lists and tables mean, where they are not written as the images are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from raysearch.data.kinds._patients import patient_number

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".img")
"""Endings of images, which lists leave out and conversions change."""


class Meant(NamedTuple):
    """What a list's names mean.

    Attributes:
        by_name: name in the list -> name of the image.
        unknown: names that are no image's, in the list's order.
        several: name in the list -> the images that it may mean.
    """

    by_name: dict[str, str]
    unknown: list[str]
    several: dict[str, list[str]]

    @property
    def respelt(self) -> list[str]:
        """Names that are not written as the images are called."""
        return [said for said, name in self.by_name.items() if said != name]

    def add(self, said: str, fitting: list[str]) -> None:
        """What a name in the list fits: one image, several, or none."""
        if len(fitting) == 1:
            self.by_name[said] = fitting[0]
        elif fitting:
            self.several[said] = fitting
        else:
            self.unknown.append(said)

    def notes(self, origin: str) -> list[str]:
        """A line on what was matched by another spelling, with an example; empty if nothing was."""
        if not (respelt := self.respelt):
            return []
        first = respelt[0]
        return [f"{len(respelt)} names of {origin} are not as the images are called: {first} is {self.by_name[first]}"]


def meant(said: Iterable[str], names: Iterable[str]) -> Meant:
    """Which images the names of a list mean.

    A name means the image of that name. Where there is none, it means the only image of which it is the path with other
    folders before it, or without some of these, and with another ending, or without one: ``images/a.png``, ``./a.PNG``
    and ``a`` are ``a.png``.

    Args:
        said: names in the list.
        names: of the images.
    """
    names = list(dict.fromkeys(names))
    exact = set(names)
    by_stem: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
    found = Meant({}, [], {})
    for name in dict.fromkeys(said):
        if name in exact:
            found.by_name[name] = name
            continue
        if not by_stem:
            for image in names:
                by_stem[_parts(image)[-1]].append((_parts(image), image))
        parts = _parts(name)
        fitting = [image for other, image in by_stem.get(parts[-1], ()) if _ends_alike(parts, other)]
        same_ending = [image for image in fitting if PurePosixPath(image).name == PurePosixPath(_slashes(name)).name]
        found.add(name, same_ending or fitting)
    return found


def meant_by_line(said: Iterable[str], names: Iterable[str]) -> Meant:
    """As `meant`, of lists whose lines may go on after a comma, with a mask or a class: a line that names no image
    means the one that stands before its first comma."""
    names = list(names)
    found = meant(said, names)
    first = {line: line.partition(",")[0].strip() for line in found.unknown if "," in line}
    before = meant(first.values(), names)
    found.by_name.update({line: before.by_name[name] for line, name in first.items() if name in before.by_name})
    found.several.update({line: before.several[name] for line, name in first.items() if name in before.several})
    unknown = [line for line in found.unknown if line not in found.by_name and line not in found.several]
    return found._replace(unknown=unknown)


def meant_patients(said: Iterable[str], names: Iterable[str]) -> Meant:
    """As `meant`, of patients: a number means the only patient of this number, however each is written (1, 1.0, 01)."""
    names = list(dict.fromkeys(names))
    by_number: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_number[patient_number(name) or name].append(name)
    found = Meant({}, [], {})
    exact = set(names)
    for name in dict.fromkeys(said):
        found.add(name, [name] if name in exact else by_number.get(patient_number(name) or name, []))
    return found


def stem(name: str) -> str:
    """A name without the ending of an image."""
    path, _, ending = name.rpartition(".")
    return path if path and f".{ending.lower()}" in ENDINGS else name


def _parts(name: str) -> tuple[str, ...]:
    *folders, last = PurePosixPath(_slashes(name)).parts or ("",)
    return (*folders, stem(last))


def _slashes(name: str) -> str:
    return name.replace("\\", "/")


def _ends_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the shorter path is the end of the longer one."""
    shared = min(len(one), len(other))
    return one[-shared:] == other[-shared:]
