"""The files of one trial: ``config.yaml``, ``metrics.jsonl``, ``evidence/``, ``checkpoint/``.

The checkpoint of an epoch is written before its line in metrics.jsonl and holds that line too, so whichever moment a
process is killed at, an epoch is either recorded whole or its work is found in the checkpoint and recorded on resume.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml

from raysearch.errors import StudyError


class TrialFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def last(self) -> Path:
        """Checkpoint of the last finished epoch."""
        return self.path / "checkpoint" / "last.pt"

    @property
    def best(self) -> Path:
        """Checkpoint of the epoch that the trial is judged by."""
        return self.path / "checkpoint" / "best.pt"

    @property
    def kept(self) -> Path:
        """Checkpoint of the last kept round of an alternation: what is gone back to if the next one is taken back."""
        return self.path / "checkpoint" / "kept.pt"

    @property
    def donor(self) -> Path:
        """Checkpoint of another trial that this one goes on from."""
        return self.path / "checkpoint" / "donor.pt"

    @property
    def last_evidence(self) -> Path:
        return self.path / "evidence" / "last.npz"

    @property
    def _next_evidence(self) -> Path:
        return self.path / "evidence" / "next.npz"

    @property
    def config(self) -> dict[str, Any] | None:
        """What the trial was started with (``config`` and ``thresholds``), or None if it never was.

        Raises:
            StudyError: the file is damaged.
        """
        path = self.path / "config.yaml"
        try:
            loaded: Any = yaml.safe_load(path.read_text())
        except FileNotFoundError:
            return None
        except (yaml.YAMLError, UnicodeDecodeError):
            loaded = None
        keys = ("config", "thresholds")
        if not isinstance(loaded, dict) or not all(isinstance(loaded.get(key), dict) for key in keys):
            raise StudyError(f"{path} is damaged: expected the keys config and thresholds; restore it from a copy")
        return loaded

    def create(self, config: dict[str, Any]) -> None:
        (self.path / "checkpoint").mkdir(parents=True, exist_ok=True)
        (self.path / "evidence").mkdir(exist_ok=True)
        write_atomically(self.path / "config.yaml", yaml.safe_dump(config, sort_keys=False).encode())

    def keep(self) -> None:
        """The last finished epoch becomes what `kept` holds."""
        link_atomically(self.last, self.kept)

    def adopt(self, checkpoint: Path) -> None:
        """A checkpoint of another trial becomes what `donor` holds."""
        link_atomically(checkpoint, self.donor)

    def record(self, row: dict[str, Any], *, evidence: bytes, checkpoint: bytes, best: bool) -> None:
        """Writes a finished epoch; `best` if the trial is judged by it from now on."""
        write_atomically(self._next_evidence, evidence)
        write_atomically(self.last, checkpoint)
        self.complete(row, best=best)

    def complete(self, row: dict[str, Any], *, best: bool) -> None:
        """The rest of `record`, once evidence and checkpoint are written: evidence of an epoch that was never recorded
        must not be taken for that of the last one."""
        if self._next_evidence.exists():
            os.replace(self._next_evidence, self.last_evidence)
        if best:
            link_atomically(self.last_evidence, self.path / "evidence" / "best.npz")
            link_atomically(self.last, self.best)
        with open(self.path / "metrics.jsonl", "ab") as file:
            file.write(json.dumps(row, allow_nan=True).encode() + b"\n")

    def rows(self) -> list[dict[str, Any]]:
        """One row a recorded epoch; a last line that a crash cut short is cut off the file.

        Raises:
            StudyError: another line is not JSON: the file was damaged by something else than a crash.
        """
        path = self.path / "metrics.jsonl"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        if end < len(data):
            os.truncate(path, end)
        rows = []
        for number, line in enumerate(data[:end].splitlines(), 1):
            try:
                rows.append(json.loads(line))
            except ValueError:
                raise StudyError(
                    f"{path} line {number} is not JSON: expected one epoch a line; restore the file from a copy, or"
                    f" delete {self.path / 'checkpoint'} and it for the trial to start again"
                ) from None
        return rows

    def set_aside(self) -> None:
        """Keeps the recorded epochs under another name: they tell of weights that are gone."""
        os.replace(self.path / "metrics.jsonl", self.path / "metrics.jsonl.old")

    def drop_checkpoints(self, *, keep_best: bool) -> None:
        """Deletes the checkpoints, or all but that of the epoch that the trial is judged by."""
        for path in (self.last, self.kept, self.donor, *(() if keep_best else (self.best,))):
            path.unlink(missing_ok=True)
            partial(path).unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """The file holds all of `data` or what it held before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial(path)
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def link_atomically(source: Path, target: Path) -> None:
    """`target` becomes another name of `source` as it is now (a copy where the file system has no hard links)."""
    temporary = partial(target)
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        write_atomically(target, source.read_bytes())
        return
    os.replace(temporary, target)
    temporary.unlink(missing_ok=True)  # renaming a file to another name of itself leaves both


def partial(path: Path) -> Path:
    """Where `path` is written before it takes its name."""
    return path.with_name(path.name + ".part")
