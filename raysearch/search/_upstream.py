"""How trials come by the work that they share: the first that needs it has it done, the others wait for its file.

Torch-free, as `raysearch.search._trainable` is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from raysearch.search._clock import EpochClock
from raysearch.slots._client import Lease, SlotClient
from raysearch.study._trial_folder import write_atomically
from raysearch.study._upstream import UpstreamFiles

if TYPE_CHECKING:
    from raysearch.method import Work


def do_upstream(
    client: SlotClient,
    lease: Lease,
    files: UpstreamFiles,
    inputs: Sequence[UpstreamFiles],
    config: Mapping[str, Any],
    clock: EpochClock,
) -> None:
    """Has upstream work done in a leased group, from its last finished epoch on. The caller holds its lock.

    Raises:
        TimeIsUpError: the rest is for another run of the study.
        SlotLostError: the group is gone; what was finished is on disk.
        TrialFailedError: it cannot be done.
    """
    work, progress = files.work, files.progress
    progress.failed, progress.run = "", ""
    hand_over(client, lease, inputs)
    started, begin, earlier = time.perf_counter(), time.time(), progress.spans
    begun = client.call(
        lease,
        "upstream",
        {
            "name": work["name"],
            "key": work["key"],
            "config": config,
            "inputs": work["inputs"],
            "checkpoint": ray.put(files.checkpoint.read_bytes()) if files.checkpoint.exists() else None,
            "where": str(files.checkpoint),
        },
    )
    before = progress.seconds if begun["epoch"] else 0.0
    progress.epoch, progress.epochs = begun["epoch"], begun["epochs"]
    files.tell(progress)
    while progress.epoch < progress.epochs:
        clock.begin()
        answer = client.call(lease, "upstream_epoch")
        write_atomically(files.checkpoint, ray.get(answer["checkpoint"]))
        progress.epoch += 1
        progress.seconds = before + time.perf_counter() - started
        progress.spans = [*earlier, (begin, time.time())]
        files.tell(progress)
        clock.end()
    clock.begin()
    answer = client.call(lease, "upstream_outcome")
    outcome = ray.get(answer["outcome"])
    progress.seconds = before + time.perf_counter() - started
    progress.spans = [*earlier, (begin, time.time())]
    files.finish(outcome, progress)
    clock.end()


def hand_over(client: SlotClient, lease: Lease, all_files: Sequence[UpstreamFiles]) -> None:
    """Sends a leased group the outcomes that it lacks."""
    if not all_files:
        return
    lacking = client.call(lease, "lacking", [files.work["key"] for files in all_files])
    for files in all_files:
        if files.work["key"] in lacking:
            outcome = ray.put(files.outcome.read_bytes())
            client.call(lease, "hold", {"key": files.work["key"], "outcome": outcome, "where": str(files.outcome)})


def upstream_files(study: str, plan: Sequence[Work]) -> dict[str, UpstreamFiles]:
    """By name, in the order in which they are to be done."""
    return {work["name"]: UpstreamFiles(Path(study), work) for work in plan}
