"""What this machine has, and whether a request can ever be scheduled on it. Answers without starting Ray."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from raysearch._cgroup import own_limits, usable_cpus
from raysearch.errors import ResourceError
from raysearch.study._config import Resources

GIB = 1 << 30

BASE_MEMORY = int(1.9 * GIB)
"""Ray's own processes, the driver and the keeper (sum of PSS; benchmarks/first_study.py measures all of it)."""
GROUP_MEMORY = int(0.6 * GIB)
"""A slot's Ray Train controller and its helpers."""
WORKER_MEMORY = int(0.75 * GIB)
"""A worker with torch loaded, before its model."""
LEAST_STORE = 80 * 1024 * 1024
LARGE_STORE = 10**10
"""Ray takes no smaller store, and puts no larger one on a disk."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What can be shared out."""

    cpus: int
    gpus: int
    memory: int
    """Bytes."""
    nodes: tuple[tuple[int, int], ...] = ()
    """CPUs and GPUs of each node, of a cluster."""

    def places(self, cpus: int, gpus: float) -> int:
        """Workers of that size that can run at a time: none spans two nodes, and no fraction two GPUs.

        >>> Machine(cpus=8, gpus=4, memory=0, nodes=((4, 2), (4, 2))).places(3, 0.5)
        2
        """

        def on(node: tuple[int, int]) -> int:
            by_cpus = node[0] // cpus
            if not gpus:
                return by_cpus
            return min(by_cpus, node[1] * int(1 / gpus + 1e-9) if gpus < 1 else int(node[1] / gpus))

        return sum(on(node) for node in self.nodes or ((self.cpus, self.gpus),))

    def __str__(self) -> str:
        return f"{self.cpus} CPUs, {self.gpus} GPUs, {self.memory / GIB:.1f} GiB"


def this_machine() -> Machine:
    """What its kernel lets this process use: quotas and limits of containers, services and batch jobs are met."""
    return Machine(cpus=usable_cpus(), gpus=len(visible_gpus()), memory=memory_limit())


def visible_gpus() -> list[str]:
    """NVIDIA devices that a process may use, without importing torch."""
    devices = sorted(p.name for p in Path("/proc/driver/nvidia/gpus").glob("*"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return devices
    return devices[: len([v for v in visible.split(",") if v.strip() and v.strip() != "-1"])]


def memory_limit() -> int:
    """Bytes of memory: the limit of our control groups where there is one below the machine's."""
    total = int(psutil.virtual_memory().total)
    limit = own_limits().memory
    return total if limit is None else min(total, limit)


def object_store_memory(memory: int) -> int:
    """Bytes of `memory` for Ray's object store: its own default share, which is refused where it would need a large
    store elsewhere than in shared memory."""
    try:
        shared = os.statvfs("/dev/shm")  # noqa: S108 - no file of ours
        room = shared.f_frsize * shared.f_bavail
    except OSError:
        room = 0
    return max(LEAST_STORE, min(int(0.3 * memory), max(LARGE_STORE, int(0.95 * room))))


def fit(
    machine: Machine,
    *,
    workers: int,
    cpus: int,
    gpus: float | None,
    slots: int | None,
    samples: int,
) -> Resources:
    """Shares a machine out: as many slots as CPUs, GPUs and memory allow and trials can use.

    Args:
        workers: processes a trial.
        cpus: cores a worker.
        gpus: GPUs a worker, possibly a fraction; None is one where there are any.
        slots: trials at a time; None for as many as fit.
        samples: trials in all.

    Raises:
        ResourceError: not even one trial, or not so many at a time, can ever run here.
    """
    gpus = (1.0 if machine.gpus else 0.0) if gpus is None else gpus
    check_request(workers=workers, cpus=cpus, gpus=gpus, slots=slots)
    need = Machine(cpus=workers * cpus, gpus=0, memory=BASE_MEMORY + GROUP_MEMORY + workers * WORKER_MEMORY)
    if need.cpus > machine.cpus:
        raise ResourceError(
            f"a trial of {workers} workers with {cpus} CPUs each needs {need.cpus} CPUs, and there are {machine.cpus}:"
            " lower --workers-per-trial or --cpus-per-worker, or join a cluster with --address"
        )
    if workers * gpus > machine.gpus:
        raise ResourceError(
            f"a trial of {workers} workers with {gpus:g} GPUs each needs {workers * gpus:g} GPUs, and there are"
            f" {machine.gpus}: lower --gpus-per-worker (0 trains on CPUs), or join a cluster with --address"
        )
    places = machine.places(cpus, gpus)
    if places < workers:
        raise ResourceError(
            f"{places} workers with {cpus} CPUs and {gpus:g} GPUs fit here ({len(machine.nodes) or 1} nodes, none spans"
            f" two), and a trial needs {workers}: lower --workers-per-trial, --cpus-per-worker or --gpus-per-worker"
        )
    if need.memory > machine.memory:
        raise ResourceError(
            f"a trial of {workers} workers needs about {need.memory / GIB:.1f} GiB of memory, and there are"
            f" {machine.memory / GIB:.1f}: lower --workers-per-trial, or join a cluster with --address"
        )
    by_memory = (machine.memory - BASE_MEMORY) // (need.memory - BASE_MEMORY)
    most = min(places // workers, by_memory)
    wanted = min(most if slots is None else slots, samples)
    if wanted > most:
        raise ResourceError(f"--slots {slots}: at most {most} fit here ({machine}); lower it, or leave it out")
    return Resources(workers=workers, cpus=cpus, gpus=gpus, slots=wanted)


def check_request(*, workers: int, cpus: int, gpus: float, slots: int | None) -> None:
    """ResourceError for what no machine could give."""
    if min(workers, cpus) < 1 or (slots is not None and slots < 1):
        raise ResourceError(
            f"--workers-per-trial {workers}, --cpus-per-worker {cpus}, --slots {slots}: expected 1 or more each"
        )
    if not gpus >= 0 or (gpus > 1 and gpus % 1):
        raise ResourceError(
            f"--gpus-per-worker {gpus:g}: expected 0, a fraction of one GPU, or a whole number: Ray gives nothing else"
        )
    if 0 < gpus < 1 and workers > 1:
        raise ResourceError(
            f"--gpus-per-worker {gpus:g} with {workers} workers would put two ranks of a trial on one GPU, which NCCL"
            " refuses: give whole GPUs, or --workers-per-trial 1"
        )
