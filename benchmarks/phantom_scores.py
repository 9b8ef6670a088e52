"""A table of real trainings on the phantom: F1+ of every present pair of fresh images at many thresholds, after every
epoch of random configurations. Searches can then be repeated on it as often as one likes, with a known truth."""

from __future__ import annotations

import os
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
from raysearch.training import Alone, NonFiniteLossError, Trainer, observe

METHOD = "cam_avg"
FRESH = "phantom:images=1000,size=64"
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
    """The table of that file, trained and written first if it is not there: some 10 minutes of one core for 64."""
    if not file.exists():
        found = train(trials)
        partial = file.with_suffix(".part.npz")
        np.savez(partial, scores=found.scores, patients=found.patients)
        os.replace(partial, file)
    with np.load(file, allow_pickle=False) as arrays:
        return Table(arrays["scores"], arrays["patients"])


def train(trials: int) -> Table:
    """Trains the method's small preset on the phantom's default images: the defaults, and random configurations."""
    torch.set_num_threads(1)
    prepared, _, given = job(Request(method=METHOD, samples=trials, sampler="random"))
    task = prepared.task
    fresh = open_collection(parse_data(FRESH), prepared.method.view)
    known = set(prepared.collection.patients.tolist())
    rows = np.flatnonzero([patient not in known for patient in fresh.patients])
    parts: list[NDArray[np.float16]] = []
    patients = np.zeros(0, np.str_)
    generator = np.random.default_rng(0)
    number = 0
    while len(parts) < trials:
        settings, _ = prepared.space.split(prepared.space.defaults())
        if number:
            settings |= {"lr": float(10 ** generator.uniform(-2, np.log10(0.3)))}
            settings |= {"weight_decay": float(10 ** generator.uniform(-6, -3))}
        method: Method = prepared.method(prepared.method.Config(**settings), task)
        trainer = Trainer(method, given, number=number)
        number += 1
        epochs = []
        try:
            while trainer.epoch < trainer.epochs:
                trainer.train_epoch()
                seen = observe(method, trainer.model, fresh, rows, device=torch.device("cpu"), collective=Alone())
                counts = seen.counts.select(seen.counts.present)
                epochs.append(f1_at_levels(counts))
                patients = counts.patient
        except NonFiniteLossError:
            continue
        parts.append(np.stack(epochs))
        print(f"trained {len(parts)} of {trials}", flush=True)
    return Table(np.stack(parts), patients)


def f1_at_levels(counts: Counts) -> NDArray[np.float16]:
    """(R, L) of PRESENT pairs."""
    sweep: Sweep = counts
    return METRIC.function(*METRIC.statistics(sweep))[:, ::STEP].astype(np.float16)
