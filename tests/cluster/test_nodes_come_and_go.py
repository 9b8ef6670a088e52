"""Nodes that an autoscaler adds for a study, and nodes that are taken away under one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.local_cluster import LocalCluster, eventually, finish, trials, tune

pytestmark = [pytest.mark.ray, pytest.mark.slow]

HEAD_ID = "f" * 51 + "00000"


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    started = LocalCluster()
    try:
        yield started
    finally:
        started.close()


def test_a_study_outlives_the_node_of_its_slot(cluster: LocalCluster, studies: Path) -> None:
    for cpus in (0, 1, 1):  # the head trains nothing, as in cluster.yaml
        cluster.start(cpus=cpus)
    arguments = ("--address", cluster.address, "--samples", "400", "--slots", "1", "--study", "outlives")
    process = tune(*arguments, environment={**os.environ, **cluster.environment})
    eventually(lambda: trials(studies, "outlives"), 120)
    actors = cluster.state()["actors"]
    where = dict(actors)
    assert where["Keeper"] != where["Pool"]
    trial_actors = [node for name, node in actors if "Trainable" in name]
    assert set(trial_actors) == {where["Pool"]}, "trials are where the driver is: no other node can take one along"
    cluster.kill_node(where["Keeper"])
    assert len(trials(studies, "outlives")) < 400
    code, output, errors = finish(process, 300)
    assert code == 0, errors
    assert "best: trial" in output
    assert len(trials(studies, "outlives")) == 400
    assert len(cluster.state()["nodes"]) == 2


def test_a_study_starts_the_nodes_that_it_needs_and_lets_them_go(cluster: LocalCluster, studies: Path) -> None:
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    config = {
        **{f"{name}_commands": [] for name in commands},
        **{"auth": {}, "file_mounts": {}, "cluster_synced_files": [], "rsync_exclude": [], "rsync_filter": []},
        "cluster_name": "local",
        "max_workers": 2,
        "idle_timeout_minutes": 0.1,
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "disable_node_updaters": True,
            "launch_multiple": True,
            "head_node_id": HEAD_ID,
            "gcs_address": cluster.address,
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": {
                "resources": {"CPU": 1, "object_store_memory": 100_000_000},
                "node_config": {},
                "min_workers": 0,
                "max_workers": 2,
            },
        },
    }
    file = cluster.folder / "autoscaler.yaml"
    file.write_text(yaml.safe_dump(config))
    cluster.start(
        f"--autoscaling-config={file}",
        cpus=0,
        RAY_FAKE_CLUSTER="1",
        RAY_enable_autoscaler_v2="1",
        AUTOSCALER_UPDATE_INTERVAL_S="1",
        RAY_CLOUD_INSTANCE_ID=HEAD_ID,
        RAY_OVERRIDE_NODE_ID_FOR_TESTING=HEAD_ID,
    )
    environment = {**os.environ, **cluster.environment}
    code, _, errors = finish(tune("--address", cluster.address, "--slots", "3", environment=environment), 60)
    assert code == 2
    assert "at most 2 fit" in errors
    assert len(cluster.state()["nodes"]) == 1
    arguments = ("--address", cluster.address, "--samples", "4", "--slots", "2", "--study", "grown")
    code, _, errors = finish(tune(*arguments, environment=environment), 240)
    assert code == 0, errors
    assert len(trials(studies, "grown")) == 4
    eventually(lambda: cluster.state()["nodes"] == [HEAD_ID], 60)
