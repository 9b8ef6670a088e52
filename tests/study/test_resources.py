"""What is promised is there; what is refused names the flag that would mend it."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.errors import ResourceError
from raysearch.study import _resources
from raysearch.study._resources import BASE_MEMORY, GIB, GROUP_MEMORY, WORKER_MEMORY, Machine, fit

BIG = Machine(cpus=16, gpus=4, memory=64 * GIB)
REQUEST: dict[str, Any] = {"workers": 1, "cpus": 1, "gpus": None, "slots": None, "samples": 100}

nodes = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 4)), min_size=1, max_size=3)
machines = st.tuples(nodes, st.integers(1, 40), st.booleans()).map(
    lambda drawn: Machine(
        cpus=sum(c for c, _ in drawn[0]),
        gpus=sum(g for _, g in drawn[0]),
        memory=drawn[1] * GIB,
        nodes=tuple(drawn[0]) if drawn[2] else (),
    )
)


def packed(machine: Machine, cpus: int, gpus: float, workers: int) -> bool:
    """Whether so many workers can be placed: no worker spans two nodes, no fraction two GPUs. One after the other."""
    free = [[c, [1.0] * g] for c, g in machine.nodes or ((machine.cpus, machine.gpus),)]
    for _ in range(workers):
        for node in free:
            cards: Any = node[1]
            fitting = [n for n, left in enumerate(cards) if left >= min(gpus, 1.0) - 1e-9]
            wanted = math.ceil(gpus)
            if node[0] >= cpus and len(fitting) >= wanted:  # type: ignore[operator]
                node[0] -= cpus  # type: ignore[operator]
                for n in fitting[:wanted]:
                    cards[n] -= min(gpus, 1.0)
                break
        else:
            return False
    return True


@settings(max_examples=300)
@given(
    machine=machines,
    workers=st.integers(1, 4),
    cpus=st.integers(1, 4),
    gpus=st.sampled_from([None, 0.0, 0.25, 0.3, 0.5, 1.0, 2.0]),
    slots=st.none() | st.integers(1, 8),
    samples=st.integers(1, 10),
)
def test_never_more_than_there_is(
    machine: Machine, workers: int, cpus: int, gpus: float | None, slots: int | None, samples: int
) -> None:
    refusal = ""
    try:
        promised = fit(machine, workers=workers, cpus=cpus, gpus=gpus, slots=slots, samples=samples)
    except ResourceError as error:
        refusal = str(error)
    if refusal:
        assert re.search(r"--(workers-per-trial|cpus-per-worker|gpus-per-worker|slots)", refusal)
        assert "\n" not in refusal
        return
    assert (promised.workers, promised.cpus) == (workers, cpus)
    assert 1 <= promised.slots <= samples
    if slots is not None:
        assert promised.slots == min(slots, samples)
    assert packed(machine, promised.cpus, promised.gpus, promised.slots * workers)
    need = BASE_MEMORY + promised.slots * (GROUP_MEMORY + workers * WORKER_MEMORY)
    assert need <= machine.memory
    if gpus is None:
        assert promised.gpus == (1.0 if machine.gpus else 0.0)


@pytest.mark.parametrize(
    ("request_", "flag"),
    [
        ({"workers": 17}, "--workers-per-trial or --cpus-per-worker"),
        ({"cpus": 17}, "--cpus-per-worker"),
        ({"workers": 5}, "--gpus-per-worker"),
        ({"gpus": 5.0}, "--gpus-per-worker"),
        ({"gpus": 1.5}, "--gpus-per-worker 1.5"),
        ({"gpus": -1.0}, "--gpus-per-worker -1"),
        ({"gpus": math.nan}, "--gpus-per-worker nan"),
        ({"gpus": math.inf}, "--gpus-per-worker inf"),
        ({"gpus": 0.5, "workers": 2}, "--gpus-per-worker 0.5 with 2 workers"),
        ({"slots": 5}, "--slots 5: at most 4 fit here"),
        ({"slots": 500, "samples": 99}, "--slots 500: at most 4 fit here"),
        ({"slots": 0}, "--slots 0"),
        ({"workers": 0}, "--workers-per-trial 0"),
    ],
)
def test_refusals_name_the_flag(request_: dict[str, Any], flag: str) -> None:
    with pytest.raises(ResourceError, match=re.escape(flag)):
        fit(BIG, **{**REQUEST, **request_})


def test_a_worker_does_not_span_nodes() -> None:
    with pytest.raises(ResourceError, match=r"fit here \(2 nodes, none spans two.*--cpus-per-worker"):
        fit(Machine(cpus=6, gpus=0, memory=64 * GIB, nodes=((3, 0), (3, 0))), **{**REQUEST, "cpus": 4})


def test_too_little_memory_is_refused() -> None:
    need = BASE_MEMORY + GROUP_MEMORY + WORKER_MEMORY
    with pytest.raises(ResourceError, match=f"needs about {need / GIB:.1f} GiB of memory, and there are .*--address"):
        fit(Machine(cpus=2, gpus=0, memory=need - 1), **REQUEST)
    assert fit(Machine(cpus=2, gpus=0, memory=need), **REQUEST).slots == 1


def test_as_many_slots_as_trials_can_use() -> None:
    assert fit(BIG, **REQUEST).slots == 4
    assert fit(BIG, **{**REQUEST, "gpus": 0.0}).slots == 16
    assert fit(BIG, **{**REQUEST, "samples": 2}).slots == 2
    assert fit(BIG, **{**REQUEST, "slots": 4, "samples": 2}).slots == 2
    memory = BASE_MEMORY + 3 * (GROUP_MEMORY + WORKER_MEMORY)
    assert fit(Machine(cpus=16, gpus=0, memory=memory), **REQUEST).slots == 3, "memory is the limit"


@pytest.mark.parametrize(
    ("visible", "count"), [(None, 2), ("", 0), ("-1", 0), ("0", 1), ("0,1", 2), ("GPU-1234", 1), ("0,1,2,3", 2)]
)
def test_gpus_are_those_that_the_process_may_see(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, count: int
) -> None:
    class Folder:
        def __init__(self, path: str) -> None:
            assert path == "/proc/driver/nvidia/gpus"

        def glob(self, pattern: str) -> list[Any]:
            return [type("Path", (), {"name": name}) for name in ("0000:01", "0000:02")]

    monkeypatch.setattr(_resources, "Path", Folder)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert len(_resources.visible_gpus()) == count
