"""What an exact threshold optimum costs, against re-thresholding the maps at every level.

    python benchmarks/thresholds.py [--images 200] [--size 224] [--repeats 7] [--out results.json]

Both sides read the same uint8 maps and masks, in one process and one thread, look at every level and find the same
optimum of the same metric (checked on every run). Ratios are medians over repeats of paired measurements; the spread
beside them is the smallest and the largest. The naive side is tight numpy: one comparison and two counts a level.
Ways: ``first`` from maps and masks, ``repeated`` from evidence in memory, ``loaded`` from the file of an evaluation,
``percentile`` the best of the 101 percentile rules from evidence in memory, ``cross_fit`` ten repeats of two halves.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds import (
    LEVELS,
    Counts,
    Ranks,
    binarise,
    cross_fit,
    encode_evidence,
    load_evidence,
    mask_metric,
    solve,
)

METRIC = mask_metric("f1_plus")


def synthetic(images: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Maps and masks (N, 1, S, S): noise, brighter inside the regions."""
    rng = np.random.default_rng(0)
    masks = (rng.random((images, 1, size, size)) < 0.15).astype(np.uint8)
    maps = np.minimum(255, rng.integers(0, 256, masks.shape) + 60 * masks).astype(np.uint8)
    return maps, masks


def rethreshold(maps: NDArray[np.uint8], masks: NDArray[np.uint8]) -> int:
    """The best level by thresholding and counting at each of them."""
    regions = masks != 0
    scores = np.zeros((len(maps), LEVELS))
    for n, region in enumerate(regions):
        size = np.count_nonzero(region)
        for level in range(LEVELS):
            predicted = binarise(maps[n], level)
            both, either = np.count_nonzero(predicted & region), np.count_nonzero(predicted) + size
            scores[n, level] = 2 * both / either if either else 1
    return int(scores.mean(axis=0).argmax())


def seconds(run: Callable[[], Any]) -> float:
    """Mean of as many runs as fit in a twentieth of a second, at least one."""
    runs, start = 0, time.perf_counter()
    while True:
        run()
        runs += 1
        elapsed = time.perf_counter() - start
        if elapsed > 0.05:
            return elapsed / runs


def measure(images: int, size: int, repeats: int, folder: Path) -> dict[str, Any]:
    maps, masks = synthetic(images, size)
    patients = [f"p{n}" for n in range(images)]

    def count() -> Counts:
        return Counts.from_maps(maps, masks, np.ones((images, 1), np.int8), np.arange(images), patients, ["object"])

    evidence = count()
    ranks = Ranks.from_counts(evidence)
    file = folder / "evidence.npz"
    file.write_bytes(encode_evidence({"counts": evidence}))

    def load() -> Counts:
        found = load_evidence(file, {"counts"})["counts"]
        assert isinstance(found, Counts)
        return found

    assert solve(evidence, METRIC).levels["object"] == rethreshold(maps, masks)
    ways: dict[str, Callable[[], Any]] = {
        "rethreshold": lambda: rethreshold(maps, masks),
        "first": lambda: solve(count(), METRIC),
        "repeated": lambda: solve(evidence, METRIC),
        "loaded": lambda: solve(load(), METRIC),
        "percentile": lambda: solve(ranks, METRIC),
        "cross_fit": lambda: cross_fit(evidence, METRIC, repeats=10),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            times[name].append(1e3 * seconds(run) / images)
    rows: dict[str, Any] = {}
    for name in ways:
        ratios = [naive / own for naive, own in zip(times["rethreshold"], times[name], strict=True)]
        rows[name] = {
            "ms_per_image": statistics.median(times[name]),
            "ratio": statistics.median(ratios),
            "ratio_range": [min(ratios), max(ratios)],
        }
    return {"ways": rows, "counts_bytes_an_image_and_class": file.stat().st_size / images}


GOALS = {"first": 6.0, "repeated": 1000.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, help="also write the JSON there")
    args = parser.parse_args()
    # the small sizes are where the gain is least
    sizes = sorted({32, 64, args.size})
    with tempfile.TemporaryDirectory() as folder:
        results = {str(size): measure(args.images, size, args.repeats, Path(folder)) for size in sizes}
    record = {
        "benchmark": "thresholds",
        "metric": METRIC.name,
        "images": args.images,
        "repeats": args.repeats,
        "goals_at_size_224": GOALS,
        "goal_bytes_an_image_and_class": 8192,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "results": results,
    }
    text = json.dumps(record, indent=2)
    if args.out:
        args.out.write_text(text + "\n")
    print(text)
    print(f"\n{'size':>5} {'way':<12} {'ms an image':>12} {'times faster':>13} {'range':>19} {'goal':>7}")
    for size in sizes:
        for name, row in results[str(size)]["ways"].items():
            goal = GOALS.get(name) if size == 224 else None
            low, high = row["ratio_range"]
            missed = "" if goal is None or row["ratio"] >= goal else "  missed"
            print(
                f"{size:>5} {name:<12} {row['ms_per_image']:>12.4f} {row['ratio']:>13.1f} {low:>9.1f}-{high:<9.1f}"
                f" {goal or '-':>7}{missed}"
            )


if __name__ == "__main__":
    main()
