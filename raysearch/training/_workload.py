"""What a worker can be told to do: take a trial, train an epoch of it, let it go. Commands in, plain data out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from raysearch.alternation import facts
from raysearch.data import guard, reopen_collection
from raysearch.method import LossThreshold, Method, load_method, upstream_plan
from raysearch.thresholds import encode_evidence, find_metric
from raysearch.training._checkpoint import decode, encode
from raysearch.training._collective import Collective
from raysearch.training._evaluate import Rule
from raysearch.training._heartbeat import Heartbeat, unheard
from raysearch.training._parking import Parking
from raysearch.training._score import kept_by
from raysearch.training._task import training_task
from raysearch.training._trainer import Assignment, Trainer
from raysearch.training._upstream import REMEDY, Outcomes, UpstreamTrainer, decode_outcome, encode_outcome


class Workload:
    """The commands of one study in one worker.

    Args:
        spec: ``method`` (name or ``package.module:Class``), ``data`` (canonical text) and its ``fingerprint``,
            ``origin`` (of the evidence, in words), ``train`` and ``tuning`` (rows), ``labelled`` and ``annotated``
            (rows of train whose labels, and whose regions, the method may see), ``seed``, ``epochs``, ``rule`` (fields
            of `Rule`).
        heartbeat: called after every training step and every batch that is evaluated.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        *,
        device: torch.device,
        collective: Collective,
        heartbeat: Heartbeat = unheard,
    ) -> None:
        self._method: type[Method] = load_method(spec["method"])
        rows = np.concatenate([spec["train"], spec["tuning"]])
        collection = guard(reopen_collection(spec["data"], self._method.view, spec["fingerprint"]), rows)
        self._task = training_task(collection, spec["labelled"])
        self._assignment = Assignment(
            collection=collection,
            train=spec["train"],
            tuning=spec["tuning"],
            seed=spec["seed"],
            epochs=spec["epochs"],
            rule=Rule(**spec["rule"]),
            annotated=spec["annotated"],
            labelled=spec["labelled"],
        )
        self._origin: str = spec["origin"]
        self._device = device
        self._collective = collective
        self._heartbeat = heartbeat
        self._parking = Parking(device)
        self._outcomes = Outcomes()
        self._upstream: UpstreamTrainer | None = None
        self._trainer: Trainer | None = None
        self._round: dict[str, Any] | None = None
        self._moved: list[LossThreshold] = []
        self._exploited: dict[str, Any] | None = None

    def run(self, name: str, payload: Any) -> Any:
        commands: dict[str, Callable[[Any], Any]] = {
            "start": self.start,
            "epoch": self.epoch,
            "park": self.park,
            "end": self.end,
            "lacking": self._outcomes.lacking,
            "hold": self.hold,
            "upstream": self.upstream,
            "upstream_epoch": self.upstream_epoch,
            "upstream_outcome": self.upstream_outcome,
        }
        return commands[name](payload)

    def start(self, payload: Mapping[str, Any]) -> bool:
        """Takes a trial.

        `payload`: ``number``; ``config``, settings of the method; ``epoch``, epochs that it has behind it;
        ``checkpoint``, bytes of its last one, or None if there is none, or if it may be parked here; ``kept``, bytes of
        the checkpoint whose weights are to be taken back, or None; ``round``, None, or the round of an alternation
        that it is in (the `plan` of `raysearch.alternation.facts`); ``exploited``, None, or what it took over from
        another trial (``epoch``: after which it did; `checkpoint` is the other one's if it is at that epoch);
        ``outcomes``, by name the keys of those that it reads, which this worker holds.

        Returns whether it could be taken: not without a checkpoint if it has epochs behind it and is not parked here.
        """
        self._trainer = self._upstream = None  # the memory of a predecessor that was never let go
        self._round = payload["round"]
        self._moved = [t for t in self._method.loss_thresholds if self._round and t.name in self._round["thresholds"]]
        self._exploited = payload["exploited"]
        number, epoch = payload["number"], payload["epoch"]
        settings = {**payload["config"], **(self._round["thresholds"] if self._round else {})}
        config = self._method.Config(**settings)
        upstream_plan(self._method, config, self._assignment.seed)  # the driver leaves what it refuses for the trial
        method = self._method(config, self._task)
        method.outcomes = {name: self._outcomes[key] for name, key in payload["outcomes"].items()}
        trainer = self._parking.take(number, epoch) if payload["checkpoint"] is None else None
        if trainer is not None:
            trainer.method = method
        elif epoch and payload["checkpoint"] is None:
            return False
        else:
            trainer = Trainer(
                method,
                self._assignment,
                number=number,
                device=self._device,
                collective=self._collective,
                heartbeat=self._heartbeat,
            )
            if payload["checkpoint"] is not None:
                self._parking.drop(number)
                state = decode(payload["checkpoint"], f"checkpoint of trial {number}")["trainer"]
                if self._exploited is not None and self._exploited["epoch"] == epoch:
                    trainer.advance(epoch)
                    trainer.take_back(state)
                else:
                    trainer.load(state)
        if payload["kept"] is not None:
            trainer.take_back(decode(payload["kept"], f"kept checkpoint of trial {number}")["trainer"])
        self._trainer = trainer
        return True

    def epoch(self, payload: Mapping[str, float]) -> dict[str, Any]:
        """Trains an epoch and evaluates it; `payload` holds the decision thresholds that the trial came with.

        Returns ``row`` (what is written to metrics.jsonl), ``evidence`` and ``checkpoint`` (bytes). The checkpoint
        holds the row too: whoever finds it on disk knows the evaluation that belongs to it.
        """
        trainer = self._trainer
        assert trainer is not None
        losses = trainer.train_epoch()
        evaluation = trainer.evaluate(payload)
        finished = trainer.epoch >= trainer.epochs
        row = {
            "time": time.time(),
            "epoch": trainer.epoch,
            **evaluation.score.row(),
            "losses": losses,
            "evaluate_seconds": evaluation.seconds,
            "last_stage": trainer.in_last_stage,
            "finished": finished,
        }
        if self._round is not None:
            row["alternation"] = facts(
                self._round,
                epoch=trainer.epoch,
                finished=finished,
                value=kept_by(evaluation.score, find_metric(self._assignment.rule.metric), self._moved),
                stage_ends=trainer.stage_ends,
            )
        if self._exploited is not None:
            row["exploited"] = self._exploited
        if self._collective.rank:
            return {}
        return {
            "row": row,
            "evidence": encode_evidence(evaluation.observations.evidence, self._origin),
            "checkpoint": encode({"trainer": trainer.state(), "row": row}),
        }

    def park(self, payload: None) -> None:
        """Lets the trial go until its next round, which may begin in this worker or in another."""
        del payload
        if self._trainer is not None:
            self._parking.park(self._trainer)
        self._trainer = None

    def end(self, payload: None) -> None:
        """Lets the trial go and gives its memory back."""
        del payload
        if self._trainer is not None:
            self._parking.drop(self._trainer.number)
        self._trainer = self._upstream = None

    def hold(self, payload: Mapping[str, Any]) -> None:
        """Keeps an outcome for the trials to come: ``key``, ``outcome`` (bytes) and ``where`` they were read from."""
        key = payload["key"]
        self._outcomes.hold(key, decode_outcome(payload["outcome"], key, payload["where"]))

    def upstream(self, payload: Mapping[str, Any]) -> dict[str, int]:
        """Takes upstream work.

        `payload`: ``name`` and ``key``; ``config``, settings of a trial that needs it; ``inputs``, by name the keys of
        outcomes that this worker holds; ``checkpoint``, bytes of its last one or None, and ``where`` it was read from.

        Returns the epochs that it has behind it (``epoch``) and those in all (``epochs``).
        """
        self._trainer = self._upstream = None
        config = self._method.Config(**payload["config"])
        (kind,) = (u for u in self._method.upstream(config) if u.name == payload["name"])
        upstream = kind(config, self._task)
        upstream.outcomes = {name: self._outcomes[key] for name, key in payload["inputs"].items()}
        trainer = UpstreamTrainer(
            upstream,
            self._assignment,
            key=payload["key"],
            device=self._device,
            collective=self._collective,
            heartbeat=self._heartbeat,
        )
        if payload["checkpoint"] is not None:
            trainer.load(decode(payload["checkpoint"], payload["where"], REMEDY)["trainer"])
        self._upstream = trainer
        return {"epoch": trainer.epoch, "epochs": trainer.epochs}

    def upstream_epoch(self, payload: None) -> dict[str, Any]:
        """Trains an epoch of the upstream work: ``checkpoint`` (bytes)."""
        del payload
        assert self._upstream is not None
        self._upstream.train_epoch()
        return {} if self._collective.rank else {"checkpoint": encode({"trainer": self._upstream.state()})}

    def upstream_outcome(self, payload: None) -> dict[str, Any]:
        """Ends the upstream work: ``outcome`` (bytes). Every worker computes it, and waits for none meanwhile; what all
        of them go on with is the first one's."""
        del payload
        assert self._upstream is not None
        trainer, self._upstream = self._upstream, None
        outcome = trainer.outcome()
        return {} if self._collective.rank else {"outcome": encode_outcome(outcome, trainer.key)}
