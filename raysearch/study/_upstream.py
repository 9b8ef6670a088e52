"""The files of upstream work: ``upstream/<name>-<first 16 digits of its key>`` with the endings below.

``.pt`` is the outcome and ``.json`` tells of it; ``.partial`` is the checkpoint of its last finished epoch, gone at the
end; ``.lock`` is held by the process that does the work.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from raysearch.study._trial_folder import partial, write_atomically

if TYPE_CHECKING:
    from raysearch.method import Method, Work

FOLDER = "upstream"
POLL_SECONDS = 0.2
"""Between two looks at the lock of work that another trial does."""


def shared_work(method: type[Method], settings: Mapping[str, Any], seed: int) -> list[Work]:
    """The upstream work of a trial, as its thin process is told; `seed` is the study's. None where the method refuses
    the settings: so it will in the trial's worker, and the trial fails with what the method says."""
    from raysearch.method import upstream_plan

    try:
        return upstream_plan(method, method.Config(**settings), seed)
    # the method's own code, which may call sys.exit: its trial fails, the study goes on; Ctrl-C is on record by itself
    except BaseException:
        return []


@dataclass(kw_only=True)
class Progress:
    """What the ``.json`` holds.

    Attributes:
        epoch, epochs: done, and in all.
        seconds: that it took so far; of an epoch that was interrupted none.
        spans: in which it was worked on, (begin, end) in seconds since 1970; one a run that did some of it.
        failed: why it could not be done; empty if it could.
        run: of the study in which it failed: another run of it tries again.
    """

    name: str
    fields: dict[str, Any] = field(default_factory=dict)
    epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list)
    failed: str = ""
    run: str = ""


class UpstreamFiles:
    """Args:
    study: folder of the study.
    """

    def __init__(self, study: Path, work: Work) -> None:
        self.work = work
        self._stem = study / FOLDER / f"{work['name']}-{work['key'][:16]}"

    @property
    def outcome(self) -> Path:
        return self._named("pt")

    @property
    def checkpoint(self) -> Path:
        return self._named("partial")

    def lock(self) -> FileLock:
        """Held by one process at a time, and given back by the kernel however that one ends."""
        self._stem.parent.mkdir(exist_ok=True)
        return FileLock(self._named("lock"), poll_interval=POLL_SECONDS)

    @property
    def progress(self) -> Progress:
        return read_progress(self._named("json")) or Progress(name=self.work["name"], fields=self.work["fields"])

    def tell(self, progress: Progress) -> None:
        write_atomically(self._named("json"), json.dumps(asdict(progress), default=str).encode())

    def finish(self, outcome: bytes, progress: Progress) -> None:
        """Writes what the work leaves; its checkpoint is needed no longer."""
        write_atomically(self.outcome, outcome)
        self.tell(progress)
        self.drop_checkpoint()

    def drop_checkpoint(self) -> None:
        self.checkpoint.unlink(missing_ok=True)
        partial(self.checkpoint).unlink(missing_ok=True)

    def _named(self, ending: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{ending}")


def read_progress(path: Path) -> Progress | None:
    """None if there is none, or none that could be read: nothing but the display depends on it."""
    with suppress(OSError, ValueError, TypeError):
        return Progress(**json.loads(path.read_text()))
    return None


def worked_on(study: Path) -> Iterator[tuple[float, float]]:
    """The spans in which upstream work of a study was worked on."""
    for path in (study / FOLDER).glob("*.json"):
        progress = read_progress(path)
        if progress is not None:
            yield from ((begin, end) for begin, end in progress.spans)  # JSON knows no tuples


def unfinished(study: Path) -> Iterator[Progress]:
    """Upstream work that is being done, or was when the study was interrupted."""
    with suppress(OSError):
        for path in sorted((study / FOLDER).glob("*.json")):
            if not path.with_suffix(".pt").exists():
                progress = read_progress(path)
                if progress is not None and not progress.failed:
                    yield progress
