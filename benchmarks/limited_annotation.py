"""Loss thresholds that alternate with the weights, beside what else one could do with them.

Four searches of as many trials and epochs, over several seeds, on the phantom with 2 % of the training images
annotated: `limited_annotation` with the alternating scheduler, with fixed default thresholds, with thresholds sampled
by Optuna, and `li_base`. Each search ranks its trials by mean IoU; what is compared is the localization accuracy (share
of annotated pairs with IoU >= 0.1) of its best trial: cross-fitted on the tuning split, and on the test split, which no
search has seen, at the thresholds chosen on the tuning split. Differences are paired by image and class, with intervals
from a bootstrap over patients, over all seeds together.

    python -m benchmarks.limited_annotation       table, and benchmarks/results/limited_annotation.json
    python -m benchmarks.limited_annotation --seeds 0 --samples 4
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raysearch.thresholds import bootstrap, cross_fit, find_metric, load_evidence, paired_bootstrap

HERE = Path(__file__).parent
METRIC = "iou_accuracy"
ARMS: dict[str, tuple[str, ...]] = {
    "alternate": ("--method", "limited_annotation", "--loss-thresholds", "alternate"),
    "fixed": ("--method", "limited_annotation", "--loss-thresholds", "fixed"),
    "sample": ("--method", "limited_annotation", "--loss-thresholds", "sample"),
    "li_base": ("--method", "li_base"),
}
Scores = dict[str, NDArray[np.float64]]


def raysearch(arguments: list[str], folder: Path) -> None:
    environment = {**os.environ, "RAYSEARCH_STUDIES": str(folder)}
    subprocess.run(
        [sys.executable, "-m", "raysearch", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
    )


def search(arm: str, seed: int, budget: list[str], folder: Path) -> dict[str, Any]:
    """Runs an arm, unless `folder` has it; localization accuracy of its best trial, pair by pair, on the tuning and on
    the test split."""
    out = folder / f"{arm}-model"
    if not out.exists():
        raysearch(["tune", *ARMS[arm], "--annotated", "0.02", "--seed", str(seed), "--study", arm, *budget], folder)
        raysearch(["export", arm, "--out", str(out)], folder)
    results = json.loads((out / "results.json").read_text())
    trial = folder / arm / "trials" / str(results["trial"])
    counts: Any = load_evidence(trial / "evidence" / "best.npz", ("counts",))["counts"]
    objective: Any = find_metric("iou")
    fit = cross_fit(counts, objective, seed=seed).rescore(counts, find_metric(METRIC))  # type: ignore[arg-type]
    assert fit.scores is not None
    entering = ~np.isnan(fit.scores)
    test = {(e["image"], e["class"]): e[METRIC] for e in results["per_image"] if METRIC in e}
    epochs = [len((path / "metrics.jsonl").read_text().splitlines()) for path in (folder / arm / "trials").iterdir()]
    return {
        "trial": results["trial"],
        "epochs": sum(epochs),
        "tuning": {"scores": fit.scores[entering], "patients": counts.patient[entering]},
        "test": {"scores": np.array([test[pair] for pair in sorted(test)]), "pairs": sorted(test)},
        "metrics": results["metrics"],
        "rounds": rounds(trial),
    }


def rounds(trial: Path) -> list[dict[str, Any]]:
    """What the best trial's rounds were trained under, and what came of them."""
    rows = [json.loads(line) for line in (trial / "metrics.jsonl").read_text().splitlines()]
    return [row["alternation"] for row in rows if row.get("alternation", {}).get("ends")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--samples", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--studies", type=Path, help="keeps the studies there, and goes on from what is there")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "limited_annotation.json")
    arguments = parser.parse_args()
    from raysearch.data import DataSpec, open_collection

    collection = open_collection(DataSpec.parse("phantom"), "multi")
    patient = dict(zip(collection.image_ids, collection.patients.tolist(), strict=True))
    budget = ["--samples", str(arguments.samples)]
    budget += ["--epochs", str(arguments.epochs)] if arguments.epochs else []
    runs: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for seed in arguments.seeds:
        folder = Path(arguments.studies or tempfile.mkdtemp(prefix="limited-annotation-")) / f"seed-{seed}"
        for arm, done in runs.items():
            done.append(search(arm, seed, budget, folder))
            run = done[-1]
            run["test"]["patients"] = np.array([patient[image] for image, _ in run["test"]["pairs"]])
            tuning, test = (run[split]["scores"].mean() for split in ("tuning", "test"))
            print(
                f"seed {seed} {arm:<10} tuning {tuning:.4f} test {test:.4f} iou {run['metrics']['iou']:.4f}"
                f"  trial {run['trial']}  {run['epochs']} epochs",
                flush=True,
            )
    report: dict[str, Any] = {
        "command": "python -m benchmarks.limited_annotation",
        "cpus": os.cpu_count(),
        "metric": METRIC,
        "seeds": arguments.seeds,
        "samples": arguments.samples,
        "splits": {split: summary(runs, split) for split in ("tuning", "test")},
        "runs": {
            arm: [
                {
                    **{key: run[key] for key in ("trial", "epochs", "metrics", "rounds")},
                    **{split: float(run[split]["scores"].mean()) for split in ("tuning", "test")},
                }
                for run in done
            ]
            for arm, done in runs.items()
        },
    }
    print(json.dumps(report["splits"], indent=2))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n")


def summary(runs: dict[str, list[dict[str, Any]]], split: str) -> dict[str, Any]:
    """Mean of each arm and its paired difference from `alternate`, over all seeds; a patient counts once, whatever the
    number of seeds: the images are the same."""
    pooled = {
        arm: tuple(np.concatenate([run[split][key] for run in done]) for key in ("scores", "patients"))
        for arm, done in runs.items()
    }
    ours, patients = pooled["alternate"]
    out: dict[str, Any] = {arm: bootstrap(scores, who)._asdict() for arm, (scores, who) in pooled.items()}
    for arm, (scores, _) in pooled.items():
        if arm != "alternate":
            out[f"alternate - {arm}"] = paired_bootstrap(ours, scores, patients)._asdict()
    return out


if __name__ == "__main__":
    main()
