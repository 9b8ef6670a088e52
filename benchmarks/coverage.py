"""Does the interval of a winner hold? Searches are repeated on made scores and on a table of real trainings, where the
true value of what wins is known.

    python -m benchmarks.coverage                      tables, and benchmarks/results/coverage.json, from which an
                                                       interrupted run goes on
    python -m benchmarks.coverage --only synthetic
    python -m benchmarks.coverage --phantom FILE       keeps the trainings there, and goes on from them

A cell is one number of trials, of images and of epochs, and one way in which true values differ:
`alike`: they do not. `spread`: normal, as wide as the standard error of a value. `few`: one in 16 trials (at least one)
is better than all others, by 0.05 to 0.08. `linear`: evenly from -0.06 to 0.06. `as trained`: those of the table.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.phantom_scores import Table, table
from benchmarks.rivals import RIVALS
from raysearch.thresholds import jackknife, winner

HERE = Path(__file__).parent
Floats = NDArray[np.float64]

# what a score is made of in the synthetic cells, standard deviations over patients
SHARED, OF_TRIAL, OF_EPOCH = 0.22, 0.12, 0.08
"""All trials find the same patients hard; a trial has patients of its own that it does badly on, and so has an epoch:
0.263 in all, so that 80 images give a standard error of 0.029."""
IMAGES = (20, 80)
TRIALS = (1, 16, 64, 256)
EPOCHS = 4
KINDS = ("alike", "spread", "few", "linear")
PHANTOM_TRIALS = (1, 16)
PHANTOM_KINDS = ("alike", "as trained")
TABLE = 16
"""Trainings of the phantom table."""
PATIENTS = {20: 8, 80: 30}
"""Of the phantom, by the images that they have on average."""
REPEATS = 1000
OF_RIVALS = 200
"""Repetitions of the other ways."""
COVERAGE = (0.93, 0.97)
BIAS = 0.005
WIDTH = 1.3
SECONDS = 0.1
"""Goals; the width is in widths of the interval that the truly best candidate has if it is fixed in advance."""


class Search(NamedTuple):
    """One repetition: what was measured of C candidates, and the truth about them.

    Attributes:
        values: (C,); the highest wins.
        influence: (C, P), as `raysearch.thresholds.winner` takes it.
        owner: (C,) trial of each candidate.
        truth: (C,) value on new patients.
        scores: (C, P) by patient, where a value is their mean.
    """

    values: Floats
    influence: Floats
    owner: NDArray[np.int64]
    truth: Floats
    scores: Floats | None


def synthetic(kind: str, trials: int, images: int, rng: np.random.Generator) -> Search:
    """One image a patient; epochs of a trial get better at first, and jump a little."""
    error = float(np.sqrt(SHARED**2 + OF_TRIAL**2 + OF_EPOCH**2) / np.sqrt(images))
    outstanding = np.arange(trials) < max(1, trials // 16)
    of_trial = {
        "alike": lambda: np.zeros(trials),
        "spread": lambda: rng.normal(0, error, trials),
        "few": lambda: np.where(outstanding, rng.uniform(0.05, 0.08, trials), 0.0),
        "linear": lambda: np.linspace(-0.06, 0.06, trials) if trials > 1 else np.zeros(1),
    }[kind]()
    truth = np.repeat(rng.permutation(of_trial)[:, None], EPOCHS, axis=1)
    if kind != "alike":
        truth = truth - 0.05 * np.exp(-np.arange(EPOCHS)) + rng.normal(0, 0.01, truth.shape)
    scores = (
        truth[:, :, None]
        + SHARED * rng.standard_normal(images)
        + OF_TRIAL * rng.standard_normal((trials, 1, images))
        + OF_EPOCH * rng.standard_normal((trials, EPOCHS, images))
    ).reshape(trials * EPOCHS, images)
    values = scores.mean(axis=1)
    influence = (scores - values[:, None]) / (images - 1)
    return Search(values, influence, np.repeat(np.arange(trials), EPOCHS), truth.ravel(), scores)


def drawn(found: Table, images: int, rng: np.random.Generator, *, given: bool) -> Search:
    """A search on all trainings of a table: patients are drawn from it as a tuning split, thresholds are cross-fitted
    on them, and the truth is the value, on all patients of the table, at the threshold that is best on the split.

    Args:
        given: thresholds are those that are best for all patients of the table, so that none is chosen.
    """
    names, patient = np.unique(found.patients, return_inverse=True)
    picked = rng.integers(len(names), size=PATIENTS[images])
    rows = np.concatenate([np.flatnonzero(patient == p) for p in picked])
    owner = np.concatenate([np.full((patient == p).sum(), n) for n, p in enumerate(picked)])
    trials, epochs, _, levels = found.scores.shape
    scores = found.scores.reshape(trials * epochs, -1, levels)[:, rows].astype(np.float32)
    everywhere = population(found)
    candidates = np.arange(trials * epochs)
    if given:
        chosen = everywhere.argmax(axis=1)
        crossed = scores[candidates, :, chosen].astype(np.float64)
    else:
        chosen = scores.mean(axis=1).argmax(axis=1)
        crossed = cross_fitted(scores, owner, len(picked), rng)
    sums = np.stack([crossed[:, owner == n].sum(axis=1) for n in range(len(picked))], axis=1)
    sizes = np.bincount(owner)
    values = sums.sum(axis=1) / sizes.sum()
    without = (sums.sum(axis=1, keepdims=True) - sums) / (sizes.sum() - sizes)
    truth = everywhere[candidates, chosen]
    return Search(values, values[:, None] - without, np.repeat(np.arange(trials), epochs), truth, None)


def cross_fitted(
    scores: NDArray[np.float32], owner: NDArray[np.int64], patients: int, rng: np.random.Generator
) -> Floats:
    """(C, R) score of each pair at thresholds chosen on other patients, as `cross_fit` without strata; mean of 10
    halvings. `scores` is (C, R, L)."""
    total = np.zeros(scores.shape[:2])
    for _ in range(10):
        half = (rng.permutation(patients) % 2)[owner]
        for side in (0, 1):
            chosen = scores[:, half == side].mean(axis=1).argmax(axis=1)
            others = np.flatnonzero(half != side)
            total[:, others] += scores[np.arange(len(scores))[:, None], others, chosen[:, None]]
    return total / 10


def population(found: Table) -> Floats:
    """(C, L) mean over all pairs of the table."""
    trials, epochs, _, levels = found.scores.shape
    return found.scores.mean(axis=2, dtype=np.float64).reshape(trials * epochs, levels)


def part_of(search: Search, kind: str, trials: int, epochs: int, best: Floats, rng: np.random.Generator) -> Search:
    """A search among some of the trials, each by its last epochs; `alike`: shifted so that all are worth the same.

    Args:
        best: (C,) value of each candidate at its best threshold for all patients.
    """
    total = int(search.owner.max()) + 1
    every = len(search.owner) // total
    picked = rng.permutation(total)[:trials]
    rows = (picked[:, None] * every + np.arange(every - epochs, every)).ravel()
    shift = best[rows] - best[rows].mean() if kind == "alike" else 0.0
    return Search(
        search.values[rows] - shift,
        search.influence[rows],
        np.repeat(np.arange(trials), epochs),
        search.truth[rows] - shift,
        None,
    )


def judged(search: Search) -> dict[str, float]:
    """What our correction and the naive value say of the winner, minus the truth."""
    best = int(search.values.argmax())
    truth = float(search.truth[best])
    found = winner(search.values, search.influence, search.owner, against=0)
    # who knows the truth fixes the best candidate in advance
    oracle = jackknife(0.0, search.influence[int(search.truth.argmax())])
    out = {
        "naive": found.naive - truth,
        "bias": found.value.mean - truth,
        "held": float(found.value.low <= truth <= found.value.high),
        "width": (found.value.high - found.value.low) / (oracle.high - oracle.low),
    }
    if search.scores is not None:  # thresholds were given, so that errors that all candidates share have the mean 0
        out["shared"] = float((search.values - search.truth).mean())
    if found.gain is not None:
        own = np.flatnonzero(search.owner == 0)
        gain = truth - float(search.truth[own[search.values[own].argmax()]])
        out |= {
            "gain_bias": found.gain.mean - gain,
            "gain_held": float(found.gain.low <= gain <= found.gain.high),
            "told_apart": float(found.told_apart),
            "told_apart_wrongly": float(found.told_apart and gain <= 0),
        }
    return out


def rivals(search: Search, rng: np.random.Generator) -> dict[str, float]:
    """The same of other ways."""
    assert search.scores is not None
    truth = float(search.truth[search.values.argmax()])
    out: dict[str, float] = {}
    for name, way in RIVALS.items():
        found = way(search.scores, rng)
        out[f"{name}.bias"] = found.mean - truth
        if np.isfinite(found.low):
            out[f"{name}.held"] = float(found.low <= truth <= found.high)
    return out


def summary(rows: list[dict[str, float]], cell: dict[str, Any]) -> dict[str, Any]:
    """Means over repetitions. Where `shared` errors are known to have the mean 0 they are taken off the biases, which
    takes noise of the simulation away."""
    names = sorted({name for row in rows for name in row} - {"shared"})
    out: dict[str, Any] = dict(cell)
    shared = np.array([row.get("shared", 0.0) for row in rows])
    for name in names:
        values = np.array([row.get(name, np.nan) for row in rows])
        if name in ("naive", "bias") or name.endswith(".bias"):
            values = values - shared
        out[name] = float(np.nanmean(values))
        if name == "bias":
            out["bias_error"] = float(values.std() / np.sqrt(len(values)))
    out["missed"] = missed(out)
    return out


def missed(cell: dict[str, Any]) -> list[str]:
    wrong = {
        "coverage": not COVERAGE[0] <= cell["held"] <= COVERAGE[1],
        "bias": abs(cell["bias"]) > BIAS,
        "width": cell["width"] > WIDTH,
    }
    return [name for name, is_wrong in wrong.items() if is_wrong]


def synthetic_cells(repeats: int, done: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """All cells so far, after each one; those that are `done` are not repeated."""
    cells = list(done)
    known = {(cell["trials"], cell["images"], cell["kind"]) for cell in cells if cell["repeats"] == repeats}
    for trials, images, kind in product(TRIALS, IMAGES, KINDS):
        if (trials, images, kind) in known:
            continue
        rng = np.random.default_rng([trials, images])
        rows = []
        for n in range(repeats):
            search = synthetic(kind, trials, images, rng)
            rows.append(judged(search) | (rivals(search, np.random.default_rng(n)) if n < OF_RIVALS else {}))
        about = {"kind": kind, "trials": trials, "epochs": EPOCHS, "images": images, "repeats": repeats}
        cells.append(summary(rows, about))
        yield cells


def phantom_cells(found: Table, repeats: int) -> Iterator[dict[str, Any]]:
    """Of the table; with one epoch a trial, too, where there is one trial: then only the threshold was chosen."""
    best = population(found).max(axis=1)
    epochs = found.scores.shape[1]
    sizes = [(1, 1), *((trials, epochs) for trials in PHANTOM_TRIALS)]
    for images, given in product(IMAGES, (False, True)):
        rng = np.random.default_rng(images)
        rows: dict[tuple[str, int, int], list[dict[str, float]]] = {}
        for _ in range(repeats):
            search = drawn(found, images, rng, given=given)
            for kind in PHANTOM_KINDS:
                for trials, each in sizes:
                    part = part_of(search, kind, trials, each, best, rng)
                    rows.setdefault((kind, trials, each), []).append(judged(part))
        thresholds = "given" if given else "cross-fitted"
        for (kind, trials, each), of_cell in rows.items():
            about = {"kind": kind, "trials": trials, "epochs": each, "images": images, "repeats": repeats}
            yield summary(of_cell, {"thresholds": thresholds, **about})


def seconds_of_a_study() -> float:
    """CPU time of one correction: 200 trials of 12 epochs, 80 patients; median of nine."""
    rng = np.random.default_rng(0)
    values, influence = rng.normal(0.3, 0.03, 2400), rng.normal(0, 0.003, (2400, 80))
    owner = np.repeat(np.arange(200), 12)
    times = []
    for _ in range(10):
        started = time.process_time()
        winner(values, influence, owner, against=0)
        times.append(time.process_time() - started)
    return float(np.median(times[1:]))


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "trials": lambda c: f"{c['trials']}",
    "epochs": lambda c: f"{c['epochs']}",
    "images": lambda c: f"{c['images']}",
    "true values": lambda c: c["kind"],
    "thresholds": lambda c: c.get("thresholds", "given"),
    "naive - truth": lambda c: f"{c['naive']:+.4f}",
    "corrected - truth": lambda c: f"{c['bias']:+.4f}",
    "coverage": lambda c: f"{c['held']:.3f}",
    "width": lambda c: f"{c['width']:.2f}",
    "coverage of the gain": lambda c: f"{c['gain_held']:.3f}" if "gain_held" in c else "-",
    "wrongly told apart": lambda c: f"{c['told_apart_wrongly']:.3f}" if "told_apart_wrongly" in c else "-",
    "missed": lambda c: ", ".join(c["missed"]),
}


def show(cells: list[dict[str, Any]]) -> None:
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for cell in cells:
        print("| " + " | ".join(column(cell) for column in COLUMNS.values()) + " |")


def show_rivals(cells: list[dict[str, Any]]) -> None:
    """The mean and the largest bias of each way, over the cells with a choice among several trials."""
    several = [cell for cell in cells if cell["trials"] > 1]
    print("| way | mean absolute bias | largest | least coverage | most |\n|---|---|---|---|---|")
    for name in ("ours", *RIVALS):
        prefix = "" if name == "ours" else f"{name}."
        biases = [abs(cell[f"{prefix}bias"]) for cell in several]
        held = [cell[f"{prefix}held"] for cell in several if f"{prefix}held" in cell]
        bounds = f"{min(held):.3f} | {max(held):.3f}" if held else "- | -"
        print(f"| {name} | {np.mean(biases):.4f} | {max(biases):.4f} | {bounds} |")


def write(report: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("synthetic", "phantom"))
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--phantom", type=Path, help="file of the trainings; made if it is not there")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "coverage.json")
    arguments = parser.parse_args()
    report: dict[str, Any] = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    report |= {"command": "python -m benchmarks.coverage", "cpus": os.cpu_count(), "repeats": arguments.repeats}
    report |= {
        "goals": {"coverage": COVERAGE, "bias": BIAS, "width": WIDTH, "seconds": SECONDS},
        "seconds": seconds_of_a_study(),
    }
    if arguments.only != "phantom":
        for cells in synthetic_cells(arguments.repeats, report.get("synthetic", [])):
            report["synthetic"] = cells
            write(report, arguments.out)
        show(report["synthetic"])
        show_rivals(report["synthetic"])
    if arguments.only != "synthetic":
        file = arguments.phantom or Path(tempfile.mkdtemp(prefix="coverage-")) / "phantom.npz"
        report["phantom"] = list(phantom_cells(table(file, TABLE), arguments.repeats))
        show(report["phantom"])
    print(f"{report['seconds']:.3f} s of CPU time a study of 200 trials, 12 epochs and 80 patients")
    write(report, arguments.out)


if __name__ == "__main__":
    main()
