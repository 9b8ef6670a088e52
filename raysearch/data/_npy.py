"""An .npy file written row by row, and read back memory-mapped."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch.errors import StorageError


class NpyWriter:
    """Appends rows of one shape and type to an .npy file; the number of rows need not be known before.

    Plain writes, not a memory map: on a full disk a map kills the process where a write raises OSError.

    Attributes:
        rows: how many were appended.
        digest: sha256 over their bytes.
    """

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: type[np.generic]) -> None:
        self.rows = 0
        self.digest = hashlib.sha256()
        self._row_shape = row_shape
        self._dtype = np.dtype(dtype)
        self._file = path.open("wb")
        self._write_header()
        self._start = self._file.tell()

    def __enter__(self) -> NpyWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._file.seek(0)
                self._write_header()
                assert self._file.tell() == self._start  # numpy pads the header so that the first axis can grow
        finally:
            self._file.close()

    def append(self, row: NDArray[Any]) -> None:
        if row.shape != self._row_shape or row.dtype != self._dtype:
            raise ValueError(f"row of {row.shape} {row.dtype}; expected {self._row_shape} {self._dtype}")
        data = np.ascontiguousarray(row).tobytes()
        self._file.write(data)
        self.digest.update(data)
        self.rows += 1

    def _write_header(self) -> None:
        description = np.lib.format.dtype_to_descr(self._dtype)
        shape = (self.rows, *self._row_shape)
        np.lib.format.write_array_header_1_0(self._file, {"descr": description, "fortran_order": False, "shape": shape})


def read_npy(path: Path, mapped: bool = False) -> NDArray[Any]:
    """An .npy file, memory-mapped read-only or read.

    Raises:
        StorageError: absent, cut short or not an .npy file.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StorageError(
            f"cached data {path} is damaged ({error}); delete the folder {path.parent} and run again"
        ) from None
    return array
