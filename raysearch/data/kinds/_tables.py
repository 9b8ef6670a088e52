"""What reading a data folder takes: its tables, and which of the listed images are there."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from raysearch.errors import DataError


def data_folder(path: str | None, title: str) -> Path:
    """The folder of a spec.

    Raises:
        DataError: there is no such folder.
    """
    folder = Path(path or "")
    if not folder.is_dir():
        what = "is a file" if folder.is_file() else "does not exist"
        raise DataError(f"data folder {folder} {what}; expected the folder of {title}")
    return folder


def find_table(folder: Path, *names: str) -> Path:
    """The first of several spellings of a table's name that the folder holds.

    Raises:
        DataError: it holds none.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    line, is_similar = absent_table(folder, names[0])
    if is_similar:
        raise DataError(f"table {folder / line}")
    others = f" (or {', '.join(names[1:])})" if len(names) > 1 else ""
    raise DataError(f"{folder} holds no table {names[0]}{others}; put it there, or name the folder that holds it")


def read_table(
    path: Path, columns: Sequence[str], header: Sequence[str] | None = None, may_be_empty: bool = False
) -> pd.DataFrame:
    """Columns of a CSV file as stripped text. Line ends may be CR, LF or both; lines may end in commas. Semicolons or
    tabs divide the cells where the first line, so divided, has the columns; what programs save is UTF-8 or UTF-16.

    Args:
        columns: those that must be there; only these come back.
        header: names for the columns of a file whose own first line does not split as its rows do, but begins with the
            first two of them.
        may_be_empty: whether a table of a header alone is one.

    Raises:
        DataError: unreadable, in another encoding, another first line than `header` says, a column missing, no rows
            unless it may be empty, a line with too few or too many cells.
    """
    try:
        lines = _cells(path, header[:2] if header else columns)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"table {path} cannot be read ({_reason(error)}); expected a CSV file with"
            f" {', '.join(header[:2] if header else columns)}"
        ) from None
    first = lines[0] if lines else []
    if header and first[:2] != list(header[:2]):
        raise DataError(
            f"table {path} begins with '{one_line(','.join(first))[:80]}'; expected the line "
            f"'{','.join(header[:2])}...': put it there, or get the original file again"
        )
    names = list(header or first)
    rows = [line for line in lines[1:] if any(line)]
    for column in columns:
        if column not in names:
            found = ", ".join(filter(None, names)) or "nothing"
            raise DataError(
                f"table {path} has no column '{column}'; found {found}; correct it, or get the original file again"
            )
    if not rows and not may_be_empty:
        raise DataError(f"table {path} has no rows; correct it, or get the original file again")
    at = [names.index(column) for column in columns]
    for row in rows:
        if len(row) <= max(at) or any(row[len(names) :]):
            raise DataError(
                f"table {path}: the line of '{row[0]}' has {len(row)} cells, expected {len(names)}; a comma may be "
                "missing, or a cell with commas has no quotes"
            )
    cells = {column: [one_line(row[k]) for row in rows] for column, k in zip(columns, at, strict=True)}
    return pd.DataFrame(cells, dtype=object)


def read_header(path: Path, columns: Sequence[str]) -> list[str]:
    """The cells of the first line of a CSV file that `read_table` could read, with these columns among them."""
    return [one_line(cell) for cell in next(iter(_cells(path, columns)), [])]


def _cells(path: Path, columns: Sequence[str]) -> list[list[str]]:
    """The stripped cells of each line of a CSV file; OSError, ValueError or csv.Error if it is none."""
    text = _text(path)
    divided = {}
    for delimiter in (",", ";", "\t"):
        first = next(csv.reader(io.StringIO(text), delimiter=delimiter), [])
        divided[delimiter] = set(columns) <= {cell.strip() for cell in first}
    used = next((delimiter for delimiter, found in divided.items() if found), ",")
    return [[cell.strip() for cell in line] for line in csv.reader(io.StringIO(text), strict=True, delimiter=used)]


