"""What the alternation costs beside its training, and how busy it keeps a slot.

Round overhead: one trial of `limited_annotation` on one slot, 500 images in the tuning split. The gap between the end
of an epoch's evaluation and the beginning of the next epoch is read from the trial's own metrics, within rounds and
between them; between rounds it holds the pause, the threshold step, the lease and the start under new thresholds.

Busy slot: two trials on one slot and a threshold step that is made to last 2 seconds; the share of the time in which
the slot trains or evaluates, and the swap between two trials.

    python -m benchmarks.alternation              table, and benchmarks/results/alternation.json (some 10 minutes)
    python -m benchmarks.alternation --repeats 1
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STEP_SECONDS = 2.0
COMMON = ["--method", "limited_annotation", "--annotated", "0.1", "--slots", "1", "--fix", "crf=none", "--study", "s"]
OVERHEAD = [*COMMON, "--data", "phantom:images=2500", "--samples", "1", "--epochs", "15", "--round-epochs", "3"]
BUSY = [*COMMON, "--data", "phantom:images=800", "--samples", "2", "--epochs", "24", "--round-epochs", "3"]


def slow_tune(arguments: list[str]) -> None:
    """`raysearch tune` with a threshold step that lasts; runs in a process of its own."""
    from raysearch.cli import main as raysearch
    from raysearch.search import _steps

    class SlowThinker(_steps.Thinker):
        def step(self, *arguments: Any) -> Any:
            time.sleep(STEP_SECONDS)
            return super().step(*arguments)

    _steps.Thinker = SlowThinker  # type: ignore[misc]
    raysearch(["tune", *arguments])
    sys.exit()


def rows_of(arguments: list[str], *, slow: bool = False) -> list[dict[str, Any]]:
    """Runs a search; the rows of all its trials, each with its trial and when its epoch began, in the order of time."""
    folder = tempfile.mkdtemp(prefix="alternation-")
    command = ["-m", "benchmarks.alternation", "--slow-tune"] if slow else ["-m", "raysearch", "tune"]
    environment = {**os.environ, "RAYSEARCH_STUDIES": folder}
    subprocess.run(
        [sys.executable, *command, *arguments],
        check=True,
        env=environment,
        cwd=HERE.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    rows = []
    for path in sorted(Path(folder, "s", "trials").glob("*/metrics.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            begin = row["time"] - row["losses"]["train_seconds"] - row["evaluate_seconds"]
            rows.append({**row, "trial": path.parent.name, "begin": begin})
    return sorted(rows, key=lambda row: row["time"])


def overhead(proposer: str) -> dict[str, float]:
    """Seconds between two epochs of a trial, within its rounds and between them."""
    rows = rows_of([*OVERHEAD, "--alternate", proposer])
    within: list[float] = []
    between: list[float] = []
    for before, after in pairwise(rows):
        gap = after["begin"] - before["time"]
        (between if before["alternation"]["ends"] else within).append(gap)
    epoch = statistics.median(row["time"] - row["begin"] for row in rows)
    return {
        "within_round": statistics.median(within),
        "between_rounds": statistics.median(between),
        "added": statistics.median(between) - statistics.median(within),
        "slowest_added": max(between) - statistics.median(within),
        "rounds": len(between) + 1,
        "epoch": epoch,
    }


def busy() -> dict[str, float]:
    """Share of the time from the first swap to the last in which the slot trains or evaluates; seconds of a swap."""
    rows = rows_of(BUSY, slow=True)
    swaps = [(before["time"], after["begin"]) for before, after in pairwise(rows) if before["trial"] != after["trial"]]
    # while both trials are under way: at the end the last one is alone, and nothing could fill its waiting
    first, last = swaps[0][0], swaps[-1][1]
    inside = [row for row in rows if first <= row["begin"] and row["time"] <= last]
    worked = sum(row["time"] - row["begin"] for row in inside)
    return {
        "busy": worked / (last - first),
        "swap": statistics.median(end - begin for begin, end in swaps),
        "slowest_swap": max(end - begin for begin, end in swaps),
        "swaps": len(swaps),
        "round": 3 * statistics.median(row["time"] - row["begin"] for row in rows),
    }


def main() -> None:
    if sys.argv[1:2] == ["--slow-tune"]:
        slow_tune(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "alternation.json")
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {"criterion": [], "quantile": [], "busy": []}
    for repeat in range(arguments.repeats):
        for name, measured in runs.items():
            measured.append(busy() if name == "busy" else overhead(name))
            print(repeat, name, {k: round(v, 4) for k, v in measured[-1].items()}, flush=True)
    medians = {n: {k: statistics.median(m[k] for m in measured) for k in measured[0]} for n, measured in runs.items()}
    print("medians", json.dumps(medians, indent=2))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "command": "python -m benchmarks.alternation",
        "cpus": os.cpu_count(),
        "step_seconds": STEP_SECONDS,
        "medians": medians,
        "runs": runs,
    }
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
