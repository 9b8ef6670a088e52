"""What a running search needs for as long as it runs: one folder a process, on a short path, gone at the end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from raysearch import _signals
from raysearch.errors import ResourceError
from raysearch.study._ray_processes import end_processes

PREFIX = "raysearch_"

LONGEST = 107 - len("/ray/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store")
"""Bytes of a path below which Ray can put its sockets: the kernel takes 107 for the whole of it."""

ENOUGH_TRIES = 20


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this process alone, which is also where it and its children put temporary files. What a process that
    was killed has left in its own, and what may still run there, goes first.

    Raises:
        ResourceError: there is no place for one.
    """
    places = usable_places(os.environ)
    for place in places:
        remove_abandoned(place)
    folder, lock = _make(places)
    with open(lock, "rb"), _signals.at_once(lambda: _remove(folder)):
        try:
            with _temporary_files_in(folder):
                yield folder
        finally:
            with _signals.deferred():
                _remove(folder)


def usable_places(environment: Mapping[str, str]) -> list[Path]:
    """Folders in which a scratch folder can be, the wanted one first."""
    wanted = [environment.get("RAY_TMPDIR"), environment.get("TMPDIR")]
    common = ["/tmp", environment.get("XDG_RUNTIME_DIR"), "/var/tmp", "/dev/shm"]  # noqa: S108 - see `_make`
    named = [Path(os.path.abspath(place)) for place in (*wanted, *common) if place]
    return [place for place in dict.fromkeys(named) if _short(place) and _writable(place)]


def _short(place: Path) -> bool:
    return len(os.fsencode(place)) + len(f"/{PREFIX}12345678") <= LONGEST


def _writable(place: Path) -> bool:
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def _make(places: list[Path]) -> tuple[Path, int]:
    """A new folder in the first place that takes one, and the descriptor of its lock. Nobody else may look into it:
    mkdtemp makes it with mode 0700, under a name that was free."""
    refusals = []
    for place in places:
        try:
            for _ in range(ENOUGH_TRIES):
                folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
                lock = _take(folder, create=True)
                if lock is not None:
                    return folder, lock
        except OSError as error:
            refusals.append(f"{place}: {error.strerror}")
    raise ResourceError(
        "no folder for temporary files: TMPDIR and /tmp are not there, cannot be written or have too long a path"
        f" ({'; '.join(refusals) or f'expected at most {LONGEST - len(PREFIX) - 9} bytes'}); set TMPDIR to a short one"
    )


def remove_abandoned(place: Path) -> None:
    """Removes the folders of processes that are gone, and what of them still runs. Whoever holds a folder's lock is
    alive, whatever its number; folders of other users are none of ours."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if not _ours(folder):
                continue
            lock = _take(folder, create=False)
            if lock is not None:
                with open(lock, "rb"):
                    _remove(folder)
            elif not (folder / "lock").exists():
                folder.rmdir()  # killed before it had a lock: then it is empty


def _ours(folder: Path) -> bool:
    """Whether it is a folder, no link to one, and this user's."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _take(folder: Path, *, create: bool) -> int | None:
    """The descriptor of the folder's lock, held; None if another process holds it or has just removed the folder."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # between opening and locking it another process may have held it and removed it
        if os.fstat(lock).st_nlink:
            return lock
    except BlockingIOError:
        pass
    os.close(lock)
    return None


def _remove(folder: Path) -> None:
    """Ends what runs in the folder and removes it, its lock last: as long as that is there, others know whose it is."""
    end_processes(folder)
    for path in sorted(folder.glob("*"), key=lambda path: path.name == "lock"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Within it, this process and those that it starts put temporary files there."""
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before[1]
        if before[0] is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before[0]
