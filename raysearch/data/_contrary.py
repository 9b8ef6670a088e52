"""Pictures that are in the data under several names, with labels that contradict each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from raysearch._text import counted
from raysearch.data._collection import ABSENT, PRESENT
from raysearch.data._twins import Twins


def contrary_notes(twins: Twins | None, ids: Sequence[str], labels: NDArray[np.int8]) -> tuple[str, ...]:
    """What `raysearch data check` says of pictures that show a class by one name's label and do not by another's.

    Args:
        labels: (N, K) int8 in {1, 0, -1}.
    """
    if twins is None:
        return ()
    groups = [
        rows
        for rows in twins.groups
        if ((labels[rows] == PRESENT).any(axis=0) & (labels[rows] == ABSENT).any(axis=0)).any()
    ]
    if not groups:
        return ()
    return (f"{counted(len(groups), 'picture')} labelled in several ways: {twins.spell(groups, ids)}",)
