"""What all kinds of evidence are: columns over rows that sort, select and add up in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

Column = tuple[type[np.generic], tuple[int | None, ...]]
"""Type of a column's elements, and its shape after the row axis; None for a length that depends on the data."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Sufficient statistics of a split, R rows: made from a batch (`from_maps` of each kind), added up by `merge`,
    judged by pure functions.

    Rows are in the order of the key columns whatever the order in which they were made, so that results do not depend
    on batches or workers. A subclass names its `kind`, adds its `columns` to those of its base, and refuses what
    contradicts itself in `check`; fields that are no column hold for all rows (a str, or a tuple).

    Attributes:
        classes: K names.
        image: (R,) int64, row in the collection.
        patient: (R,) str.
    """

    kind: ClassVar[str]
    columns: ClassVar[Mapping[str, Column]] = {"image": (np.int64, ()), "patient": (np.str_, ())}
    key: ClassVar[tuple[str, ...]] = ("image",)
    """Columns that tell rows apart, the most significant first."""

    classes: tuple[str, ...]
    image: NDArray[np.int64]
    patient: NDArray[np.str_]

    def __post_init__(self) -> None:
        rows = len(self.image)
        for name, (dtype, shape) in self.columns.items():
            array = getattr(self, name)
            fits = array.ndim == 1 + len(shape) and len(array) == rows and np.issubdtype(array.dtype, dtype)
            if not fits or any(n not in (None, found) for n, found in zip(shape, array.shape[1:], strict=True)):
                expected = "str" if dtype is np.str_ else np.dtype(dtype).name
                wanted = ", ".join("any" if n is None else str(n) for n in (rows, *shape))
                raise ValueError(
                    f"{name} of {rows} rows must be {expected} ({wanted}), got {array.dtype} {array.shape}"
                )
        self.check()
        keys = [getattr(self, name) for name in self.key]
        order = np.lexsort(keys[::-1])
        if rows > 1 and np.logical_and.reduce([key[order][1:] == key[order][:-1] for key in keys]).any():
            raise ValueError(f"a row ({', '.join(self.key)}) is counted twice")
        if (order != np.arange(rows)).any():
            for name in self.columns:
                object.__setattr__(self, name, getattr(self, name)[order])

    def check(self) -> None:
        """Raises ValueError, one line, if the columns contradict each other; rows may still be in any order."""

    def __len__(self) -> int:
        return len(self.image)

    @classmethod
    def constants(cls) -> list[str]:
        """Names of the fields that hold for all rows."""
        return [field.name for field in fields(cls) if field.name not in cls.columns]

    @classmethod
    def merge(cls, parts: Iterable[Self]) -> Self:
        """All rows of several parts (batches, workers, folds).

        Raises:
            ValueError: a row is in two parts, or classes or sizes differ between them.
        """
        parts = list(parts)
        constants = {name: getattr(parts[0], name) for name in cls.constants()}
        for name, value in constants.items():
            if any(getattr(part, name) != value for part in parts):
                raise ValueError(f"parts must have the same {name}, got {[getattr(part, name) for part in parts]}")
        arrays: dict[str, Any] = {}
        for name in cls.columns:
            columns = [getattr(part, name) for part in parts]
            if len({column.shape[1:] for column in columns}) != 1:
                raise ValueError(f"parts must have the same {name} a row, got {[c.shape[1:] for c in columns]}")
            arrays[name] = np.concatenate(columns)
        return cls(**constants, **arrays)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """The rows at `rows`, a mask or indices."""
        constants: dict[str, Any] = {name: getattr(self, name) for name in self.constants()}
        return type(self)(**constants, **{name: getattr(self, name)[rows] for name in self.columns})
