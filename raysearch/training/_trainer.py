"""One training of one configuration: epochs, evaluations, checkpoints. Knows nothing of Ray, Optuna or the study."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raysearch._random import derive
from raysearch.data import Collection
from raysearch.data._loader import Loader
from raysearch.data._pool import pool_of
from raysearch.data._streams import whole_pool
from raysearch.method import Method, Stage, Step, Training
from raysearch.training._collective import Alone, Collective
from raysearch.training._evaluate import Evaluation, Rule, evaluate
from raysearch.training._heartbeat import Heartbeat, unheard
from raysearch.training._seeds import seed_all


class NonFiniteLossError(ArithmeticError):
    """The loss became NaN or infinite: the only numerical reason for which a trial fails."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a trial trains on: settled once by the study, the same for all its trials.

    Attributes:
        annotated: rows of `train` whose regions the method may see; None for all that have some.
        labelled: rows of `train` whose labels the method may see; None for all.
    """

    collection: Collection
    train: np.ndarray[Any, np.dtype[np.int64]]
    tuning: np.ndarray[Any, np.dtype[np.int64]]
    seed: int
    epochs: int
    rule: Rule
    annotated: np.ndarray[Any, np.dtype[np.int64]] | None = None
    labelled: np.ndarray[Any, np.dtype[np.int64]] | None = None


class Trainer:
    """Trains `method` on `assignment`; `number` (the trial's) keys the random numbers beside the study's seed."""

    def __init__(
        self,
        method: Training,
        assignment: Assignment,
        *,
        number: int,
        device: torch.device | str = "cpu",
        collective: Collective | None = None,
        heartbeat: Heartbeat = unheard,
    ) -> None:
        self.method = method
        self.assignment = assignment
        self.number = number
        self.device = torch.device(device)
        self.collective: Collective = collective or Alone()
        self.heartbeat = heartbeat
        seed_all(assignment.seed, number)
        self.model = method.build().to(self.device)
        self.stages: list[Stage] = list(method.stages(assignment.epochs))
        self.epoch = 0
        self.loaders = self._make_loaders()
        self._stage = -1
        self._optimizer: torch.optim.Optimizer | None = None
        self._schedule: torch.optim.lr_scheduler.LRScheduler | None = None
        if self.stages:
            self._enter(0)

    @property
    def epochs(self) -> int:
        """Epochs in all; a method that trains nothing is evaluated once, after an epoch of no steps."""
        return sum(stage.epochs for stage in self.stages) or 1

    def train_epoch(self) -> dict[str, float]:
        """One pass over the training split; mean losses (over all workers' images), and the seconds it took.

        Raises:
            NonFiniteLossError: a loss was NaN or infinite.
        """
        started = time.perf_counter()
        if not self.stages:
            self.epoch += 1
            return {"train_seconds": time.perf_counter() - started}
        self._enter(self._stage_of(self.epoch))
        seed_all(self.assignment.seed, self.number, self.epoch + 1, self.collective.rank)
        totals: dict[str, Tensor] = {}
        steps = 0
        for losses, share in self._steps(self.epoch):
            for name, value in losses.items():
                totals[name] = totals.get(name, torch.zeros((), device=self.device)) + share * value.detach()
            steps += 1
        if self._schedule is not None:
            self._schedule.step()
        self.collective.average_buffers(self.model)
        self.epoch += 1
        shares = self.collective.gather({name: float(total) / steps for name, total in totals.items()})
        means = {name: sum(share.get(name, 0.0) for share in shares) for name in sorted({n for s in shares for n in s})}
        worst = [name for name, value in means.items() if not math.isfinite(value)]
        if worst:
            raise NonFiniteLossError(f"non-finite {worst[0]} in epoch {self.epoch}")
        return {**means, "train_seconds": time.perf_counter() - started}

    @property
    def steps(self) -> int:
        """Steps of the next epoch."""
        return self.loaders[self._stage_of(self.epoch)].steps(self.epoch) if self.stages else 0

    @property
    def stage_ends(self) -> bool:
        """Whether the epoch just trained is followed by one of another stage."""
        return self.epoch < self.epochs and self._stage_of(self.epoch) != self._stage

    @property
    def in_last_stage(self) -> bool:
        """Whether the epoch just trained belongs to the last stage."""
        return self._stage == len(self.stages) - 1

    def train_steps(self, steps: int) -> None:
        """The first `steps` steps of the next epoch, for a probe of time and memory."""
        if self.stages:
            for _, _ in zip(range(steps), self._steps(self.epoch), strict=False):
                pass

    def evaluate(self, thresholds: Mapping[str, float]) -> Evaluation:
        """Scores the tuning split; `thresholds` are the decision thresholds where the rule does not solve them."""
        assert isinstance(self.method, Method), "other work than a method's has no metric"
        return evaluate(
            self.method,
            self.model,
            self.assignment.collection,
            self.assignment.tuning,
            rule=self.assignment.rule,
            thresholds=thresholds,
            device=self.device,
            collective=self.collective,
            heartbeat=self.heartbeat,
        )

    def state(self) -> dict[str, Any]:
        """Everything that `load` needs to go on: weights, optimiser, schedule, position; tensors on their device."""
        return {
            "epoch": self.epoch,
            "stage": self._stage,
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict() if self._optimizer else None,
            "schedule": self._schedule.state_dict() if self._schedule else None,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        self.epoch = int(state["epoch"])
        if int(state["stage"]) >= 0:
            self._enter(int(state["stage"]))
        self.model.load_state_dict(state["model"])  # after what entering a stage may do to it
        if self._optimizer is not None:
            self._optimizer.load_state_dict(state["optimizer"])
        if self._schedule is not None:
            self._schedule.load_state_dict(state["schedule"])

    def advance(self, epoch: int) -> None:
        """Goes to where this training would be after some epochs, without training: weights are still to come."""
        self.epoch = epoch
        index = self._stage_of(epoch - 1)
        self._enter(index)
        behind = epoch - sum(stage.epochs for stage in self.stages[:index])
        if self._schedule is not None:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")  # there were no steps
                for _ in range(behind):
                    self._schedule.step()

    def take_back(self, state: Mapping[str, Any]) -> None:
        """Goes on from the weights of an earlier `state` of this training. Time is not taken back: the epoch, and with
        it the stage and the learning rate, stay what they are."""
        self.model.load_state_dict(state["model"])
        if self._optimizer is None or state["stage"] != self._stage:
            return  # a stage's optimiser remembers nothing of the stages before it
        rates = [{k: v for k, v in group.items() if k != "params"} for group in self._optimizer.param_groups]
        self._optimizer.load_state_dict(state["optimizer"])
        for group, settings in zip(self._optimizer.param_groups, rates, strict=True):
            group.update(settings)

    def to(self, device: torch.device) -> None:
        """Moves weights and optimiser to a device, between two epochs."""
        self.model.to(device)
        if self._optimizer is not None:
            for state in self._optimizer.state.values():
                state.update({k: v.to(device) for k, v in state.items() if isinstance(v, Tensor) and v.ndim})

    @property
    def size(self) -> int:
        """Bytes of weights and optimiser."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        if self._optimizer is not None:
            tensors += [v for s in self._optimizer.state.values() for v in s.values() if isinstance(v, Tensor)]
        return sum(t.numel() * t.element_size() for t in tensors)

    def _make_loaders(self) -> list[Loader]:
        """One a stage. They must not depend on loss thresholds, with which `method` may change."""
        method, given = self.method, self.assignment
        if not self.stages:
            return []
        pool = pool_of(given.collection, given.train, given.annotated, given.labelled)
        pseudo = method.pseudo_regions()

        def loader(stage: Stage) -> Loader:
            return Loader(
                given.collection,
                pool,
                stage.streams or (whole_pool(pool, method.batch_size, method.augmentation(), given.collection.source),),
                given.seed,
                pixel=method.supervision in ("pixel", "region"),
                pseudo=pseudo,
                rank=self.collective.rank,
                workers=self.collective.size,
            )

        return [loader(stage) for stage in self.stages]

    def _stage_of(self, epoch: int) -> int:
        end = 0
        for index, stage in enumerate(self.stages):
            end += stage.epochs
            if epoch < end:
                return index
        return len(self.stages) - 1

    def _enter(self, index: int) -> None:
        """Makes the optimiser of a stage and freezes what it does not train."""
        if index == self._stage:
            return
        self._stage = index
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)
        self._optimizer = self.stages[index].optimizer(self.model)
        trained = {id(p) for group in self._optimizer.param_groups for p in group["params"]}
        for parameter in self.model.parameters():
            parameter.requires_grad_(id(parameter) in trained)
        make_schedule = self.stages[index].schedule
        self._schedule = make_schedule(self._optimizer) if make_schedule else None

    def _steps(self, epoch: int) -> Iterator[tuple[dict[str, Tensor], float]]:
        """Losses of each step, and this worker's share of its images."""
        assert self._optimizer is not None
        self.model.train()
        generator = torch.Generator(device=self.device)
        for number, batch in enumerate(self.loaders[self._stage].epoch(epoch)):
            generator.manual_seed(derive(self.assignment.seed, self.number, epoch, number))
            self._optimizer.zero_grad(set_to_none=True)
            step = Step(
                epoch=epoch,
                stage=self.stages[self._stage].name,
                generator=generator,
                backward=torch.autograd.backward,
            )
            losses = self.method.training_step(self.model, batch.to(self.device), step)
            self.collective.average_gradients(self.model.parameters(), batch.share)
            self._optimizer.step()
            self.heartbeat()
            yield losses, batch.share
