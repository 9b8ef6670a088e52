"""``ledger.jsonl``: what a study has written about its trials, as Optuna's entries with a number and a checksum each.

It is the truth about a study. Only the study writes it; whoever else has something to say writes to the journal beside
it (`raysearch.study._journal`), which holds the same entries, so that either file mends the other.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from raysearch.errors import StudyError
from raysearch.study._study import unwritable
from raysearch.study._trial_folder import write_atomically

_TAGGED = re.compile(rb'(?P<entry>\{.*),"raysearch":"(?P<number>\d+):(?P<check>[0-9a-f]{8})"\}\n')


def seal(entry: bytes, number: int) -> bytes:
    """Entry `number` of a ledger as the line that holds it. Optuna overlooks the key that says so.

    >>> seal(b'{"op_code":1}', 7)
    b'{"op_code":1,"raysearch":"7:ce17b2dd"}\\n'
    """
    entry = entry.rstrip()[:-1]
    return entry + b',"raysearch":"%d:%08x"}\n' % (number, _check(entry, number))


def unsealed(line: bytes) -> bytes:
    """A line of a ledger as Optuna would have written it."""
    found = _TAGGED.fullmatch(line)
    assert found is not None
    return found["entry"] + b"}\n"


def number_of(line: bytes) -> int | None:
    """Number of the entry in a line; None of any line that no ledger has, or not like this."""
    found = _TAGGED.fullmatch(line)
    if found is None or int(found["check"], 16) != _check(found["entry"], int(found["number"])):
        return None
    return int(found["number"])


def _check(entry: bytes, number: int) -> int:
    return zlib.crc32(entry, zlib.crc32(b"%d" % number))


def lines_of(data: bytes) -> list[bytes]:
    """Lines with their ends; the last may have none."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + [
        last for last in [data[data.rfind(b"\n") + 1 :]] if last
    ]


def whole_ledger(ledger: bytes, journal: bytes, where: Path) -> list[bytes]:
    """All entries, in order, from what is left of them in two files.

    Args:
        where: the ledger, for the message.

    Raises:
        StudyError: an entry is in neither.
    """
    copies = lines_of(journal)
    found = {number: line for line in (*copies, *lines_of(ledger)) if (number := number_of(line)) is not None}
    for first, last in _gaps(found):
        # an entry of others was taken over as it was, and stands between its neighbours in the journal
        between = _between(copies, first - 1, last + 1)
        if len(between) == last - first + 1 and all(map(_is_entry, between)):
            found |= {number: seal(line, number) for number, line in enumerate(between, first)}
        else:
            raise StudyError(
                f"{where} and journal.log beside it are both damaged: entry {first} of {max(found) + 1} is in neither;"
                " restore one of them from a copy, or start a new study"
            )
    return [found[number] for number in range(len(found))]


def _gaps(found: Mapping[int, bytes]) -> Iterator[tuple[int, int]]:
    """First and last number of each run of entries that are missing before the last one."""
    after = 0
    for number in sorted(found):
        if number > after:
            yield after, number - 1
        after = number + 1


def _between(lines: Sequence[bytes], first: int, last: int) -> list[bytes]:
    """What stands between two entries."""
    numbers = [number_of(line) for line in lines]
    if last not in numbers or (first >= 0 and first not in numbers):
        return []
    begin = numbers.index(first) + 1 if first >= 0 else 0
    return list(lines[begin : numbers.index(last)])


def _is_entry(line: bytes) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"}\n") and isinstance(entry, dict) and "op_code" in entry


def read_bytes(path: Path) -> bytes:
    """What a file holds; nothing if it is missing, or cannot be read: then the other one has to do."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


class Ledger:
    """Open for writing. What a crash has left at its end is cut, and what is missing is taken from `journal`.

    Raises:
        StudyError: as `whole_ledger`, or the ledger cannot be written.
    """

    def __init__(self, path: Path, journal: Path) -> None:
        self.path = path
        data = read_bytes(path)
        lines = whole_ledger(data, read_bytes(journal), path)
        if b"".join(lines) != data:
            self._write(b"".join(lines))
        self._file = self._opened()
        self._size, self._count = sum(map(len, lines)), len(lines)

    def _write(self, data: bytes) -> None:
        try:
            write_atomically(self.path, data)
        except OSError as error:
            raise unwritable(self.path.parent, error) from None

    def _opened(self) -> IO[bytes]:
        try:
            return open(self.path, "ab", buffering=0)
        except OSError as error:
            raise unwritable(self.path.parent, error) from None

    def lines(self) -> list[bytes]:
        return lines_of(self.path.read_bytes())

    def append(self, entry: bytes) -> bytes:
        """Writes an entry of Optuna's; the line that holds it. Half a line is taken back."""
        descriptor = self._file.fileno()
        if os.fstat(descriptor).st_size != self._size:  # an interrupt came between a write and its count
            self._size, self._count = os.fstat(descriptor).st_size, len(self.lines())
        line = seal(entry, self._count)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(descriptor)  # the journal is mended from here, should it lose what follows
        except OSError:
            os.ftruncate(descriptor, self._size)
            raise
        self._size += len(line)
        self._count += 1
        return line


class LedgerReader:
    """Follows a ledger that another process may be writing."""

    def __init__(self, path: Path, journal: Path) -> None:
        self._path = path
        self._journal = journal
        self._offset = 0
        self._passed = 0
        """Entries before the offset."""
        self._read = 0
        """Entries that were given out."""

    def more(self) -> list[dict[str, Any]]:
        """Entries since the last call.

        Raises:
            StudyError: as `whole_ledger`.
        """
        data = b""
        with contextlib.suppress(OSError), open(self._path, "rb") as file:
            file.seek(self._offset)
            data = file.read()
        lines = lines_of(data)
        fine = 0
        while fine < len(lines) and number_of(lines[fine]) == self._passed + fine:
            fine += 1
        if fine < len(lines) or not self._read:  # one is being written or damaged, or more may be in the journal
            every = whole_ledger(read_bytes(self._path), read_bytes(self._journal), self._path)
            new = every[self._read :]
        else:
            new = lines[self._read - self._passed : fine]
        self._offset += sum(map(len, lines[:fine]))
        self._passed += fine
        self._read += len(new)
        return [json.loads(line) for line in new]
