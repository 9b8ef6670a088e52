"""What a search would take, from two training steps and one evaluation batch of the default configuration."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import psutil
import torch

from raysearch.study._assignment import assignment
from raysearch.study._prepare import Prepared
from raysearch.study._resources import BASE_MEMORY, GROUP_MEMORY, WORKER_MEMORY
from raysearch.study._upstream_estimate import Shared, probe_upstream
from raysearch.training import Rule, Trainer, encode

START_SECONDS = 25.0
"""Ray and the first worker group, on a laptop."""
PROBE_STEPS = 2
PROBE_IMAGES = 32
"""To evaluate, at most."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Seconds, bytes and GPU-hours of a whole search, if every trial ran to its end and cost what the default does.

    `shared` is the work that trials share; `trial_seconds` are without it, and the others with it.
    """

    shared: list[Shared]
    trial_seconds: float
    total_seconds: float
    gpu_hours: float
    memory: int
    disk: int
    probe_seconds: float
    device: str


def estimate(prepared: Prepared) -> Estimate:
    """Trains two steps and evaluates once on this machine; a GPU is used if the study would."""
    config, resources = prepared.config, prepared.config.resources
    torch.set_num_threads(resources.cpus)
    device = "cuda" if resources.gpus and torch.cuda.is_available() else "cpu"
    started = time.perf_counter()
    process = psutil.Process()
    before = process.memory_info().rss
    whole = assignment(prepared)
    probed = replace(
        whole,
        tuning=whole.tuning[:PROBE_IMAGES],
        rule=Rule(metric="classification_error", decision="given", evidence=tuple(config.evidence)),
    )
    method = prepared.default_method()
    shared: list[Shared] = []
    if prepared.method.upstream(method.config):
        probed, method.outcomes, shared = probe_upstream(prepared, probed, steps=PROBE_STEPS, device=device)
    trainer = Trainer(method, probed, number=0, device=device)
    steps = trainer.steps
    trainer.train_steps(1)  # the first step pays for what the others find ready
    probe = time.perf_counter()
    trainer.train_steps(PROBE_STEPS)
    step_seconds = (time.perf_counter() - probe) / PROBE_STEPS
    probe = time.perf_counter()
    trainer.evaluate({name: float(value) for name, value in prepared.method.decision_thresholds.items()})
    image_seconds = (time.perf_counter() - probe) / len(probed.tuning)
    checkpoint = len(encode({"trainer": trainer.state()}))
    grown = max(0, process.memory_info().rss - before)
    epoch_steps = steps * len(whole.train) / len(probed.train)
    epoch_seconds = (
        epoch_steps * step_seconds / resources.workers + len(whole.tuning) * image_seconds / resources.workers
    )
    trial_seconds = trainer.epochs * epoch_seconds
    rounds = -(-config.budget.samples // resources.slots)
    worker = WORKER_MEMORY + grown
    # an alternating trial also keeps the weights of its last kept round, and others wait for their thresholds
    unfinished = resources.slots * (6 if config.alternate else 2)
    # who needs the same work waits for it, and different works are done side by side
    waited = sum(-(-one.times // resources.slots) * one.seconds for one in shared)
    worked = sum(one.times * one.seconds for one in shared) + config.budget.samples * trial_seconds
    return Estimate(
        shared=shared,
        trial_seconds=trial_seconds,
        total_seconds=START_SECONDS + waited + rounds * trial_seconds,
        gpu_hours=worked * resources.workers * resources.gpus / 3600,
        memory=BASE_MEMORY + resources.slots * (GROUP_MEMORY + resources.workers * worker),
        disk=checkpoint * (min(config.keep_checkpoints + 1, config.budget.samples) + unfinished)
        + sum(one.times * one.bytes for one in shared),
        probe_seconds=time.perf_counter() - started,
        device=device,
    )
