"""What a person would see at a glance: how wide the values are, how large the regions, and what looks wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from raysearch._text import counted

_ALMOST_ALL = 0.9
"""Mean share of the picture: lungs reach 0.4 and birds 0.6; of a class that covers more, the background was probably
marked."""

_OF_BORDER = 0.5
"""Least share of each of the four borders that a region lies along: objects are cut by a border or two, the background
goes all around."""

_NARROW = 16
"""A sixteenth of the 256 values: as much as 12 bits fill that were saved as 16."""

_SHOWN = 3
"""Images or classes that a line names."""

_LINES = 14
"""Classes that have a line each."""

_VAST = f"covers more than {_ALMOST_ALL:.0%} of its images on average: is the background marked instead?"
_AROUND = "covers all four borders of most of its images: is the background marked instead?"
_TINY = "covers a pixel or less of some images: nothing of its shape is left, ask for a larger size="


@dataclass
class Looks:
    """What is kept of the pixels of N images and M regions while they are read, all without the padding.

    Attributes:
        values: (N, 2) uint8, the lowest and the highest value of each image; 0 and 255 of one that cannot be read.
        pixels: of each region on the canvas, in the masks' order.
        framed: whether a region lies along all four borders of its picture, in the same order.
    """

    values: NDArray[np.uint8]
    pixels: list[int] = field(default_factory=list)
    framed: list[bool] = field(default_factory=list)

    @staticmethod
    def of(images: int) -> Looks:
        """Nothing is seen yet."""
        return Looks(np.tile(np.array([0, 255], np.uint8), (images, 1)))

    def add_region(self, mask: NDArray[np.uint8]) -> None:
        """Adds a mask (h, w) in {0, 1}."""
        self.pixels.append(int(mask.sum()))
        self.framed.append(
            all(float(side.mean()) >= _OF_BORDER for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
        )


@dataclass(frozen=True, eq=False)
class ClassLooks:
    """The regions of one class.

    Attributes:
        shares: (R,) of the picture, in [0, 1].
        pixels: (R,) on the canvas.
        framed: (R,) bool.
    """

    name: str
    shares: NDArray[np.float64]
    pixels: NDArray[np.int64]
    framed: NDArray[np.bool_]


def glance(values: NDArray[np.uint8], classes: Sequence[ClassLooks]) -> tuple[str, ...]:
    """Lines on how wide the values of the images and how large the regions are, of many classes together."""
    lines = []
    if len(values):
        low, high = np.median(values, axis=0).round().astype(int)
        narrowest = int(np.diff(values.astype(int), axis=1).min()) + 1
        lines.append(
            f"the median image has values from {low} to {high} of 0 to 255, the narrowest {counted(narrowest, 'value')}"
        )
    drawn = [look for look in classes if len(look.shares)]
    if len(drawn) > _LINES:
        together = [np.concatenate([getattr(look, name) for look in drawn]) for name in ("shares", "pixels", "framed")]
        drawn = [ClassLooks(f"a class of {len(drawn)}", *together)]
    for look in drawn:
        least, most = look.shares.min(), look.shares.max()
        lines.append(
            f"{look.name} covers {look.shares.mean():.1%} of its images on average ({least:.1%} to {most:.1%}),"
            f" {np.median(look.pixels):.0f} pixels by the median (from {look.pixels.min()})"
        )
    return tuple(lines)


def glance_notes(
    values: NDArray[np.uint8], ids: Sequence[str], classes: Sequence[ClassLooks], official: NDArray[np.str_]
) -> tuple[str, ...]:
    """What looks wrong, one line each."""
    notes = _narrow(values, ids)
    drawn = [look for look in classes if len(look.shares)]
    vast = [look for look in drawn if look.shares.mean() > _ALMOST_ALL]
    around = [look for look in drawn if look not in vast and 2 * look.framed.sum() > len(look.framed)]
    notes += _listed([(look, look.shares > _ALMOST_ALL) for look in vast], _VAST)
    notes += _listed([(look, look.framed) for look in around], _AROUND)
    notes += _listed([(look, look.pixels <= 1) for look in drawn if (look.pixels <= 1).any()], _TINY)
    published = set(official.tolist()) - {""}
    for part in ("train", "test"):
        if published and part not in published:
            notes.append(f"published {part} is empty: --split official cannot be used")
    return tuple(notes)


def _narrow(values: NDArray[np.uint8], ids: Sequence[str]) -> list[str]:
    narrow = np.flatnonzero(np.diff(values.astype(int), axis=1).ravel() < _NARROW)
    if not narrow.size:
        return []
    names = ", ".join(f"{ids[row]} ({values[row, 0]} to {values[row, 1]})" for row in narrow[:_SHOWN])
    return [
        f"{narrow.size} of {counted(len(ids), 'image')} use less than a sixteenth of the values 0 to 255: {names}"
        f"{', ...' if narrow.size > _SHOWN else ''}: are they blank, or do their files hold more bits than they use?"
    ]


def _listed(found: Sequence[tuple[ClassLooks, NDArray[np.bool_]]], said: str) -> list[str]:
    """A line on classes, each with in how many of its regions something was found; none where nothing was."""
    names = ", ".join(f"{look.name} ({int(which.sum())} of {len(which)})" for look, which in found[:_SHOWN])
    return [f"{names}{', ...' if len(found) > _SHOWN else ''}: {said}"] if found else []
