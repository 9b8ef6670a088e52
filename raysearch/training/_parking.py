"""Trainings that wait for their next round, kept in a worker's memory so that they go on without being loaded."""

from __future__ import annotations

from collections import OrderedDict

import torch

from raysearch.training._trainer import Trainer

LIMIT = 1 << 30
"""Bytes of weights and optimiser states that wait in a worker. Beyond it the one that waits longest is let go, and goes
on from its checkpoint."""
PLACES = 4
"""Trainings that wait in a worker: two trials take turns on a slot, and some that wait will have been ended."""


class Parking:
    """By number of the trial; a training that went on elsewhere meanwhile is told by its epoch."""

    def __init__(self, device: torch.device, limit: int = LIMIT) -> None:
        self._device = device
        self._limit = limit
        self._parked: OrderedDict[int, Trainer] = OrderedDict()

    def park(self, trainer: Trainer) -> None:
        """Moves a training to the host's memory."""
        if trainer.size > self._limit:
            return
        for parameter in trainer.model.parameters():
            parameter.grad = None
        trainer.to(torch.device("cpu"))
        self._parked[trainer.number] = trainer
        while len(self._parked) > PLACES or sum(other.size for other in self._parked.values()) > self._limit:
            self._parked.popitem(last=False)

    def take(self, number: int, epoch: int) -> Trainer | None:
        """The training of a trial if it is parked after that epoch; it is parked no longer."""
        trainer = self._parked.pop(number, None)
        if trainer is None or trainer.epoch != epoch:
            return None
        trainer.to(self._device)
        return trainer

    def drop(self, number: int) -> None:
        """Forgets a trial that has ended."""
        self._parked.pop(number, None)
