"""A study's folder: where its files are, who holds it, and how one is found by name."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from raysearch.errors import StorageError, StudyError, nearest
from raysearch.study._config import StudyConfig
from raysearch.study._trial_folder import TrialFolder, write_atomically

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

UNFINISHED = ".new-"
"""Begins the name of a folder that is no study yet."""

LOOK_SECONDS = 0.3
"""Far longer than `Study.running` holds the lock that it asks for."""


def studies_root() -> Path:
    """Where studies are kept: ``RAYSEARCH_STUDIES``, or ``studies`` in the working directory."""
    return Path(os.environ.get("RAYSEARCH_STUDIES", "studies"))


@dataclass(frozen=True)
class Study:
    """A study on disk."""

    path: Path
    config: StudyConfig

    @property
    def name(self) -> str:
        """That of its folder, wherever that was copied to or from."""
        return self.path.resolve().name

    @property
    def typed(self) -> str:
        """See `typed`."""
        return typed(self.path)

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.jsonl"

    @property
    def journal(self) -> Path:
        return self.path / "journal.log"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def split_file(self) -> Path:
        return self.path / "split.csv"

    @property
    def stop_file(self) -> Path:
        """Its presence asks a running search to stop."""
        return self.path / "stop"

    def trial(self, number: int) -> TrialFolder:
        return TrialFolder(self.path / "trials" / str(number))

    @property
    def running(self) -> bool:
        """Whether a process on this machine holds the study."""
        try:
            with open(self.path / "lock", "rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False  # it never ran here
        return False

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keeps other processes from running the same study; released by the kernel however this one ends.

        Raises:
            StudyError: another process runs it, or its folder cannot be written.
            StorageError: the disk is full.
        """
        try:
            file = open(self.path / "lock", "a+")  # noqa: SIM115 - the errors of the body are not ours
        except OSError as error:
            raise unwritable(self.path, error) from None
        with file:
            if not _lock_exclusively(file.fileno()):
                raise StudyError(
                    f"study '{self.name}' is being run by another process; 'raysearch stop {self.typed}' ends it"
                )
            yield


def _lock_exclusively(descriptor: int) -> bool:
    """Tries for as long as a look at `Study.running` could stand in the way."""
    deadline = time.monotonic() + LOOK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def check_name(name: str) -> None:
    """StudyError unless `name` can be a study's, and so a folder's."""
    if not NAME.fullmatch(name):
        raise StudyError(
            f"--study '{name}' cannot be a study's name: expected at most 100 letters, digits, '.', '_' and '-', the"
            " first of them a letter or a digit"
        )


def create_study(
    config: StudyConfig, root: Path, name: str | None = None, fill: Callable[[Study], None] = lambda study: None
) -> Study:
    """Makes the folder of a new study, whole or not at all; two that are begun at the same moment never share one.

    Args:
        name: None for the method's and a number.
        fill: writes what else belongs into the folder.

    Raises:
        StudyError: the name is taken, cannot be a folder's name, or the folder cannot be written.
        StorageError: the disk is full.
    """
    if name is not None:
        check_name(name)
    try:
        root.mkdir(parents=True, exist_ok=True)
        _remove_unfinished(root)
        made = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=root))
    except OSError as error:
        raise not_made(root, error) from None
    try:
        made.chmod(0o755)
        study = Study(made, config)
        write_atomically(made / "study.yaml", config.to_yaml().encode())
        fill(study)
        return Study(_give_name(study, root, name), config)
    except OSError as error:
        raise not_made(root, error) from None
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _give_name(study: Study, root: Path, name: str | None) -> Path:
    """Renames a folder to a name that no other has: the file system lets one of several do it."""
    while True:
        path = root / (name or free_name(study.config.method, root))
        try:
            os.rename(study.path, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            if name is not None:
                _refuse_name(study.config, path)
        else:
            return path


def _remove_unfinished(root: Path) -> None:
    """What processes that were killed in the middle of `create_study` have left: it takes far less than an hour."""
    for left in root.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):  # it has just got its name
            if time.time() - left.lstat().st_mtime > 3600:
                shutil.rmtree(left, ignore_errors=True)


