"""Who a patient is when one picture is in the data under several names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from raysearch._text import counted
from raysearch.data._thumbnails import components

_SHOWN = 3
"""Pictures that a line names."""


@dataclass(frozen=True, kw_only=True)
class Twins:
    """Which of N images show one picture, and whose they are said to be.

    Attributes:
        named: (N,) str, the patient of each image as the data names them.
        picture: (N,) int32, a number for each picture that several images show, -1 elsewhere (see `same_pictures`).
    """

    named: NDArray[np.str_]
    picture: NDArray[np.int32]

    @cached_property
    def patients(self) -> NDArray[np.str_]:
        """(N,) str: patients who share a picture are one, under the name of the first of them."""
        owners, first, owner = np.unique(self.named, return_index=True, return_inverse=True)
        pairs = [owner[rows] for rows in self.groups]
        edges = np.concatenate([np.empty((0, 2), np.int64), *(np.stack([o[:-1], o[1:]], axis=1) for o in pairs)])
        one = components(len(owners), edges)
        head = np.full(len(owners), len(self.named))
        np.minimum.at(head, one, first)
        return np.asarray(self.named[head[one[owner]]])

    @cached_property
    def groups(self) -> list[NDArray[np.int64]]:
        """Rows of each picture that several images show."""
        rows = np.flatnonzero(self.picture >= 0)
        rows = rows[np.argsort(self.picture[rows], kind="stable")]
        return np.split(rows, np.flatnonzero(np.diff(self.picture[rows])) + 1) if rows.size else []

    @property
    def across(self) -> list[NDArray[np.int64]]:
        """Those of `groups` that are of different patients by name."""
        return [rows for rows in self.groups if len(np.unique(self.named[rows])) > 1]

    @property
    def within(self) -> list[NDArray[np.int64]]:
        """Those of `groups` that are of one patient."""
        return [rows for rows in self.groups if len(np.unique(self.named[rows])) == 1]

    def spell(self, groups: Sequence[NDArray[np.int64]], ids: Sequence[str]) -> str:
        """The first few pictures by the names of their images and patients."""
        said = [" and ".join(self._name(row, ids[row]) for row in rows[:_SHOWN].tolist()) for rows in groups[:_SHOWN]]
        return "; ".join([*said, *(["..."] if len(groups) > _SHOWN else [])])

    def _name(self, row: int, image: str) -> str:
        patient = str(self.named[row])
        return f"'{image}'" if patient == image else f"'{image}' (patient {patient})"


def across_notes(twins: Twins | None, ids: Sequence[str]) -> tuple[str, ...]:
    """What `raysearch data check` says of patients who are one; `ids` are the names of the images."""
    if twins is None or not (groups := twins.across):
        return ()
    images, pictures = counted(sum(map(len, groups)), "image"), counted(len(groups), "picture")
    return (
        f"{images} of different patients show {pictures}: {twins.spell(groups, ids)}: such patients are one in every"
        " split and interval",
    )


def within_notes(twins: Twins | None, ids: Sequence[str]) -> tuple[str, ...]:
    """The same of pictures that one patient has twice."""
    if twins is None or not (groups := twins.within):
        return ()
    images, pictures = counted(sum(map(len, groups)), "image"), counted(len(groups), "picture")
    return (f"{images} show {pictures} that one patient has twice: {twins.spell(groups, ids)}",)


def twin_warnings(twins: Twins | None, ids: Sequence[str], part: NDArray[np.int64], parts: Sequence[str]) -> list[str]:
    """What a split says of them: one line on patients that it took for one, and one on pictures in several parts.

    Args:
        part: (N,) index into the names `parts`, -1 for no part.
    """
    if twins is None:
        return []
    used = [rows[part[rows] >= 0] for rows in twins.groups]
    torn = [rows for rows in used if len(np.unique(part[rows])) > 1]
    kept = [part[rows][part[rows] >= 0] for rows in twins.across]
    one = [rows for rows, own in zip(twins.across, kept, strict=True) if len(own) > 1 and len(np.unique(own)) == 1]
    warnings = []
    if one:
        warnings.append(
            f"different patients share {counted(len(one), 'picture')}, {twins.spell(one[:1], ids)} for one: such"
            " patients are one in the split"
        )
    if torn:
        said = " and ".join(f"'{ids[row]}' ({parts[part[row]]})" for row in torn[0][:_SHOWN].tolist())
        warnings.append(
            f"the split has {counted(len(torn), 'picture')} in several parts, {said} for one: what is measured on these"
            " was learned from; leave copies out, or use --split random"
        )
    return warnings
