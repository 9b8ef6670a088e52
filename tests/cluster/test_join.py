"""``--address``: a cluster that is running already, and that others use too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.local_cluster import LocalCluster, eventually, finish, trials, tune

pytestmark = pytest.mark.ray

DETACHED = "_AutoscalingCoordinatorActor"
"""Ray's own, one a cluster, with no resources: it takes back the requests that it made for ended jobs."""


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[LocalCluster]:
    cluster = LocalCluster()
    try:
        cluster.start(cpus=1)
        cluster.start(cpus=1)
        yield cluster
    finally:
        cluster.close()


def ours(actors: list[tuple[str, str]]) -> list[str]:
    return [name for name, _ in actors if name != DETACHED]


def own(cluster: LocalCluster) -> dict[str, str]:
    return {**os.environ, **cluster.environment}


def test_a_study_uses_both_nodes_and_leaves_them_as_they_were(two_nodes: LocalCluster, studies: Path) -> None:
    arguments = ("--address", two_nodes.address, "--samples", "4", "--slots", "2", "--study", "joined")
    code, output, errors = finish(tune(*arguments, environment=own(two_nodes)), 200)
    assert code == 0, errors
    assert "best: trial" in output
    assert len(trials(studies, "joined")) == 4
    state = eventually(lambda: (s := two_nodes.state())["free"] == 2 and not ours(s["actors"]) and s, 30)
    assert state["used"] == sorted(state["nodes"])
    assert len(state["nodes"]) == 2
    assert state["groups"] == 0


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (("--cpus-per-worker", "2"), "0 workers with 2 CPUs and 0 GPUs fit here (2 nodes, none spans two)"),
        (("--workers-per-trial", "3"), "needs 3 CPUs, and there are 2"),
        (("--gpus-per-worker", "1"), "needs 1 GPUs, and there are 0"),
        (("--slots", "3", "--samples", "9"), "at most 2 fit"),
    ],
)
def test_a_request_that_exceeds_the_cluster_is_refused(
    two_nodes: LocalCluster, request_: tuple[str, ...], expected: str
) -> None:
    code, _, errors = finish(tune("--address", two_nodes.address, *request_, environment=own(two_nodes)), 60)
    assert code == 2
    assert expected in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("mode", ["disabled", "token"])
def test_without_the_token_nobody_joins(two_nodes: LocalCluster, mode: str, tmp_path: Path) -> None:
    other = tmp_path / "token"
    other.write_text("another cluster's")
    environment = {**own(two_nodes), "RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN_PATH": str(other)}
    code, _, errors = finish(tune("--address", two_nodes.address, environment=environment), 60)
    assert code == 2
    assert "takes nobody without its token: set RAY_AUTH_MODE=token" in errors
    assert errors.count("\n") == 1
