"""What the upstream work of CheXseg has in common."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from raysearch.errors import DataError
from raysearch.method import Outcome, Pool

CHUNK = 64
"""Images, or maps, that are worked on at a time."""


def under(name: str, tensors: Mapping[str, Tensor]) -> Outcome:
    """Tensors on the CPU, each under ``name.key``."""
    return {f"{name}.{key}": value.detach().cpu() for key, value in tensors.items()}


def of(name: str, outcome: Outcome) -> dict[str, Tensor]:
    """What `under` has put there."""
    return {key.removeprefix(f"{name}."): value for key, value in outcome.items() if key.startswith(f"{name}.")}


def expert_rows(pool: Pool) -> NDArray[np.int64]:
    """Images with an expert mask, sorted: those with a known region."""
    # as --annotated counts them: truth that is absent alone may be no more than a negative label, as of CheXpert
    rows: NDArray[np.int64] = pool.rows[(pool.truth == 1).any(axis=1)]
    return rows


def weak_candidates(pool: Pool) -> NDArray[np.int64]:
    """Images that may get pseudo-labels, sorted: those with a positive label of which no region truth is known."""
    rows: NDArray[np.int64] = pool.rows[(pool.labels == 1).any(axis=1) & ~pool.annotated]
    return rows


def weak_rows(pool: Pool, count: int, subset: int) -> NDArray[np.int64]:
    """Images that get pseudo-labels: of the candidates the random subset `subset` of `count`, or all of them if that is
    0 or there are no more; sorted."""
    candidates = weak_candidates(pool)
    if count == 0 or count >= len(candidates):
        return candidates
    chosen = np.random.default_rng(subset).permutation(len(candidates))[:count]
    return candidates[np.sort(chosen)]


def nothing_weak(pool: Pool) -> DataError:
    """The refusal where `weak_rows` is empty and something has to be."""
    return DataError(
        f"none of the {len(pool.rows)} training images has a positive label and no known region: expected some for "
        "pseudo-labels; give --annotated N to keep some regions back, or --fix supervision=full"
    )


def nothing_known(pool: Pool, asked: str) -> DataError:
    """The refusal where there is no expert mask and the settings `asked` learn from some."""
    return DataError(
        f"none of the {len(pool.rows)} training images has a known region: expected some for {asked}; give --annotated "
        "N, or --fix supervision=weak where images are labelled"
    )


def at(pool: Pool, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of `rows` in the pool."""
    places: NDArray[np.int64] = np.searchsorted(pool.rows, rows)
    return places