def _refuse_name(wanted: StudyConfig, path: Path) -> NoReturn:
    """Raises the error for a name that is taken."""
    if (path / "study.yaml").exists():
        refuse_taken(wanted, open_study(path.name, path.parent))
    raise StudyError(f"{path} exists and is no study (no study.yaml in it); give another --study, or move it away")


def refuse_taken(wanted: StudyConfig, existing: Study) -> NoReturn:
    """Raises the error that fits: a study of something else, or one to be resumed."""
    name, have = existing.name, existing.config
    if have.method != wanted.method:
        difference = f"another method ({have.method}, not {wanted.method})"
    elif have.space_digest != wanted.space_digest:
        ours, theirs = _parameters(wanted.space), _parameters(have.space)
        changed = sorted(k for k in {*ours, *theirs} if ours.get(k) != theirs.get(k))
        difference = f"another search space (it differs in {', '.join(changed[:4]) or 'who chooses thresholds'})"
    elif have.data != wanted.data:
        difference = f"other data ({have.data}, not {wanted.data})"
    elif have.metric != wanted.metric:
        difference = f"another metric ({have.metric}, not {wanted.metric})"
    else:
        raise StudyError(
            f"study '{name}' exists in {existing.path}: 'raysearch resume {existing.typed}' goes on with it; give"
            " another --study to begin a new one"
        )
    raise StudyError(f"study '{name}' exists in {existing.path} with {difference}; give another --study")


def _parameters(space: Mapping[str, Any]) -> dict[str, Any]:
    """What is searched or fixed, by name; where an entry was read does not count."""
    entries = space.get("base", space)["parameters"]
    return {entry["name"]: {k: v for k, v in entry.items() if k not in ("source", "origin")} for entry in entries}


def open_study(name: str | None, root: Path | None = None) -> Study:
    """The study of that name or path, or the latest one.

    Raises:
        StudyError: there is no such study.
    """
    root = root or studies_root()
    if name is None:
        found = list_studies(root)
        if not found:
            raise StudyError(f"no study in {root}: 'raysearch tune --method NAME' makes one")
        path = found[-1]
    else:
        path = Path(name) if "/" in name else root / name
        if not os.path.isfile(path / "study.yaml"):  # as Path.is_file, but False for a name that no file can have
            names = [p.name for p in list_studies(root)]
            if not names:
                raise StudyError(
                    f"no study '{name}', and none at all in {root}: 'raysearch tune --method NAME' makes one"
                )
            raise StudyError(f"no study '{name}' in {root} ({path / 'study.yaml'} is missing): {nearest(name, names)}")
    return Study(path, StudyConfig.from_yaml(path / "study.yaml"))


def list_studies(root: Path) -> list[Path]:
    """Folders of studies, the one last created at the end."""
    found = (p.parent for p in root.glob("*/study.yaml") if not p.parent.name.startswith(UNFINISHED))
    return sorted(found, key=lambda p: (p / "study.yaml").stat().st_mtime)


def free_name(method: str, root: Path) -> str:
    """A name for a new study that nobody named."""
    stem = method.rsplit(":", 1)[-1]
    number = 1
    while (root / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"


def unwritable(path: Path, error: OSError) -> StudyError | StorageError:
    """The message for a study's folder that cannot be written: the user's to mend, or the disk's."""
    if is_disk_full(error):
        return disk_full(path)
    return StudyError(f"{path} cannot be written ({error.strerror}); mend that, then 'raysearch resume {typed(path)}'")


def disk_full(path: Path) -> StorageError:
    """The message for the full disk of a study's folder."""
    return StorageError(
        f"the disk of {path} is full; what was finished is safe: free some space, then 'raysearch resume {typed(path)}'"
    )


def not_made(root: Path, error: OSError) -> StudyError | StorageError:
    """The message where there cannot be a new study."""
    if is_disk_full(error):
        return StorageError(
            f"the disk of {root} is full, so no study was made; free some space, or choose another folder with"
            " RAYSEARCH_STUDIES, and give the same command again"
        )
    return StudyError(f"{root} cannot be written ({error.strerror}); choose another folder with RAYSEARCH_STUDIES")


def is_disk_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def typed(path: Path) -> str:
    """What to type for a study on a command line: its name where studies are looked for, or else its path."""
    if path.resolve().parent == studies_root().resolve():
        return shlex.quote(path.resolve().name)
    return shlex.quote(str(path) if "/" in str(path) else f"./{path}")
