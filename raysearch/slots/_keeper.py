"""A keeper: one actor a node that holds the node's slots, each a Ray Train run that is started again when it ends."""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from typing import Any

import ray

from raysearch.slots._spec import GroupSpec

START_TIMEOUT_SECONDS = "900"
"""Ray Train gives a worker group 60 s to start and then tries again without end; nodes of a cluster take longer."""


class Keeper:
    """Runs as a Ray actor with ``num_cpus=0``; it owns what it starts, so all of it dies with the driver.

    The controller of a Ray Train run lives on the node that calls ``fit()`` and takes 0.4 GiB, hence a keeper a node.
    Its slots are arguments, so that Ray can start it again on another node when its own is taken away.
    """

    def __init__(self, pool: str, spec: GroupSpec, slots: list[int]) -> None:
        os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", START_TIMEOUT_SECONDS)
        os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
        self._pool = ray.get_actor(pool)
        self._pool_name = pool
        self._spec = spec
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, args=(slot,), name=f"slot-{slot}", daemon=True) for slot in slots
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> bool:
        """Starts no more groups and waits for the running ones to end; False if some did not in time."""
        self._stopping.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        shutil.rmtree(self._spec.storage, ignore_errors=True)  # Ray Train made it on this node too
        return not any(thread.is_alive() for thread in self._threads)

    def _keep(self, slot: int) -> None:
        ray.get(self._pool.vacate.remote(slot))
        while not self._stopping.is_set():
            generation = uuid.uuid4().hex
            reason = "it ended"
            try:
                self._fit(slot, generation)
            except Exception as error:  # whatever ended the group, the slot gets another one
                reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:500]
            if self._stopping.is_set():
                return
            if ray.get(self._pool.is_up.remote(slot, generation)):
                ray.get(self._pool.retire.remote(slot, generation, reason))
            elif not ray.get(self._pool.was_up.remote(slot, generation)):
                ray.get(self._pool.failed_to_start.remote(slot, reason))

    def _fit(self, slot: int, generation: str) -> None:
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        from raysearch.slots._group import worker_loop

        resources: dict[str, float] = {"CPU": self._spec.cpus}
        if self._spec.gpus:
            resources["GPU"] = self._spec.gpus
        config: dict[str, Any] = {
            "pool": self._pool_name,
            "slot": slot,
            "generation": generation,
            "spec": self._spec,
        }
        TorchTrainer(
            worker_loop,
            train_loop_config=config,
            scaling_config=ScalingConfig(
                num_workers=self._spec.workers, resources_per_worker=resources, use_gpu=self._spec.gpus > 0
            ),
            run_config=RunConfig(
                name=f"slot-{slot}-{generation[:8]}",
                storage_path=self._spec.storage,
                failure_config=FailureConfig(max_failures=0),
            ),
        ).fit()
