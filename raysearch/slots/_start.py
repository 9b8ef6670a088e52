"""Starts and stops a study's slots on a running Ray cluster."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysearch.errors import RaysearchError
from raysearch.slots._keeper import Keeper
from raysearch.slots._pool import Pool
from raysearch.slots._spec import GroupSpec

START_DEADLINE_SECONDS = 300.0
NODE_DEADLINE_SECONDS = 1800.0
"""Where an autoscaler has to start the first node: a virtual machine, and on it an environment with torch."""
STOP_SECONDS = 40.0
"""For the command that a group is busy with. Killed in the middle, Ray Train leaves a detached actor of its own behind
on a cluster without a dashboard, and needs up to 14 s to end on one."""


@dataclass
class Slots:
    """The pool's name and the keepers of a study that is running."""

    pool: str
    count: int
    actor: Any
    keepers: list[Any]
    deadline: float = START_DEADLINE_SECONDS
    """Seconds that the first slot may take."""

    def wait_for_first(self) -> float:
        """Seconds until the first slot was up.

        Raises:
            RaysearchError: none came up in time, or none ever will; the message says why.
        """
        started = time.monotonic()
        while True:
            status = ray.get(self.actor.status.remote())
            if status["up"]:
                return time.monotonic() - started
            if len(status["broken"]) == self.count:
                raise RaysearchError(f"no worker group could be started: {next(iter(status['broken'].values()))}")
            if time.monotonic() - started > self.deadline:
                raise RaysearchError(
                    f"no worker group was ready after {self.deadline:.0f} s; 'ray status' shows what the cluster waits"
                    " for, the study's log.txt what Ray said"
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """Ends the groups and waits for their resources to be free again: the cluster may not be ours alone."""
        ray.get(self.actor.stop.remote())
        for answer in [keeper.stop.remote(STOP_SECONDS) for keeper in self.keepers]:
            with contextlib.suppress(RayError):  # its node is gone
                ray.get(answer, timeout=2 * STOP_SECONDS)
        for actor in (*self.keepers, self.actor):
            ray.kill(actor)


def start_slots(spec: GroupSpec, count: int) -> Slots:
    """Starts `count` slots. Returns at once: groups come up in the background, and trials wait for the first."""
    name = f"raysearch-pool-{uuid.uuid4().hex[:8]}"
    here = ray.get_runtime_context().get_node_id()
    pool: Any = (
        ray.remote(num_cpus=0)(Pool).options(name=name, scheduling_strategy=_on(here)).remote(count, spec.patience)
    )
    ray.get(pool.status.remote())
    nodes = [n for n in ray.nodes() if n["Alive"]]
    fitting = place(nodes, here=here, workers=spec.workers, cpus=spec.cpus, gpus=spec.gpus)
    keepers: dict[str, list[int]] = {}
    for slot in range(count):
        keepers.setdefault(fitting[slot] if slot < len(fitting) else here, []).append(slot)
    actors: list[Any] = [
        ray.remote(num_cpus=0)(Keeper)
        .options(label_selector=_at(node), fallback_strategy=[{"label_selector": _at(here)}], max_restarts=-1)
        .remote(name, spec, slots)
        for node, slots in keepers.items()
    ]
    ray.get([actor.__ray_ready__.remote() for actor in actors])
    deadline = START_DEADLINE_SECONDS if fitting else NODE_DEADLINE_SECONDS
    return Slots(pool=name, count=count, actor=pool, keepers=actors, deadline=deadline)


def place(nodes: Sequence[dict[str, Any]], *, here: str, workers: int, cpus: float, gpus: float) -> list[str]:
    """A node for the keeper of each slot that a node has room for, the driver's node first. The keepers of all others
    (groups that span nodes, or whose nodes an autoscaler has yet to start) belong on the driver's node.

    Args:
        nodes: as `ray.nodes()` lists them.
        here: the driver's node.
    """
    places: list[str] = []
    for node in sorted(nodes, key=lambda n: n["NodeID"] != here):
        resources = node["Resources"]
        fit = [
            int(resources.get(name, 0) / (need * workers) + 1e-9)
            for name, need in (("CPU", cpus), ("GPU", gpus))
            if need
        ]
        places += [node["NodeID"]] * min(fit, default=0)
    return places


def _on(node: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node, soft=False)


def _at(node: str) -> dict[str, str]:
    """Like `_on`, for an actor that may go elsewhere once the node is gone: with a soft affinity Ray puts an actor
    without resources anywhere from the start."""
    return {"ray.io/node-id": node}
