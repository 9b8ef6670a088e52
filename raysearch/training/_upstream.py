"""Upstream work: trained as a trial is, keyed by what it depends on, and kept by its outcome."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raysearch.data import Collection
from raysearch.data._collection import PRESENT
from raysearch.data._loader import evaluation_batches, inside_of
from raysearch.data._pool import places_in, pool_of
from raysearch.errors import DamagedFileError
from raysearch.method import Outcome, Pool, Upstream
from raysearch.training._checkpoint import decode, encode
from raysearch.training._collective import Collective
from raysearch.training._heartbeat import Heartbeat, unheard
from raysearch.training._seeds import seed_all
from raysearch.training._trainer import Assignment, Trainer

LIMIT = 2 << 30
"""Bytes of outcomes that wait in a worker for another trial. Beyond it those that were asked for longest ago go, and
are sent again."""
PLACES = 8
REMEDY = "delete it and it is made again"


class PoolImages:
    """`raysearch.method.TrainingImages` over the rows of a pool."""

    def __init__(
        self, collection: Collection, pool: Pool, device: torch.device, heartbeat: Heartbeat = unheard
    ) -> None:
        self.pool = pool
        self.device = device
        self._collection = collection
        self._heartbeat = heartbeat

    def batches(self, rows: NDArray[np.int64], size: int) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        places_in(self.pool, rows, "upstream work")
        for part, images in evaluation_batches(self._collection, rows, size):
            yield part, images.to(self.device, non_blocking=True)
            self._heartbeat()

    def inside(self, rows: NDArray[np.int64]) -> Tensor | None:
        places_in(self.pool, rows, "upstream work")
        return inside_of(self._collection, rows)

    def regions(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        truth = self.pool.truth[places_in(self.pool, rows, "upstream work")]
        where = self._collection.mask_row[rows][truth == PRESENT]
        return torch.from_numpy(np.array(self._collection.masks[where])).float(), torch.from_numpy(truth)


class UpstreamTrainer:
    """Trains upstream work; `key` (of its `Work`) keys the random numbers beside the study's seed."""

    def __init__(
        self,
        upstream: Upstream,
        assignment: Assignment,
        *,
        key: str,
        device: torch.device | str = "cpu",
        collective: Collective | None = None,
        heartbeat: Heartbeat = unheard,
    ) -> None:
        self.key = key
        self._upstream = upstream
        self._number = int(key[:15], 16)  # of a trial that no study has
        self._assignment = replace(assignment, epochs=upstream.epochs)
        self._trainer = Trainer(
            upstream,
            self._assignment,
            number=self._number,
            device=device,
            collective=collective,
            heartbeat=heartbeat,
        )

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self._trainer.epoch

    @property
    def epochs(self) -> int:
        """Epochs in all; 0 if nothing is trained."""
        return sum(stage.epochs for stage in self._trainer.stages)

    @property
    def steps(self) -> int:
        """Of the next epoch."""
        return self._trainer.steps

    def train_epoch(self) -> dict[str, float]:
        return self._trainer.train_epoch()

    def train_steps(self, steps: int) -> None:
        self._trainer.train_steps(steps)

    def outcome(self, rows: NDArray[np.int64] | None = None) -> Outcome:
        """What it leaves; of some training images alone for a probe of time.

        Raises:
            TypeError: something in it is no tensor.
        """
        given = self._assignment
        pool = pool_of(given.collection, given.train if rows is None else rows, given.annotated, given.labelled)
        model = self._trainer.model.eval()
        seed_all(given.seed, self._number)
        left = self._upstream.outcome(
            model, PoolImages(given.collection, pool, self._trainer.device, self._trainer.heartbeat)
        )
        return {name: _plain(self._upstream.name, name, value) for name, value in left.items()}

    def state(self) -> dict[str, Any]:
        return self._trainer.state()

    def load(self, state: Mapping[str, Any]) -> None:
        self._trainer.load(state)


class Outcomes:
    """The outcomes that a worker holds, by key: a study over later settings sends them once, not with every trial."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._held: OrderedDict[str, Outcome] = OrderedDict()
        self._wanted: frozenset[str] = frozenset()

    def lacking(self, keys: Sequence[str]) -> list[str]:
        """Which of some outcomes it has to be sent; those that it has stay until it is asked for others."""
        self._wanted = frozenset(keys)
        for key in keys:
            if key in self._held:
                self._held.move_to_end(key)
        return [key for key in keys if key not in self._held]

    def hold(self, key: str, outcome: Outcome) -> None:
        self._held[key] = outcome
        for old in [key for key in self._held if key not in self._wanted]:
            if len(self._held) > PLACES or sum(map(_bytes, self._held.values())) > self._limit:
                del self._held[old]

    def __getitem__(self, key: str) -> Outcome:
        return self._held[key]


def encode_outcome(outcome: Outcome, key: str) -> bytes:
    return encode({"key": key, "outcome": dict(outcome)})


def decode_outcome(data: bytes, key: str, where: str) -> Outcome:
    """DamagedFileError if `data` is damaged, or the outcome of something else."""
    state = decode(data, where, REMEDY)
    if state.get("key") != key:
        raise DamagedFileError(f"{where} is not the outcome of the work that it is named after; {REMEDY}")
    outcome: Outcome = state["outcome"]
    return outcome


def _plain(upstream: str, name: str, value: Tensor) -> Tensor:
    """A tensor of its own on the CPU: a view would take everything that it looks at with it."""
    if not isinstance(value, Tensor):
        raise TypeError(f"'{name}' in the outcome of {upstream} is a {type(value).__name__}; expected a tensor")
    value = value.detach().cpu()
    return value if value.untyped_storage().nbytes() == _size(value) and value.is_contiguous() else value.clone()


def _bytes(outcome: Outcome) -> int:
    return sum(map(_size, outcome.values()))


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
