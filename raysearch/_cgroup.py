"""What the kernel lets this process use: CPU quotas and memory limits of its control groups, versions 1 and 2.

Limits of all its ancestors hold too. A container may see its own group as the root, or the whole tree and itself as a
part of it; batch systems and service managers set limits on groups inside a machine's tree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

Read = Callable[[str], str | None]
"""From a path to the file's text; None where it cannot be read."""


@dataclass(frozen=True)
class Limits:
    """None where there is no limit."""

    cpus: float | None = None
    """The quota, in CPUs."""
    memory: int | None = None
    """Bytes."""


@dataclass(frozen=True)
class Mount:
    """Where a hierarchy is to be seen."""

    root: PurePosixPath
    """The group at the mount point."""
    point: PurePosixPath
    controllers: frozenset[str] | None
    """Of version 1, among other options; None is version 2."""


def own_limits() -> Limits:
    """Those of this process."""
    return limits(_read("/proc/self/cgroup") or "", _read("/proc/self/mountinfo") or "", _read)


def usable_cpus() -> int:
    """CPUs that this process may keep busy: those that it may run on, and no more than its quota pays for."""
    allowed = len(os.sched_getaffinity(0))
    quota = own_limits().cpus
    return allowed if quota is None else max(1, min(allowed, int(quota + 1e-9)))


def keep_to_quota() -> None:
    """Has libraries that are loaded later start no more threads than a quota pays for; the user's own word stands."""
    if usable_cpus() < len(os.sched_getaffinity(0)):
        os.environ.setdefault("OMP_NUM_THREADS", str(usable_cpus()))


def limits(groups: str, mountinfo: str, read: Read) -> Limits:
    """The tightest limits of a process's groups and their ancestors, as far as they can be seen.

    Args:
        groups: its ``/proc/PID/cgroup``.
        mountinfo: its ``/proc/PID/mountinfo``.
        read: reads a file.
    """
    mounts = _mounts(mountinfo)
    cpus: list[float] = []
    memory: list[int] = []
    for line in groups.splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        controllers = None if number == "0" else frozenset(names.split(","))
        for folder in _folders(PurePosixPath(path), controllers, mounts):
            if controllers is None:
                cpus += _quota(read(f"{folder}/cpu.max"))
                memory += [*_number(read(f"{folder}/memory.max")), *_number(read(f"{folder}/memory.high"))]
                continue
            if "cpu" in controllers:
                quota, period = read(f"{folder}/cpu.cfs_quota_us"), read(f"{folder}/cpu.cfs_period_us")
                cpus += _quota(f"{quota} {period}")
            if "memory" in controllers:
                memory += _number(read(f"{folder}/memory.limit_in_bytes"))
                # of ancestors too that cannot be seen
                stated = re.search(r"^hierarchical_memory_limit (\d+)$", read(f"{folder}/memory.stat") or "", re.M)
                memory += [int(stated[1])] if stated else []
    return Limits(cpus=min(cpus, default=None), memory=min(memory, default=None))


def _folders(path: PurePosixPath, controllers: frozenset[str] | None, mounts: list[Mount]) -> Iterator[PurePosixPath]:
    """A group's folder and those of its ancestors, wherever they are mounted."""
    of_hierarchy = [
        mount
        for mount in mounts
        if (controllers is None and mount.controllers is None)
        or (controllers and mount.controllers and controllers & mount.controllers)
    ]
    holding = [mount for mount in of_hierarchy if path.is_relative_to(mount.root)]
    for mount in holding:
        below = path.relative_to(mount.root)
        yield mount.point / below
        for ancestor in below.parents:
            yield mount.point / ancestor
    if not holding:  # the names are those of another namespace: what is mounted is all that can be seen
        for mount in of_hierarchy:
            yield mount.point


def _mounts(mountinfo: str) -> list[Mount]:
    """Mounted hierarchies; of two at the same place, the one that is seen."""
    found: dict[str, Mount] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, said = before.split(), after.split()
        if len(fields) < 5 or len(said) < 3:
            continue
        root, point = _plain(fields[3]), _plain(fields[4])
        found.pop(point, None)
        if said[0] in ("cgroup", "cgroup2"):
            controllers = None if said[0] == "cgroup2" else frozenset(said[2].split(","))
            found[point] = Mount(PurePosixPath(root), PurePosixPath(point), controllers)
    return list(found.values())


def _plain(field: str) -> str:
    """Blanks in paths are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def _quota(text: str | None) -> list[float]:
    """CPUs of ``QUOTA PERIOD``; nothing for ``max``, -1 and what cannot be read."""
    numbers = [_number(part) for part in (text or "").split()]
    if len(numbers) != 2 or not all(numbers):
        return []
    (quota,), (period,) = numbers
    return [quota / period] if quota > 0 and period > 0 else []


def _number(text: str | None) -> list[int]:
    text = (text or "").strip()
    return [int(text)] if text.isdecimal() else []


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return None
