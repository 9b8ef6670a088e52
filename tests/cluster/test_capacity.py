"""How many slots a cluster holds, and on which of its nodes their keepers are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raysearch.errors import ResourceError
from raysearch.slots._start import place
from raysearch.study._capacity import capacity
from raysearch.study._resources import Machine, fit

shapes = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4)), min_size=1, max_size=5)


def machine_of(nodes: list[tuple[int, int]]) -> Machine:
    return capacity([{"CPU": float(c), "GPU": float(g), "memory": float(1 << 40)} for c, g in nodes], None)


def places_one_by_one(nodes: list[tuple[int, int]], cpus: int, gpus: float) -> int:
    """Puts workers on GPUs until none fits."""
    placed = 0
    for free, count in nodes:
        devices = [1.0] * count
        while free >= cpus:
            if gpus >= 1:
                if len(devices) < gpus:
                    break
                devices = devices[int(gpus) :]
            elif gpus:
                device = next((i for i, left in enumerate(devices) if left >= gpus - 1e-9), None)
                if device is None:
                    break
                devices[device] -= gpus
            free -= cpus
            placed += 1
    return placed


@given(shapes, st.integers(1, 4), st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 1.0, 2.0]))
def test_places_are_those_found_one_by_one(nodes: list[tuple[int, int]], cpus: int, gpus: float) -> None:
    assert machine_of(nodes).places(cpus, gpus) == places_one_by_one([n for n in nodes if n[0]] or [(0, 0)], cpus, gpus)


def test_a_worker_does_not_span_nodes() -> None:
    with pytest.raises(ResourceError, match=r"0 workers with 2 CPUs and 0 GPUs fit here \(3 nodes, none spans two\)"):
        fit(machine_of([(1, 0)] * 3), workers=1, cpus=2, gpus=0, slots=None, samples=9)
    assert fit(machine_of([(3, 0), (3, 0)]), workers=1, cpus=2, gpus=0, slots=None, samples=9).slots == 2


def test_a_trial_may() -> None:
    assert fit(machine_of([(1, 0)] * 4), workers=2, cpus=1, gpus=0, slots=None, samples=9).slots == 2


def test_an_autoscaler_counts_up_to_its_limit_gpus_first() -> None:
    kinds: dict[str, Any] = {
        "head": {"resources": {"CPU": 4}},
        "small": {"resources": {"CPU": 2}, "max_workers": 5},
        "gpu": {"resources": {"CPU": 8, "GPU": 2}, "max_workers": 2},
    }
    config = {"head_node_type": "head", "max_workers": 3, "available_node_types": kinds}
    machine = capacity([{"node:__internal_head__": 1.0, "CPU": 4.0}, {"CPU": 8.0, "GPU": 2.0}], config)
    assert machine.nodes == ((4, 0), (8, 2), (8, 2), (2, 0))
    assert machine.gpus == 4


def node(name: str, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "Resources": resources}


def test_keepers_are_where_their_groups_fit_and_first_here() -> None:
    nodes = [node("a", CPU=4.0, GPU=1.0), node("here", CPU=2.0, GPU=1.0), node("head")]
    assert place(nodes, here="here", workers=1, cpus=1, gpus=0) == ["here"] * 2 + ["a"] * 4
    assert place(nodes, here="here", workers=1, cpus=1, gpus=0.1) == ["here"] * 2 + ["a"] * 4
    assert place(nodes, here="here", workers=1, cpus=2, gpus=1) == ["here", "a"]
    assert place(nodes, here="here", workers=2, cpus=2, gpus=0) == ["a"]
    assert place([node("here")], here="here", workers=1, cpus=1, gpus=1) == []
