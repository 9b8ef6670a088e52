"""What the papers say, tried on the phantom.

Four comparisons, each of configurations that differ in one setting, over five seeds (of the split, the weights and the
budget's images alike), with the defaults of the small preset: nothing is searched, every configuration trains once a
seed, and its last epoch counts. Decision thresholds are chosen on the tuning split, by class where the method's preset
does so, and everything is scored on the test split. Intervals are Student's over the seeds; differences are paired by
seed.

    saliency   saliency_proposals: IoU of the boxes of the maps Sal, Det and Mix of one network (paper 001, table 2)
    chexseg    chexseg: pooled mIoU by the share p of expert labels (paper 002, figure 3)
    multimix   multimix and umtl with few labels, in the domain of training and in another one (paper 003, tables 1, 2)
    erasing    minmax_entropy: F1+ without recursive erasing and with four steps of it (paper 004, table 3)

    python -m benchmarks.papers                              table, and benchmarks/results/papers.json
    python -m benchmarks.papers --only chexseg --seeds 0 1
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import stats

from benchmarks.in_process import do_upstream, job
from raysearch.data import Collection, open_collection, parse_data
from raysearch.export._bundle import class_levels
from raysearch.export._score import score_rows
from raysearch.method import Method
from raysearch.study import Prepared, Request
from raysearch.training import Assignment, Trainer, evaluate

HERE = Path(__file__).parent


class Trained(NamedTuple):
    """A trained network with the thresholds that the tuning split chose."""

    method: Method
    model: torch.nn.Module
    prepared: Prepared
    assignment: Assignment
    thresholds: dict[str, float]

    def score(self, metric: str, collection: Collection | None = None, rows: Any = None) -> dict[str, float]:
        """Metrics on the test split, or on `rows` of another collection of the same classes."""
        own = self.prepared
        where, which = (own.collection, own.split.test) if collection is None else (collection, rows)
        levels = class_levels(self.thresholds, where.classes)
        found: dict[str, float] = score_rows(self.method, self.model, where, which, levels, metric)["metrics"]
        return found


def train(name: str, seed: int, **fixed: Any) -> Trained:
    """One configuration to its last epoch; `fixed` settings, all others the small preset's defaults."""
    torch.set_num_threads(1)
    fixes = tuple(f"{key}={value}" for key, value in fixed.items())
    prepared, method, assignment = job(Request(method=name, fixes=fixes, split_seed=seed, seed=seed, samples=1))
    method.outcomes = do_upstream(method, assignment)
    trainer = Trainer(method, assignment, number=0)
    while trainer.epoch < trainer.epochs:
        trainer.train_epoch()
    return read(Trained(method, trainer.model, prepared, assignment, {}))


def read(trained: Trained, **settings: Any) -> Trained:
    """The same network under other settings of its maps, with thresholds chosen for them on the tuning split."""
    method = type(trained.method)(replace(trained.method.config, **settings), trained.method.task)
    assignment = trained.assignment
    evaluation = evaluate(
        method,
        trained.model,
        assignment.collection,
        assignment.tuning,
        rule=assignment.rule,
        thresholds=dict(method.decision_thresholds),
    )
    return trained._replace(method=method, thresholds=evaluation.score.thresholds)


def saliency(seed: int) -> dict[str, dict[str, float]]:
    trained = train("saliency_proposals", seed)
    readings = {"Sal": "sal", "Det": "det", "Mix": "mix"}
    return {title: read(trained, map=name).score("box_iou") for title, name in readings.items()}


def chexseg(seed: int) -> dict[str, dict[str, float]]:
    return {f"p = {p:g}": train("chexseg", seed, p=p).score("iou_pooled:classes") for p in (0.0, 0.5, 0.9, 1.0)}


def multimix(seed: int) -> dict[str, dict[str, float]]:
    other = open_collection(
        parse_data("cls=phantom:task=normal-vs-abnormal,domain=b,seg=phantom:task=lungs,domain=b"), "single"
    )
    out: dict[str, dict[str, float]] = {}
    for name in ("umtl", "multimix"):
        trained = train(name, seed)
        out[f"{name}, same domain"] = trained.score("f1_plus")
        out[f"{name}, other domain"] = trained.score("f1_plus", other, np.arange(len(other)))
    return out


def erasing(seed: int) -> dict[str, dict[str, float]]:
    return {f"u = {u}": train("minmax_entropy", seed, u=u).score("f1_plus") for u in (0, 4)}


class Comparison(NamedTuple):
    run: Callable[[int], dict[str, dict[str, float]]]
    metrics: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    """Of configurations whose difference, the first minus the second, is shown."""


COMPARISONS: dict[str, Comparison] = {
    "saliency": Comparison(
        saliency,
        ("box_iou", "cdice", "box_accuracy@0.3", "box_accuracy@0.5", "box_accuracy@0.6"),
        (("Mix", "Sal"), ("Mix", "Det")),
    ),
    "chexseg": Comparison(
        chexseg, ("iou_pooled:classes", "iou"), (("p = 0.9", "p = 0"), ("p = 0.9", "p = 1"), ("p = 0.9", "p = 0.5"))
    ),
    "multimix": Comparison(
        multimix,
        ("accuracy", "f1_plus", "iou"),
        (
            ("multimix, same domain", "umtl, same domain"),
            ("multimix, other domain", "umtl, other domain"),
        ),
    ),
    "erasing": Comparison(erasing, ("f1_plus", "f1_minus", "classification_error"), (("u = 4", "u = 0"),)),
}


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean and 95 % interval of Student's t over the seeds."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return {"mean": mean, "low": math.nan, "high": math.nan}
    half = float(stats.t.ppf(0.975, count - 1) * np.std(values, ddof=1) / math.sqrt(count))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def summary(comparison: Comparison, runs: Mapping[int, dict[str, dict[str, float]]]) -> dict[str, Any]:
    """By configuration, and by pair of them, an interval a metric."""
    names = list(next(iter(runs.values())))
    out: dict[str, Any] = {
        name: {m: interval([run[name][m] for run in runs.values()]) for m in comparison.metrics} for name in names
    }
    for first, second in comparison.pairs:
        out[f"{first} - {second}"] = {
            m: interval([run[first][m] - run[second][m] for run in runs.values()]) for m in comparison.metrics
        }
    return out


def table(title: str, metrics: Sequence[str], rows: Mapping[str, Any]) -> str:
    """In Markdown."""
    lines = [f"| {title} | " + " | ".join(metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
    for name, found in rows.items():
        cells = (f"{found[m]['mean']:.3f} [{found[m]['low']:.3f}, {found[m]['high']:.3f}]" for m in metrics)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def timed(name: str, seed: int) -> tuple[dict[str, dict[str, float]], float]:
    started = time.monotonic()
    return COMPARISONS[name].run(seed), time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=HERE / "results" / "papers.json")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"command": "python -m benchmarks.papers", "cpus": os.cpu_count()}
    if arguments.out.exists():  # comparisons that are not run now keep what was measured
        report = json.loads(arguments.out.read_text())
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        jobs = {(name, seed): pool.submit(timed, name, seed) for name in arguments.only for seed in arguments.seeds}
        for name in arguments.only:
            runs: dict[int, dict[str, dict[str, float]]] = {}
            seconds = []
            for seed in arguments.seeds:
                runs[seed], taken = jobs[name, seed].result()
                seconds.append(taken)
            comparison = COMPARISONS[name]
            found = summary(comparison, runs)
            report[name] = {"seconds": seconds, "intervals": found, "runs": {str(s): run for s, run in runs.items()}}
            print(table(name, comparison.metrics, found), flush=True)
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
