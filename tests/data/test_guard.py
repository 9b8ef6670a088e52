"""What a search tries in order to learn of the test split, and does not."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training.tiny import Tiny, TinyConfig, tiny_assignment, tiny_collection

from data.test_loader import MULTI, PLAIN, loader_of
from raysearch.data import UNKNOWN, Collection, guard, make_split
from raysearch.data._loader import evaluation_batches
from raysearch.errors import RaysearchError
from raysearch.method import Batch, Step
from raysearch.study import task_of
from raysearch.training import Trainer

SPLIT = make_split(MULTI)
ALLOWED = np.concatenate([SPLIT.train, SPLIT.tuning])
TEST = SPLIT.test
SECRET = int(TEST[(MULTI.mask_row[TEST] >= 0).any(axis=1)][0])
"""A test image with a region."""
MASK = int(MULTI.mask_row[SECRET].max())
REFUSED = r"is outside the training and tuning splits: a search may read no other; ask for rows of those two"


@pytest.fixture
def guarded() -> Collection:
    return guard(MULTI, ALLOWED)


def test_what_is_allowed_is_unchanged(guarded: Collection) -> None:
    for name in ("labels", "truth", "mask_row", "images"):
        np.testing.assert_array_equal(getattr(guarded, name)[ALLOWED], getattr(MULTI, name)[ALLOWED])
        assert getattr(guarded, name).dtype == getattr(MULTI, name).dtype
        assert getattr(guarded, name).shape == getattr(MULTI, name).shape
    for row in ALLOWED.tolist():
        for label in np.flatnonzero(MULTI.truth[row] != UNKNOWN).tolist():
            np.testing.assert_array_equal(guarded.mask(row, label), MULTI.mask(row, label))
    assert (guarded.channels, guarded.size, len(guarded)) == (MULTI.channels, MULTI.size, len(MULTI))
    whole, view = (list(loader_of(data, SPLIT.train, 4, 0, PLAIN, pixel=True).epoch(0)) for data in (MULTI, guarded))
    for one, other in zip(whole, view, strict=True):
        for name in ("images", "labels", "masks", "truth", "index"):
            assert torch.equal(getattr(one, name), getattr(other, name))


def test_labels_and_truth_of_others_are_unknown_copies(guarded: Collection) -> None:
    assert (guarded.labels[TEST] == UNKNOWN).all()
    assert (guarded.truth[TEST] == UNKNOWN).all()
    assert (guarded.mask_row[TEST] == -1).all()
    for name in ("labels", "truth", "mask_row"):
        assert getattr(guarded, name).base is not getattr(MULTI, name)
        assert not np.shares_memory(getattr(guarded, name), getattr(MULTI, name))
    assert guarded.folder == ""
    with pytest.raises(ValueError, match="is unknown"):
        guarded.mask(SECRET, int(MULTI.mask_row[SECRET].argmax()))


@pytest.mark.parametrize(
    "look",
    [
        lambda data: data.images[SECRET],
        lambda data: data.images[SECRET - len(MULTI)],
        lambda data: data.images[np.int32(SECRET), 0, :4],
        lambda data: data.images[TEST],
        lambda data: data.images[[int(ALLOWED[0]), SECRET]],
        lambda data: data.images[SECRET : SECRET + 1],
        lambda data: data.images[::-1],
        lambda data: data.images[...],
        lambda data: data.images[..., 0],
        lambda data: data.images[None],
        lambda data: data.images[()],
        lambda data: data.images[np.ones(len(MULTI), bool)],
        lambda data: np.asarray(data.images),
        lambda data: np.stack(list(data.images)),
        lambda data: data.masks[MASK],
        lambda data: data.masks[MASK - len(MULTI.masks)],
        lambda data: data.masks[:],
        lambda data: np.array(data.masks),
        lambda data: list(reversed(data.masks)),
    ],
)
def test_images_and_masks_of_others_are_refused(guarded: Collection, look: Callable[[Collection], Any]) -> None:
    with pytest.raises(RaysearchError, match=REFUSED):
        look(guarded)


def test_a_mask_that_belongs_to_no_image_is_refused() -> None:
    orphan = dataclasses.replace(MULTI, mask_row=np.where(MULTI.mask_row == MASK, -1, MULTI.mask_row))
    with pytest.raises(RaysearchError):
        guard(orphan, ALLOWED).masks[MASK]


def test_the_loader_and_the_evaluation_refuse_test_rows(guarded: Collection) -> None:
    with pytest.raises(RaysearchError, match=REFUSED) as error:
        list(loader_of(guarded, np.append(SPLIT.train, SECRET), 4, 0, PLAIN, pixel=True).epoch(0))
    assert f"image '{MULTI.image_ids[SECRET]}'" in str(error.value)
    with pytest.raises(RaysearchError, match=REFUSED):
        list(evaluation_batches(guarded, TEST, 4))


class Strange(Tiny):
    """Writes down what it is given to train on."""

    seen: list[int]

    def training_step(self, model: nn.Module, batch: Batch, step: Step) -> dict[str, Tensor]:
        self.seen += batch.index.tolist()
        return super().training_step(model, batch, step)


def test_a_training_reads_train_and_tuning_alone() -> None:
    assignment, whole = tiny_assignment(epochs=2), tiny_collection()
    train, tuning, test = assignment.train[:7], assignment.tuning, assignment.train[7:]
    method = Strange(TinyConfig(), task_of(whole))
    method.seen = []
    mine = dataclasses.replace(
        assignment, collection=guard(whole, np.concatenate([train, tuning])), train=train, tuning=tuning
    )
    trainer = Trainer(method, mine, number=0)
    trainer.train_epoch()
    trainer.evaluate({"mask_threshold": 0.5})
    assert sorted(method.seen) == train.tolist()
    for wrong, step in (({"train": test}, Trainer.train_epoch), ({"tuning": test}, evaluated)):
        trainer = Trainer(method, dataclasses.replace(mine, **wrong), number=0)
        with pytest.raises(RaysearchError, match=REFUSED):
            step(trainer)


def evaluated(trainer: Trainer) -> None:
    trainer.evaluate({"mask_threshold": 0.5})


def test_the_view_does_not_hold_the_whole_collection() -> None:
    """As a method would that goes through every object of the process."""
    guarded = guard(tiny_collection(), np.arange(20))
    gc.collect()
    found = [thing for thing in gc.get_objects() if type(thing) is Collection and thing.source == "tiny"]
    assert all((thing.labels[20:] == UNKNOWN).all() for thing in found)
    assert any(thing is guarded for thing in found)
