"""Every installed method as a new user meets it: `raysearch tune --method NAME` with no other flag, on the phantom,
then `export`, `verify` and `predict`. Tells what each took, and fails if one did not do it.

    python -m benchmarks.every_method                     table, and benchmarks/results/every_method.json
    python -m benchmarks.every_method --only chexseg enc
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
from PIL import Image

from raysearch.data import open_collection, parse_data
from raysearch.method import load_method, method_names

HERE = Path(__file__).parent
LIMIT_SECONDS = 360
LEAST_TRIALS = {"all_ones": 1}
"""A method without settings has one trial; all others 8 at least."""


def raysearch(arguments: list[str], folder: Path) -> str:
    environment = {**os.environ, "RAYSEARCH_STUDIES": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "raysearch", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"raysearch {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def pictures(name: str, folder: Path, count: int = 3) -> list[str]:
    """Some images of the method's own data, as files."""
    method = load_method(name)
    collection = open_collection(parse_data(method.data), method.view)
    paths = []
    for row in range(count):
        paths.append(folder / f"{name}-{row}.png")
        Image.fromarray(np.array(collection.images[row][0])).save(paths[-1])
    return [str(path) for path in paths]


def run(name: str, folder: Path) -> dict[str, Any]:
    started = time.monotonic()
    raysearch(["tune", "--method", name, "--study", name], folder)
    seconds = time.monotonic() - started
    status = json.loads(raysearch(["status", name, "--json"], folder))
    complete = sum(trial["state"] in ("complete", "pruned") for trial in status["trials"])
    model, masks = folder / f"{name}-model", folder / f"{name}-masks"
    exported = json.loads(raysearch(["export", name, "--out", str(model), "--json"], folder))
    raysearch(["verify", str(model)], folder)
    raysearch(["predict", str(model), *pictures(name, folder), "--out", str(masks)], folder)
    if complete < LEAST_TRIALS.get(name, 8):
        raise RuntimeError(f"{name}: {complete} trials ended well, expected {LEAST_TRIALS.get(name, 8)}")
    if seconds > LIMIT_SECONDS:
        raise RuntimeError(f"{name}: {seconds:.0f} s, expected at most {LIMIT_SECONDS}")
    if not list(masks.glob("*_overlay.png")):
        raise RuntimeError(f"{name}: predict left no overlay")
    return {
        "seconds": seconds,
        "trials": complete,
        "metric": status["metric"],
        "tuning": status["best"]["value"],
        "test": exported["metrics"].get(status["metric"]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=method_names(), default=list(method_names()))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "every_method.json")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"command": "python -m benchmarks.every_method", "cpus": os.cpu_count(), "methods": {}}
    if arguments.out.exists():  # methods that are not run now keep what was measured
        report = json.loads(arguments.out.read_text())
    failed = []
    print("| method | trials | seconds | metric | tuning | test |\n|---|---|---|---|---|---|", flush=True)
    for name in arguments.only:
        try:
            found = run(name, Path(tempfile.mkdtemp(prefix=f"{name}-")))
        except RuntimeError as error:
            failed.append(name)
            print(f"| {name} | {error} |", flush=True)
            continue
        report["methods"][name] = found
        print(
            f"| {name} | {found['trials']} | {found['seconds']:.0f} | {found['metric']} | {found['tuning']:.3f}"
            f" | {found['test']:.3f} |",
            flush=True,
        )
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
