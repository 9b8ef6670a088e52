"""A training that goes on from another one's weights keeps its own rates, and is where it would be by itself."""

from __future__ import annotations

import warnings

import pytest
import torch

from raysearch.training import Trainer, decode, encode
from training.tiny import tiny_assignment, tiny_method

EPOCHS = 5


def trainer(lr: float, number: int) -> Trainer:
    return Trainer(tiny_method(lr=lr), tiny_assignment(EPOCHS), number=number)


@pytest.mark.parametrize("epochs", range(1, EPOCHS))
def test_weights_of_the_one_and_rates_of_the_other(epochs: int) -> None:
    donor, alone = trainer(0.1, 1), trainer(0.02, 2)
    for _ in range(epochs):
        donor.train_epoch()
        alone.train_epoch()
    state = decode(encode({"trainer": donor.state()}), "test")["trainer"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        taker = trainer(0.02, 2)
        taker.advance(epochs)
        taker.take_back(state)
    for name, value in donor.model.state_dict().items():
        assert torch.equal(taker.model.state_dict()[name], value)
    assert taker.epoch == alone.epoch
    ours, theirs, wanted = taker.state(), donor.state(), alone.state()
    assert ours["stage"] == wanted["stage"]
    assert [g["lr"] for g in ours["optimizer"]["param_groups"]] == [
        g["lr"] for g in wanted["optimizer"]["param_groups"]
    ]
    assert str(ours["optimizer"]["state"]) == str(theirs["optimizer"]["state"]), "momentum belongs to the weights"
    while alone.epoch < EPOCHS:
        alone.train_epoch()
        taker.train_epoch()
        rates = [group["lr"] for group in alone.state()["optimizer"]["param_groups"]]
        assert [group["lr"] for group in taker.state()["optimizer"]["param_groups"]] == rates
