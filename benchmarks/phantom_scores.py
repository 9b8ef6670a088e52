"""A table of real trainings on the phantom: F1+ of every present pair of fresh images at many thresholds, after every
epoch of random configurations. Searches can then be repeated on it as often as one likes, with a known truth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.in_process import job
from raysearch.data import open_collection, parse_data
from raysearch.method import Method
from raysearch.study import Request
from raysearch.thresholds import Counts, Sweep, mask_metric
from raysearch.training import Alone, Trainer, observe

METHOD = "cam_avg"
FRESH = "phantom:images=800,size=64"
METRIC = mask_metric("f1_plus")
STEP = 4
"""Every fourth of the 257 levels is kept."""


class Table(NamedTuple):
    """Scores of T configurations after each of E epochs on R pairs at L levels.

    Attributes:
        scores: (T, E, R, L) float16, F1+ in [0, 1]. Configuration 0 is the defaults.
        patients: (R,) names.
    """

    scores: NDArray[np.float16]
    patients: NDArray[np.str_]


def table(file: Path, trials: int) -> Table:
    """The first `trials` of that file. Those that are not there yet are trained, 20 s of one core each, and the file is
    written after each of them."""
    done = load(file) if file.exists() else []
    if len(done) < trials:
        for scores, patients in train(len(done), trials):
            done.append(Table(scores[None], patients))
            partial = file.with_suffix(".part.npz")
            np.savez(partial, scores=np.concatenate([each.scores for each in done]), patients=patients)
            os.replace(partial, file)
            print(f"trained {len(done)} of {trials}", flush=True)
    return Table(np.concatenate([each.scores for each in done[:trials]]), done[0].patients)


def load(file: Path) -> list[Table]:
    """One table a configuration."""
    with np.load(file, allow_pickle=False) as arrays:
        return [Table(scores[None], arrays["patients"]) for scores in arrays["scores"]]


def train(first: int, trials: int) -> Iterator[tuple[NDArray[np.float16], NDArray[np.str_]]]:
    """Scores (E, R, L) and patients of configurations `first` to `trials` of the method's small preset, trained on the
    phantom's default images: the defaults, then random ones."""
    torch.set_num_threads(1)
    prepared, _, given = job(Request(method=METHOD, samples=trials, sampler="random"))
    fresh = open_collection(parse_data(FRESH), prepared.method.view)
    known = set(prepared.collection.patients.tolist())
    rows = np.flatnonzero([patient not in known for patient in fresh.patients])
    for number in range(first, trials):
        settings, _ = prepared.space.split(prepared.space.defaults())
        if number:
            generator = np.random.default_rng([0, number])
            settings |= {"lr": float(10 ** generator.uniform(-2, np.log10(0.3)))}
            settings |= {"weight_decay": float(10 ** generator.uniform(-6, -3))}
        method: Method = prepared.method(prepared.method.Config(**settings), prepared.task)
        trainer = Trainer(method, given, number=number)
        epochs = []
        while trainer.epoch < trainer.epochs:
            trainer.train_epoch()
            seen = observe(method, trainer.model, fresh, rows, device=torch.device("cpu"), collective=Alone())
            counts = seen.counts.select(seen.counts.present)
            epochs.append(f1_at_levels(counts))
        yield np.stack(epochs), counts.patient


def f1_at_levels(counts: Counts) -> NDArray[np.float16]:
    """(R, L) of PRESENT pairs."""
    sweep: Sweep = counts
    return METRIC.function(*METRIC.statistics(sweep))[:, ::STEP].astype(np.float16)
