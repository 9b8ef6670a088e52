"""Training throughput of the five methods at the input size of their papers, and where the time of a step goes.

One process, one thread, the network of the preset `paper` with random weights, a batch of one or two images, on phantom
images of the paper's size. A step is divided into waiting for its batch, the forward pass (with the losses), the
backward passes and the optimiser; the first step of a stage is left out. Upstream work (chexseg's classifier and IRNet)
is measured like a stage of its own.

    python -m benchmarks.throughput [--steps 3] [--threads 1]      table, and benchmarks/results/throughput.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.in_process import job
from raysearch.method import Step
from raysearch.study import Request
from raysearch.training import Trainer
from raysearch.training._upstream import UpstreamTrainer

HERE = Path(__file__).parent
PARTS = ("waiting", "forward", "backward", "optimiser")


class Setting(NamedTuple):
    method: str
    data: str
    fixes: tuple[str, ...]
    annotated: float | None = None
    labelled: float | None = None


FINDINGS = "phantom:images=24,size={size}"
SETTINGS: dict[str, Setting] = {
    "minmax_entropy, 480 crops": Setting(
        "minmax_entropy", FINDINGS.format(size=512), ("weights=random", "batch=2", "crop=480")
    ),
    "limited_annotation, 512": Setting("limited_annotation", FINDINGS.format(size=512), ("weights=random", "batch=2")),
    "saliency_proposals, 512": Setting(
        "saliency_proposals", FINDINGS.format(size=512), ("weights=random", "crop_weights=random", "batch=2")
    ),
    "chexseg, 320": Setting(
        "chexseg",
        "phantom:images=96,size=320",
        (
            *("weights=random", "classifier_weights=random", "irnet_weights=random", "labels=irnet"),
            *("batch=2", "classifier_batch=2", "irnet_batch=2"),
        ),
        annotated=14,
    ),
    "multimix, 256": Setting(
        "multimix",
        "cls=phantom:task=normal-vs-abnormal,images=24,size=256,seg=phantom:task=lungs,images=24,size=256",
        ("batch=2",),
        annotated=7,
        labelled=7,
    ),
}


def measure(name: str, steps: int, threads: int) -> dict[str, Any]:
    """By stage: images a step, and median seconds of each part of it."""
    torch.set_num_threads(threads)
    setting = SETTINGS[name]
    request = Request(
        method=setting.method,
        preset="paper",
        data=setting.data,
        fixes=setting.fixes,
        annotated=setting.annotated,
        labelled=setting.labelled,
        samples=1,
        epochs=12,
    )
    _, method, assignment = job(request)
    out: dict[str, Any] = {}
    for kind in type(method).upstream(method.config):
        work = kind(method.config, method.task)
        work.outcomes = {name: method.outcomes[name] for name in kind.inputs}
        if work.epochs:
            own = Trainer(work, replace(assignment, epochs=work.epochs), number=0)
            out |= {f"{kind.name}": row for row in stages(own, steps).values()}
        untrained = UpstreamTrainer(work, assignment, key="0" * 64)
        method.outcomes = {**method.outcomes, kind.name: untrained.outcome()}
    return out | stages(Trainer(method, assignment, number=0), steps)


def stages(trainer: Trainer, steps: int) -> dict[str, Any]:
    """Each stage of a training in turn, from its first epoch."""
    found, epoch = {}, 0
    for index, stage in enumerate(trainer.stages):
        trainer.advance(epoch + 1)
        found[stage.name] = summarise(timed_steps(trainer, index, epoch, steps + 1)[1:])
        epoch += stage.epochs
    return found


class Timed(NamedTuple):
    """Seconds of the parts of a step, and its images in all streams."""

    images: int
    waiting: float
    forward: float
    backward: float
    optimiser: float


def timed_steps(trainer: Trainer, index: int, epoch: int, steps: int) -> list[Timed]:
    """The first steps of an epoch, as `Trainer` takes them."""
    optimizer, done = trainer._optimizer, []
    assert optimizer is not None
    batches = trainer.loaders[index].epoch(epoch)
    generator = torch.Generator()
    trainer.model.train()
    for number in range(steps):
        began = time.perf_counter()
        batch = next(batches)
        ready = time.perf_counter()
        backward = Stopwatch(torch.autograd.backward)
        generator.manual_seed(number)
        optimizer.zero_grad(set_to_none=True)
        step = Step(epoch=epoch, stage=trainer.stages[index].name, generator=generator, backward=backward)
        trainer.method.training_step(trainer.model, batch, step)
        taken = time.perf_counter()
        optimizer.step()
        images = len(batch.images) + sum(len(part.images) for part in batch.beside.values())
        done.append(
            Timed(
                images,
                ready - began,
                taken - ready - backward.seconds,
                backward.seconds,
                time.perf_counter() - taken,
            )
        )
    return done


class Stopwatch:
    """A function and the seconds that its calls take."""

    def __init__(self, function: Callable[[Tensor], None]) -> None:
        self.seconds = 0.0
        self._function = function

    def __call__(self, loss: Tensor) -> None:
        began = time.perf_counter()
        self._function(loss)
        self.seconds += time.perf_counter() - began


def summarise(steps: list[Timed]) -> dict[str, Any]:
    seconds = {part: statistics.median(getattr(step, part) for step in steps) for part in PARTS}
    whole = sum(seconds.values())
    images = steps[0].images
    return {
        "images_a_step": images,
        "seconds": seconds,
        "images_a_second": images / whole,
        "waiting_share": seconds["waiting"] / whole,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=SETTINGS)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "throughput.json")
    arguments = parser.parse_args()
    if arguments.only:  # a process of its own, whose memory and threads nothing else has touched
        print(json.dumps(measure(arguments.only, arguments.steps, arguments.threads)))
        return
    report: dict[str, Any] = {
        "command": "python -m benchmarks.throughput",
        "cpus": os.cpu_count(),
        "threads": arguments.threads,
        "platform": platform.platform(),
        "methods": {},
    }
    print("| method | stage | images a step | images a second | waiting | forward | backward | optimiser |")
    print("|---" * 8 + "|")
    for name in SETTINGS:
        command = [sys.executable, "-m", "benchmarks.throughput", "--only", name]
        command += ["--steps", str(arguments.steps), "--threads", str(arguments.threads)]
        started = time.monotonic()
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(answer.splitlines()[-1])
        report["methods"][name] = {"stages": found, "seconds": time.monotonic() - started}
        for stage, row in found.items():
            whole = sum(row["seconds"].values())
            shares = " | ".join(f"{row['seconds'][part] / whole:.0%}" for part in PARTS)
            print(
                f"| {name} | {stage} | {row['images_a_step']} | {row['images_a_second']:.2f} | {shares} |", flush=True
            )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
