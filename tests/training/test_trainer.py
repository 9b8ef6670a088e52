"""A training that was interrupted is the training that was not."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import numpy as np
import pytest
import torch

from raysearch.training import NonFiniteLossError, Trainer, decode, encode
from training.streamed import streamed_method
from training.tiny import tiny_assignment, tiny_method

EPOCHS = 4
THRESHOLDS = {"mask_threshold": 0.5}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trainer(number: int = 3, **config: Any) -> Trainer:
    return Trainer(tiny_method(**config), tiny_assignment(EPOCHS), number=number)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def losses(result: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in result.items() if name != "train_seconds"}


NOISY = {"dropout": 0.3, "noise": 0.5}


@pytest.mark.parametrize("cut", range(EPOCHS + 1))
def test_resumed_from_a_checkpoint_bit_for_bit(cut: int) -> None:
    calm = trainer(**NOISY)
    wanted = [losses(calm.train_epoch()) for _ in range(EPOCHS)]
    first = trainer(**NOISY)
    found = [losses(first.train_epoch()) for _ in range(cut)]
    checkpoint = encode({"trainer": first.state()})
    random.seed(99)  # another process
    np.random.seed(99)
    torch.manual_seed(99)
    second = trainer(**NOISY)
    second.evaluate(THRESHOLDS)
    second.load(decode(checkpoint, "test")["trainer"])
    assert second.epoch == cut
    assert equal(weights(second), weights(first))
    found += [losses(second.train_epoch()) for _ in range(cut, EPOCHS)]
    assert found == wanted
    assert equal(weights(second), weights(calm))
    assert second.evaluate(THRESHOLDS).score.metrics == calm.evaluate(THRESHOLDS).score.metrics


def test_an_evaluation_changes_nothing() -> None:
    calm, looked_at = trainer(**NOISY), trainer(**NOISY)
    for _ in range(EPOCHS):
        calm.train_epoch()
        looked_at.train_epoch()
        looked_at.evaluate(THRESHOLDS)
    assert equal(weights(calm), weights(looked_at))


def test_stages_freeze_what_they_do_not_train() -> None:
    under_test = trainer()
    moved = []
    for _ in range(EPOCHS):
        before = weights(under_test)
        result = under_test.train_epoch()
        after = weights(under_test)
        moved.append({name.split(".")[0] for name in before if not torch.equal(before[name], after[name])})
        trained = {n.split(".")[0] for n, p in under_test.model.named_parameters() if p.requires_grad}
        assert trained == ({"head"} if result["stage"] else {"body", "spare"})
    assert moved == [{"body"}, {"body"}, {"body"}, {"head"}]


def test_the_schedule_is_stepped_once_an_epoch() -> None:
    under_test = trainer()
    rates = []
    for _ in range(3):
        assert under_test._optimizer is not None
        rates.append(under_test._optimizer.param_groups[0]["lr"])
        under_test.train_epoch()
    assert rates == [0.1, 0.05, 0.05]


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    under_test = trainer(wish="diverge")
    under_test.train_epoch()
    with pytest.raises(NonFiniteLossError, match="non-finite loss in epoch 2"):
        under_test.train_epoch()


def test_a_method_without_training_is_evaluated_once() -> None:
    under_test = trainer(wish="nothing")
    assert under_test.epochs == 1
    before = weights(under_test)
    assert set(under_test.train_epoch()) == {"train_seconds"}
    assert equal(weights(under_test), before)
    again = trainer(wish="nothing")
    again.load(decode(encode({"trainer": under_test.state()}), "test")["trainer"])
    assert again.epoch == 1


def test_trials_begin_apart_and_each_as_itself() -> None:
    assert equal(weights(trainer(1)), weights(trainer(1)))
    assert not equal(weights(trainer(1)), weights(trainer(2)))


def test_an_epoch_is_what_it_is_written_to_be() -> None:
    """The first one by hand: the loader's batches, plain gradient descent with momentum and decay."""
    under_test = trainer()
    model = tiny_method().build()
    model.load_state_dict(weights(under_test))
    body = list(model["body"].parameters())  # type: ignore[index]
    velocity = [torch.zeros_like(p) for p in body]
    seen = []
    for batch in under_test.loaders[0].epoch(0):
        logits = tiny_method()._logits(model, batch.images)
        loss = torch.nn.functional.cross_entropy(logits, batch.labels)
        gradients = torch.autograd.grad(loss, body)
        with torch.no_grad():
            for p, v, g in zip(body, velocity, gradients, strict=True):
                v.mul_(0.9).add_(g + 0.01 * p)
                p.sub_(0.1 * v)
        seen.append(float(loss.detach()))
    result = under_test.train_epoch()
    assert result["loss"] == pytest.approx(np.mean(seen), rel=1e-5)
    for ours, theirs in zip(body, under_test.model["body"].parameters(), strict=True):  # type: ignore[index]
        torch.testing.assert_close(ours, theirs)


def streamed() -> Trainer:
    assignment = tiny_assignment(EPOCHS)
    assignment = dataclasses.replace(assignment, labelled=assignment.train[:8], annotated=assignment.train[:6])
    return Trainer(streamed_method(), assignment, number=3)


def test_every_stage_has_its_own_streams() -> None:
    under_test = streamed()
    steps, seen = [], []
    for _ in range(EPOCHS):
        steps.append(under_test.steps)
        seen.append(set(under_test.train_epoch()) - {"train_seconds", "loss"})
    assert steps == [2, 2, 2, 7]
    assert seen == [{"labels"}] * 3 + [{"labels", "others", "masked", "none"}]
    assert trainer().steps == 3
    assert trainer(wish="nothing").steps == 0


@pytest.mark.parametrize("cut", range(EPOCHS + 1))
def test_a_training_with_streams_is_resumed_bit_for_bit(cut: int) -> None:
    calm, first, second = streamed(), streamed(), streamed()
    wanted = [losses(calm.train_epoch()) for _ in range(EPOCHS)]
    found = [losses(first.train_epoch()) for _ in range(cut)]
    second.load(decode(encode({"trainer": first.state()}), "test")["trainer"])
    found += [losses(second.train_epoch()) for _ in range(cut, EPOCHS)]
    assert found == wanted
    assert equal(weights(second), weights(calm))
