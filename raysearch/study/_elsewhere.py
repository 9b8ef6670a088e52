"""Whether a study can go on here, which may be another machine than the one that it was made for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from raysearch._text import counted
from raysearch.errors import ResourceError
from raysearch.study._config import Resources
from raysearch.study._resources import Machine, check_request, fit
from raysearch.study._study import Study


def check_fit(study: Study, wanted: Resources, machine: Machine) -> None:
    """ResourceError, with the command that goes on here, if the study's resources are not to be had."""
    check_request(workers=wanted.workers, cpus=wanted.cpus, gpus=wanted.gpus, slots=wanted.slots)
    if _fits(wanted, machine):
        return
    here = nearest_fit(wanted, machine)
    if here is None:
        _fit(wanted, machine, slots=wanted.slots)
        raise AssertionError("it does not fit, and now it does")
    raise ResourceError(
        f"study '{study.name}' needs {needs(wanted)}, and here are {machine}: go on with"
        f" 'raysearch resume {study.typed} {' '.join(options(wanted, here))}', or join a cluster with --address"
    )


def nearest_fit(wanted: Resources, machine: Machine) -> Resources | None:
    """What can be had here with as few changes as possible; None if no trial can run at all."""
    for changed in _candidates(wanted, machine):
        try:
            return _fit(replace(changed, slots=wanted.slots), machine, slots=None)
        except ResourceError:
            continue
    return None


def needs(resources: Resources) -> str:
    """
    >>> needs(Resources(workers=2, cpus=4, gpus=1.0, slots=3))
    '3 slots of 2 workers with 4 CPUs and 1 GPU each'
    """
    return (
        f"{counted(resources.slots, 'slot')} of {counted(resources.workers, 'worker')} with"
        f" {counted(resources.cpus, 'CPU')} and {counted(resources.gpus, 'GPU')} each"
    )


def options(before: Resources, after: Resources) -> list[str]:
    """The options of `resume` that lead from one to the other.

    >>> options(Resources(gpus=1.0, slots=4), Resources(gpus=0.0, slots=2))
    ['--gpus-per-worker 0', '--slots 2']
    """
    pairs = {
        "--gpus-per-worker": (before.gpus, after.gpus),
        "--workers-per-trial": (before.workers, after.workers),
        "--cpus-per-worker": (before.cpus, after.cpus),
        "--slots": (before.slots, after.slots),
    }
    return [f"{option} {new:g}" for option, (old, new) in pairs.items() if old != new]


def _fit(wanted: Resources, machine: Machine, *, slots: int | None) -> Resources:
    """`fit` of a study's resources, with so many slots, or as many of its own as there is room for."""
    return fit(machine, workers=wanted.workers, cpus=wanted.cpus, gpus=wanted.gpus, slots=slots, samples=wanted.slots)


def _fits(wanted: Resources, machine: Machine) -> bool:
    try:
        _fit(wanted, machine, slots=wanted.slots)
    except ResourceError:
        return False
    return True


def _candidates(wanted: Resources, machine: Machine) -> Iterator[Resources]:
    """What a trial may get instead: what changes least first, and of that what is left most."""
    gpus = dict.fromkeys([wanted.gpus, *([1.0] if wanted.gpus > 1 else []), 0.0])
    cpus = dict.fromkeys([wanted.cpus, *(c for c in (machine.cpus, 1) if c < wanted.cpus)])
    workers = range(wanted.workers, 0, -1)
    found = [replace(wanted, gpus=g, cpus=c, workers=w) for g, w, c in product(gpus, workers, cpus)]
    yield from sorted(found, key=lambda r: len(options(wanted, r)))  # stable
