"""What a worker can be told to do: take a trial, train an epoch of it, let it go. Commands in, plain data out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from raysearch.data import DataSpec, open_collection
from raysearch.method import Method, Task, load_method
from raysearch.thresholds import encode_counts
from raysearch.training._checkpoint import decode, encode
from raysearch.training._collective import Collective
from raysearch.training._evaluate import Rule
from raysearch.training._trainer import Assignment, Trainer


class Workload:
    """The commands of one study in one worker.

    Args:
        spec: ``method`` (name or ``package.module:Class``), ``data`` (canonical text), ``train`` and ``tuning`` (rows),
            ``seed``, ``epochs``, ``rule`` (fields of `Rule`).
    """

    def __init__(self, spec: Mapping[str, Any], *, device: torch.device, collective: Collective) -> None:
        self._method: type[Method] = load_method(spec["method"])
        collection = open_collection(DataSpec.parse(spec["data"]), self._method.view)
        self._task = Task(
            classes=collection.classes, view=collection.view, channels=collection.channels, size=collection.size
        )
        self._assignment = Assignment(
            collection=collection,
            train=spec["train"],
            tuning=spec["tuning"],
            seed=spec["seed"],
            epochs=spec["epochs"],
            rule=Rule(**spec["rule"]),
        )
        self._device = device
        self._collective = collective
        self._trainer: Trainer | None = None

    def run(self, name: str, payload: Any) -> Any:
        commands: dict[str, Callable[[Any], Any]] = {"start": self.start, "epoch": self.epoch, "end": self.end}
        return commands[name](payload)

    def start(self, payload: Mapping[str, Any]) -> dict[str, int]:
        """Takes a trial: ``number``, ``config`` (settings of the method), ``checkpoint`` (bytes, or None to begin)."""
        self._trainer = None  # the memory of a predecessor that was never let go
        method = self._method(self._method.Config(**payload["config"]), self._task)
        self._trainer = Trainer(
            method, self._assignment, number=payload["number"], device=self._device, collective=self._collective
        )
        if payload["checkpoint"] is not None:
            self._trainer.load(decode(payload["checkpoint"], f"checkpoint of trial {payload['number']}")["trainer"])
        return {"epoch": self._trainer.epoch, "epochs": self._trainer.epochs}

    def epoch(self, payload: Mapping[str, float]) -> dict[str, Any]:
        """Trains an epoch and evaluates it; `payload` holds the decision thresholds that the trial came with.

        Returns ``row`` (what is written to metrics.jsonl), ``evidence`` and ``checkpoint`` (bytes). The checkpoint
        holds the row too: whoever finds it on disk knows the evaluation that belongs to it.
        """
        trainer = self._trainer
        assert trainer is not None
        losses = trainer.train_epoch()
        evaluation = trainer.evaluate(payload)
        row = {
            "time": time.time(),
            "epoch": trainer.epoch,
            "value": evaluation.score.value,
            "metrics": evaluation.score.metrics,
            "thresholds": evaluation.score.thresholds,
            "losses": losses,
            "evaluate_seconds": evaluation.seconds,
            "finished": trainer.epoch >= trainer.epochs,
        }
        if self._collective.rank:
            return {}
        return {
            "row": row,
            "evidence": encode_counts(evaluation.observations.counts),
            "checkpoint": encode({"trainer": trainer.state(), "row": row}),
        }

    def end(self, payload: None) -> None:
        """Lets the trial go and gives its memory back."""
        del payload
        self._trainer = None
