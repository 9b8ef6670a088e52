"""Looks at a test split: recorded beside the studies, by its digest, so that a new study name resets nothing."""

from __future__ import annotations

import json
import time

from raysearch.errors import StorageError, StudyError
from raysearch.study._study import Study, is_disk_full


def record_look(study: Study, command: str, trial: int) -> int:
    """Writes down that the test split was looked at; how often it has been, this time included."""
    path = study.path.parent / "looks.jsonl"
    digest = study.config.split["digest"]
    entry = {
        "digest": digest,
        "study": study.name,
        "trial": trial,
        "command": command,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    with open(path, "a+b") as file:
        # one write, on a line of its own whatever a killed writer has left
        file.write(b"\n" + json.dumps(entry).encode() + b"\n")
        file.seek(0)
        return sum(_digest(line) == digest for line in file)


def unrecorded(study: Study, error: OSError) -> StudyError | StorageError:
    """The message where a look cannot be written down, and so must not be had."""
    kind = StorageError if is_disk_full(error) else StudyError
    return kind(
        f"{study.path.parent} cannot be written ({error.strerror}), where looks at the test split are recorded: make it"
        " writable, or free some space, then give the same command again"
    )


def _digest(line: bytes) -> str | None:
    """The digest of a recorded look; None of a line that was cut."""
    try:
        return str(json.loads(line)["digest"])
    except ValueError:
        return None