def _text(path: Path) -> str:
    """A text file in UTF-8, or in UTF-16 that says so, with line feeds; OSError or ValueError if it is none."""
    content = path.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is in another encoding; save it as UTF-8"
    return str(error)


def one_line(cell: str) -> str:
    """A cell for names and messages, which have one line."""
    return cell if cell.isprintable() else " ".join(cell.split())


def read_names(path: Path) -> list[str]:
    """The lines of a text file that lists one image a line.

    Raises:
        DataError: unreadable, not UTF-8, or no lines.
    """
    try:
        names = [line.strip() for line in _text(path).splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(f"list {path} cannot be read ({_reason(error)}); expected one image name a line") from None
    if not names:
        raise DataError(f"list {path} is empty; expected one image name a line")
    return names


def read_columns(path: Path, columns: int) -> list[list[str]]:
    """The lines of a text file whose cells are divided by spaces; empty ones and comments (``#``) are left out.

    Raises:
        DataError: unreadable, not UTF-8, no lines, a line with another number of cells.
    """
    try:
        text = _text(path)
    except (OSError, ValueError) as error:
        raise DataError(f"table {path} cannot be read ({_reason(error)}); expected {columns} cells a line") from None
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not rows:
        raise DataError(f"table {path} has no rows; correct it, or get the original file again")
    for row in rows:
        if len(row) != columns:
            raise DataError(f"table {path}: the line of '{row[0]}' has {len(row)} cells, expected {columns}")
    return rows


def read_keyed(path: Path, columns: int) -> tuple[dict[str, list[str]], list[str]]:
    """First cell -> the other cells of its first line, of a table as `read_columns` reads it; and a problem line for
    every first cell that is repeated. DataError as `read_columns`."""
    rows = read_columns(path, columns)
    keyed: dict[str, list[str]] = {}
    for key, *cells in rows:
        keyed.setdefault(key, cells)
    return keyed, duplicates(pd.Series([row[0] for row in rows]), path.name)


def duplicates(names: pd.Series[str], table: str) -> list[str]:
    """A problem line for every name that stands in the table more than once."""
    return [f"{name}: stands more than once in {table}" for name in names[names.duplicated()].unique()]


def absent_table(folder: Path, name: str, known: Iterable[str] = ()) -> tuple[str, bool]:
    """What to say of a table that need not be there and is not, and whether a file with a similar name is: that one may
    be meant, which has to be settled.

    Args:
        known: names of files that mean something else.
    """
    try:
        files = {path.name.lower(): path.name for path in folder.iterdir() if path.name not in known and path.is_file()}
    except OSError:  # what can be found in the folder by name needs no list of it
        files = {}
    similar = difflib.get_close_matches(name.lower(), files, n=1, cutoff=0.75)
    if similar:
        return f"{name} is absent, but {files[similar[0]]} is there: rename it if it is the same", True
    return f"{name} is absent", False


def listed_but_absent(
    names: Iterable[str], there: Iterable[str], table: str, skip: bool
) -> tuple[list[str], list[str]]:
    """Problem lines and note lines about images that a table lists and the folder does not hold.

    Raises:
        DataError: none of them is there at all.
    """
    names, there = list(names), set(there)
    absent = [name for name in names if name not in there]
    if names and len(absent) == len(names):
        raise DataError(
            f"none of the {len(names)} images that {table} lists is there, {names[0]} for one; check the path"
        )
    if skip:
        line = f"{len(absent)} of {len(names)} images that {table} lists are absent and left out (missing=skip)"
        return [], [line] if absent else []
    return [f"{name}: listed in {table} but absent (get it, or set missing=skip)" for name in absent], []


def refuse_nothing(left: int, root: Path, problems: Sequence[str]) -> None:
    """DataError if no image is left, with the first problem, of which there may be as many as images."""
    if not left:
        why = f"{problems[0]} (the first of {len(problems)} problems)" if problems else "choose other options"
        raise DataError(f"{root}: no image is left; {why}")
