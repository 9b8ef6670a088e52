"""What the engine relies on in the work that trials share, as tests; `MethodContract` has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from raysearch.data._pool import pool_of
from raysearch.method import Outcome, Upstream, upstream_plan
from raysearch.testing._steps import Suite, make, watch
from raysearch.testing._synthetic import synthetic_task
from raysearch.testing._synthetic_collection import synthetic_assignment
from raysearch.training import Assignment, Trainer
from raysearch.training._upstream import PoolImages, UpstreamTrainer, decode_outcome, encode_outcome


class UpstreamContract(Suite):
    """Base of `MethodContract`; passes at once for a method without upstream work."""

    upstream_epochs: ClassVar[int] = 10
    """Epochs over 24 images after which the loss of an upstream network has to be lower."""

    def test_upstream_reads_the_settings_that_it_names(self) -> None:
        for upstream, outcome in _run(self, _assignment(self), watched=True).items():
            assert outcome, f"{upstream} leaves nothing"

    def test_upstream_loss_falls(self) -> None:
        outcomes = _run(self, _assignment(self))
        for upstream in _upstream(self):
            if not list(upstream.stages(self.upstream_epochs)):
                continue
            upstream.outcomes = {name: outcomes[name] for name in upstream.inputs}
            for stage, losses in _losses(upstream, replace(_assignment(self), epochs=self.upstream_epochs)).items():
                assert len(losses) < 2 or losses[-1] < losses[0], (
                    f"{upstream.name}, stage {stage}: the mean loss went from {losses[0]:.4g} to {losses[-1]:.4g}"
                )

    def test_upstream_outcomes_are_equal_and_survive_a_file(self) -> None:
        first, second = (_run(self, _assignment(self)) for _ in range(2))
        for name, outcome in first.items():
            stored = decode_outcome(encode_outcome(outcome, "key"), "key", name)
            for other in (second[name], stored):
                assert outcome.keys() == other.keys()
                for part, value in outcome.items():
                    assert torch.equal(value, other[part]), f"{part} of {name} differs"

    def test_upstream_where_all_or_no_images_are_annotated(self) -> None:
        given = _assignment(self)
        trained = _run(self, given)
        none = np.zeros(0, np.int64)
        for annotated in (given.train, none):
            outcomes: dict[str, Outcome] = {}
            for upstream in _upstream(self):
                upstream.outcomes = {name: outcomes[name] for name in upstream.inputs}
                torch.manual_seed(0)
                model = upstream.build().eval()
                pool = pool_of(given.collection, given.train, annotated)
                outcomes[upstream.name] = upstream.outcome(
                    model, PoolImages(given.collection, pool, torch.device("cpu"))
                )
                assert outcomes[upstream.name].keys() == trained[upstream.name].keys()

    def test_trains_on_upstream_outcomes(self) -> None:
        given = replace(_assignment(self), epochs=12)
        outcomes = _run(self, given)
        if not outcomes:
            return
        method = make(self)
        method.outcomes = _Read(outcomes, self.method.name, self.method.inputs(method.config))
        trainer = Trainer(method, given, number=0)
        begun = 0
        for stage in trainer.stages:
            if begun:
                trainer.advance(begun)
            assert trainer.train_epoch()  # NonFiniteLossError if a loss is not finite
            begun += stage.epochs
        bare = make(self).build()
        bare.load_state_dict(trainer.model.state_dict())  # as an export does, without outcomes


class _Read(Mapping[str, Outcome]):
    """The outcomes that a training is given, `inputs`; it must not ask for others of what is there."""

    def __init__(self, outcomes: Mapping[str, Outcome], method: str, inputs: Sequence[str]) -> None:
        self._given = {name: outcomes[name] for name in inputs}
        self._others = outcomes.keys() - self._given.keys()
        self._method = method

    def __getitem__(self, name: str) -> Outcome:
        assert name not in self._others, f"{self._method} reads the outcome of {name}, which its inputs do not name"
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


def _assignment(suite: Suite) -> Assignment:
    return synthetic_assignment(suite.method)


def _upstream(suite: Suite, *, watched: bool = False) -> list[Upstream]:
    config, task = suite.method.Config(**suite.config), synthetic_task(suite.method)
    made: list[Upstream] = []
    named: dict[str, set[str]] = {}
    for kind in suite.method.upstream(config):
        named[kind.name] = set(kind.fields).union(*(named[name] for name in kind.inputs))
        fields = {field.name for field in dataclasses.fields(config)}
        refused = f"{kind.name} reads Config.{{}}, which its fields do not name"
        made.append(kind(watch(config, fields - named[kind.name], refused) if watched else config, task))
    return made


def _run(suite: Suite, assignment: Assignment, *, watched: bool = False) -> dict[str, Outcome]:
    """The outcomes of all upstream work after one epoch of each."""
    config = suite.method.Config(**suite.config)
    works = upstream_plan(suite.method, config, assignment.seed)
    outcomes: dict[str, Outcome] = {}
    for upstream, work in zip(_upstream(suite, watched=watched), works, strict=True):
        upstream.outcomes = {name: outcomes[name] for name in upstream.inputs}
        trainer = UpstreamTrainer(upstream, assignment, key=work["key"])
        if trainer.epochs:
            trainer.train_epoch()
        outcomes[upstream.name] = trainer.outcome()
    return outcomes


def _losses(upstream: Upstream, assignment: Assignment) -> dict[str, list[float]]:
    """Mean loss of each epoch, by stage."""
    trainer = Trainer(upstream, assignment, number=0)
    return {stage.name: [trainer.train_epoch()["loss"] for _ in range(stage.epochs)] for stage in trainer.stages}
