"""The first study of a new user, over several seeds.

`raysearch tune --method minmax_entropy` with nothing else, beside the same preset's untuned defaults, `cam_avg` tuned
with the same number of trials, and `all_ones`, all scored on the phantom's test split; with the time of each search and
the peak of its memory (sum of PSS over its processes).

    python -m benchmarks.first_study              table, and benchmarks/results/first_study.json (some 25 minutes)
    python -m benchmarks.first_study --seeds 0
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from raysearch.thresholds import paired_bootstrap

HERE = Path(__file__).parent
METRIC = "f1_plus"
RUNS: dict[str, tuple[str, ...]] = {
    "minmax_entropy": ("--method", "minmax_entropy"),
    "defaults": ("--method", "minmax_entropy", "--samples", "1", "--decision-thresholds", "fixed"),
    "cam_avg": ("--method", "cam_avg"),
    "all_ones": ("--method", "all_ones"),
}


def run(arguments: list[str], folder: Path) -> dict[str, float]:
    """Runs a command and watches its processes; seconds, and the peak of their PSS in GiB."""
    environment = {**os.environ, "RAYSEARCH_STUDIES": str(folder)}
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "raysearch", *arguments], env=environment, stdout=subprocess.DEVNULL
    )
    watched, peak = psutil.Process(process.pid), 0.0
    while process.poll() is None:
        total = 0
        try:
            for child in (watched, *watched.children(recursive=True)):
                try:
                    total += child.memory_full_info().pss
                except psutil.NoSuchProcess:
                    continue
        except psutil.NoSuchProcess:
            break
        peak = max(peak, total / 2**30)
        time.sleep(2.0)
    if process.wait():
        raise RuntimeError(f"raysearch {' '.join(arguments)} ended with {process.returncode}")
    return {"seconds": time.monotonic() - started, "peak_pss_gib": peak}


def result_of(folder: Path, name: str) -> dict[str, Any]:
    out = folder / f"{name}-model"
    run(["export", name, "--out", str(out)], folder)
    loaded: dict[str, Any] = json.loads((out / "results.json").read_text())
    return loaded


def compare(ours: dict[str, Any], other: dict[str, Any], patient: dict[str, str]) -> dict[str, float]:
    """Difference of the mean over images, with a paired bootstrap interval over patients."""
    a, b = ({(e["image"], e["class"]): e[METRIC] for e in r["per_image"] if METRIC in e} for r in (ours, other))
    pairs = sorted(a.keys() & b.keys())
    groups = np.array([patient[image] for image, _ in pairs])
    interval = paired_bootstrap([a[p] for p in pairs], [b[p] for p in pairs], groups)
    return {"difference": interval.mean, "low": interval.low, "high": interval.high, "pairs": len(pairs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "first_study.json")
    arguments = parser.parse_args()
    from raysearch.data import DataSpec, open_collection

    collection = open_collection(DataSpec.parse("phantom"), "single")
    patient = dict(zip(collection.image_ids, collection.patients.tolist(), strict=True))
    rows = []
    for seed in arguments.seeds:
        folder = Path(tempfile.mkdtemp(prefix="first-study-"))
        costs, results = {}, {}
        for name, flags in RUNS.items():
            costs[name] = run(["tune", *flags, "--seed", str(seed), "--study", name], folder)
            results[name] = result_of(folder, name)
            trials = len(list((folder / name / "trials").iterdir()))
            costs[name]["trials"] = trials
            print(
                f"seed {seed} {name:<15} {METRIC} {results[name]['metrics'][METRIC]:.4f}  {trials} trials"
                f" {costs[name]['seconds']:.0f} s  {costs[name]['peak_pss_gib']:.2f} GiB",
                flush=True,
            )
        against = {n: compare(results["minmax_entropy"], results[n], patient) for n in RUNS if n != "minmax_entropy"}
        for name, difference in against.items():
            print(
                f"seed {seed} minmax_entropy - {name:<10} {difference['difference']:+.4f}"
                f" [{difference['low']:+.4f}, {difference['high']:+.4f}]",
                flush=True,
            )
        rows.append(
            {
                "seed": seed,
                "metrics": {n: r["metrics"] for n, r in results.items()},
                "cost": costs,
                "minmax_entropy_minus": against,
            }
        )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    report = {"command": "python -m benchmarks.first_study", "cpus": os.cpu_count(), "metric": METRIC, "runs": rows}
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
