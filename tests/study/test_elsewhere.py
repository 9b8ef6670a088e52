"""A study that goes on where it was not begun: what it needs, what is here, and what to type."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raysearch.errors import ResourceError
from raysearch.study._config import Resources
from raysearch.study._elsewhere import check_fit, nearest_fit, options
from raysearch.study._resources import GIB, Machine
from study.test_resources import machines

LAPTOP = Machine(cpus=2, gpus=0, memory=16 * GIB)

G: Any = SimpleNamespace(name="g", typed="g")


def refusal(machine: Machine, **wanted: Any) -> str:
    with pytest.raises(ResourceError) as refused:
        check_fit(G, Resources(**wanted), machine)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "machine", "needed", "typed"),
    [
        ({"gpus": 1.0}, LAPTOP, "1 slot of 1 worker with 1 CPU and 1 GPU each", "--gpus-per-worker 0"),
        ({"gpus": 0.5, "slots": 8}, LAPTOP, "8 slots of 1 worker", "--gpus-per-worker 0 --slots 2"),
        ({"slots": 4}, LAPTOP, "4 slots of 1 worker with 1 CPU and 0 GPUs each", "--slots 2"),
        ({"workers": 4}, LAPTOP, "1 slot of 4 workers", "--workers-per-trial 2"),
        ({"cpus": 16}, LAPTOP, "1 slot of 1 worker with 16 CPUs", "--cpus-per-worker 2"),
        ({"workers": 2, "cpus": 2}, LAPTOP, "1 slot of 2 workers with 2 CPUs", "--cpus-per-worker 1"),
        (
            {"workers": 2, "cpus": 8, "gpus": 2.0, "slots": 3},
            LAPTOP,
            "3 slots of 2 workers with 8 CPUs and 2 GPUs each",
            "--gpus-per-worker 0 --cpus-per-worker 1 --slots 1",
        ),
        (
            {"gpus": 2.0, "slots": 2},
            Machine(cpus=8, gpus=1, memory=64 * GIB),
            "2 slots of 1 worker with 1 CPU and 2 GPUs each",
            "--gpus-per-worker 1 --slots 1",
        ),
    ],
)
def test_what_is_needed_what_is_here_and_what_to_type(
    wanted: dict[str, Any], machine: Machine, needed: str, typed: str
) -> None:
    said = refusal(machine, **wanted)
    assert said.startswith(f"study 'g' needs {needed}")
    assert f"here are {machine}" in said
    assert f"'raysearch resume g {typed}'" in said
    assert "--address" in said


def test_where_nothing_would_help_the_reason_stands() -> None:
    assert "GiB of memory" in refusal(Machine(cpus=8, gpus=0, memory=1 * GIB))


def test_what_no_machine_has_is_refused_as_such() -> None:
    assert "NCCL" in refusal(LAPTOP, gpus=0.5, workers=2)
    assert "a fraction of one GPU, or a whole number" in refusal(LAPTOP, gpus=1.5)


@settings(max_examples=200)
@given(
    machine=machines,
    wanted=st.builds(
        Resources,
        workers=st.integers(1, 4),
        cpus=st.integers(1, 8),
        gpus=st.sampled_from([0.0, 1.0, 2.0]),
        slots=st.integers(1, 6),
    ),
)
def test_what_it_tells_to_type_is_what_can_be_had(machine: Machine, wanted: Resources) -> None:
    here = nearest_fit(wanted, machine)
    if here == wanted:
        check_fit(G, wanted, machine)
        return
    said = refusal(machine, **vars(wanted))
    assert (here is None) == ("raysearch resume" not in said)
    if here is not None:
        check_fit(G, here, machine)
        assert f"resume g {' '.join(options(wanted, here))}'" in said
