"""Errors that reach the user.

    RaysearchError               exit code 1: something failed
    ├── UserError                exit code 2: the input was wrong; the message is one line
    │   ├── SpaceError           search spaces, overrides, presets
    │   ├── MethodError          unknown method, a setting that the method refuses
    │   ├── DataError            data folders, tables, images, masks, splits
    │   ├── ResourceError        a request that can never be scheduled here
    │   ├── StudyError           study folders, names, journals, checkpoints
    │   │   └── DamagedFileError a checkpoint that is none, or not whole
    │   └── ExportError          export folders and images to predict
    └── StorageError             exit code 1: the disk is full or went away

A message says what was found, where, what was expected and how to put it right, in one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RaysearchError(Exception):
    """Base of all errors that the command line prints without a traceback."""

    exit_code = 1


class UserError(RaysearchError):
    exit_code = 2


class SpaceError(UserError):
    pass


class MethodError(UserError):
    pass


class DataError(UserError):
    pass


class ResourceError(UserError):
    pass


class StudyError(UserError):
    pass


class DamagedFileError(StudyError):
    """A checkpoint, or what work that trials share has left, is not what was written."""


class ExportError(UserError):
    pass


class StorageError(RaysearchError):
    pass


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the nearest known one, or the list of all.

    >>> nearest("lrr", ["lr", "omega"])
    "did you mean 'lr'?"
    >>> nearest("zzz", ["lr", "omega"])
    'known: lr, omega'
    """
    names = sorted(set(known))
    match = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean '{match[0]}'?" if match else f"known: {', '.join(names) or 'none'}"
