"""Starts and stops a study's slots on a running Ray cluster."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysearch.errors import RaysearchError
from raysearch.slots._keeper import Keeper
from raysearch.slots._pool import Pool
from raysearch.slots._spec import GroupSpec

START_DEADLINE_SECONDS = 300.0
STOP_SECONDS = 20.0


@dataclass
class Slots:
    """The pool's name and the keepers of a study that is running."""

    pool: str
    count: int
    actor: Any
    keepers: list[Any]

    def wait_for_first(self, deadline: float = START_DEADLINE_SECONDS) -> float:
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
            if time.monotonic() - started > deadline:
                raise RaysearchError(
                    f"no worker group was ready after {deadline:.0f} s; 'ray status' shows what the cluster waits for,"
                    " the study's log.txt what Ray said"
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """Ends the groups and waits for their resources to be free again: the cluster may not be ours alone."""
        ray.get(self.actor.stop.remote())
        ray.get([keeper.stop.remote(STOP_SECONDS) for keeper in self.keepers])
        for actor in (*self.keepers, self.actor):
            ray.kill(actor)


def start_slots(spec: GroupSpec, count: int) -> Slots:
    """Starts `count` slots. Returns at once: groups come up in the background, and trials wait for the first."""
    name = f"raysearch-pool-{uuid.uuid4().hex[:8]}"
    here = ray.get_runtime_context().get_node_id()
    pool = ray.remote(num_cpus=0)(Pool).options(name=name, scheduling_strategy=_on(here)).remote(count)
    ray.get(pool.status.remote())
    nodes = [n for n in ray.nodes() if n["Alive"]]
    places = place(nodes, count, here=here, workers=spec.workers, cpus=spec.cpus, gpus=spec.gpus)
    keepers: dict[str, Any] = {}
    for slot, node in enumerate(places):
        if node not in keepers:
            keepers[node] = ray.remote(num_cpus=0)(Keeper).options(scheduling_strategy=_on(node)).remote(name, spec)
        ray.get(keepers[node].start.remote(slot))
    return Slots(pool=name, count=count, actor=pool, keepers=list(keepers.values()))


def place(
    nodes: Sequence[dict[str, Any]], count: int, *, here: str, workers: int, cpus: float, gpus: float
) -> list[str]:
    """The node whose keeper holds each slot: as many on a node as groups fit there, the rest (groups that span nodes, or
    whose nodes an autoscaler has yet to start) on the driver's.

    Args:
        nodes: as `ray.nodes()` lists them.
        here: the driver's node.
    """
    places: list[str] = []
    for node in sorted(nodes, key=lambda n: n["NodeID"] != here):
        resources = node["Resources"]
        fit = [int(resources.get(name, 0) // (need * workers)) for name, need in (("CPU", cpus), ("GPU", gpus)) if need]
        places += [node["NodeID"]] * (min(fit) if fit else 0)
    return (places + [here] * count)[:count]


def _on(node: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node, soft=False)
