from __future__ import annotations

import math
import weakref
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from methods.minmax_entropy import MinMaxEntropy
from methods.minmax_entropy._config import Erasing
from methods.minmax_entropy.erasing import Localize, Mined, mine, trust
from raysearch.method import Step
from raysearch.testing import synthetic_batch, synthetic_task


def backpropagate(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def toy_localizer(seed: int) -> Localize:
    """Erratic logits that favour class 0, a mask that varies over the image; each image is answered alone."""
    generator = torch.Generator().manual_seed(seed)
    favour = torch.tensor([1.5, 0.0, 0.0], dtype=torch.float64)
    w = 2 * torch.randn(3, 12, generator=generator, dtype=torch.float64)
    v = torch.randn(12, 12, generator=generator, dtype=torch.float64)

    def localize(images: Tensor) -> tuple[Tensor, Tensor]:
        flat = images.flatten(1)
        return favour + torch.sin(flat @ w.T), torch.sigmoid(flat @ v.T).view(-1, 1, 3, 4).detach()

    return localize


def slow_pass(localize: Localize, image: Tensor, label: int) -> tuple[float, bool, Tensor]:
    logits, mask = localize(image[None])
    weights = [math.exp(s) for s in logits[0].tolist()]
    return weights[label] / sum(weights), max(range(3), key=weights.__getitem__) == label, mask[0]


def slow_algorithm_1(
    localize: Localize, image: Tensor, label: int, u: int, sigma: float, *, default: bool
) -> tuple[Tensor, float]:
    """One sample through Algorithm 1, to the letter or in the default reading; R* and the sum of eq. 7."""
    mined, total, first = torch.zeros(1, 3, 4, dtype=torch.float64), 0.0, math.inf
    for t in range(u + 1):
        p, correct, mask = slow_pass(localize, image, label)
        loss = -math.log(p)
        first = loss if t == 0 else first
        psi = math.exp(-t / sigma) * p if correct and loss <= first else 0.0
        if psi == 0:
            return (mask, loss) if default and t == 0 else (mined, total)
        mined = torch.maximum(mined, psi * mask)
        total += loss
        image = image * (1 - mined)
    return mined, total


def slow_released(
    localize: Localize, images: Tensor, labels: list[int], u: int, sigma: float
) -> tuple[list[Tensor], float]:
    """A batch as in the authors' code; R* a sample and the mean over samples of eq. 7, summed over passes."""
    count = len(labels)
    history, first, total = [True] * count, [0.0] * count, 0.0
    mined = [torch.zeros(1, 3, 4, dtype=torch.float64) for _ in labels]
    current = list(images)
    for t in range(u):
        if not any(history):
            break
        for i, label in enumerate(labels):
            p, correct, mask = slow_pass(localize, current[i], label)
            loss = -math.log(p)
            total += loss / count
            first[i] = loss if t == 0 else first[i]
            history[i] = history[i] and correct
            psi = math.exp(-t / sigma) * p if history[i] and loss <= first[i] else 0.0
            mined[i] = torch.maximum(mined[i], psi * mask)
            if psi:
                current[i] = current[i] * (1 - mined[i])
    return mined, total


def run(localize: Localize, images: Tensor, labels: Tensor, **settings: Any) -> Mined:
    chosen: dict[str, Any] = {"reading": "default", "u": 3, "sigma": 10.0, "start": 0, "epoch": 0, **settings}
    return mine(localize, images, labels, backward=lambda loss: None, **chosen)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 5), st.sampled_from([1.0, 10.0]))
def test_readings_match_per_sample_loops(seed: int, u: int, sigma: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(5, 1, 3, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (5,), generator=generator)
    localize = toy_localizer(seed)
    for reading in ("default", "literal"):
        found = run(localize, images, labels, reading=reading, u=u, sigma=sigma)
        slow = [
            slow_algorithm_1(localize, x, y, u, sigma, default=reading == "default")
            for x, y in zip(images, labels.tolist(), strict=True)
        ]
        torch.testing.assert_close(found.mask, torch.stack([mask for mask, _ in slow]))
        assert math.isclose(float(found.loss), sum(loss for _, loss in slow) / 5, abs_tol=1e-9)
        assert 1 <= found.passes <= u + 1
    if u > 0:
        released = run(localize, images, labels, reading="released", u=u, sigma=sigma)
        masks, total = slow_released(localize, images, labels.tolist(), u, sigma)
        torch.testing.assert_close(released.mask, torch.stack(masks))
        assert math.isclose(float(released.loss), total, abs_tol=1e-9)
        assert 1 <= released.passes <= u


def test_trust_is_eq_11_and_12() -> None:
    psi = trust(
        torch.tensor([0.9, 0.6, 0.8]),
        torch.tensor([True, False, True]),
        torch.tensor([0.1, 0.5, 0.2]),
        torch.tensor([0.1, 0.5, 0.1]),
        t=3,
        sigma=10.0,
    )
    torch.testing.assert_close(psi, torch.tensor([0.9 * math.exp(-0.3), 0.0, 0.0]))


def test_mined_regions_only_grow_with_depth() -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(6, 1, 3, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
    masks = [run(toy_localizer(3), images, labels, reading="literal", u=u).mask for u in range(5)]
    for smaller, larger in pairwise(masks):
        assert (larger >= smaller).all()
        assert larger.max() <= 1
    assert (masks[-1] > masks[0]).any()


class Misclassified:
    """Sample 0 is classified correctly, sample 1 wrongly; gradients of eq. 7 by sample tell who counted."""

    labels = torch.tensor([0, 1])
    mask = torch.tensor([0.2, 0.7])[:, None, None, None].expand(2, 1, 3, 4)

    def __init__(self) -> None:
        self.scores = torch.tensor([[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]], requires_grad=True)
        self.seen: list[Tensor] = []

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(images)
        return self.scores * 1.0, self.mask

    def mine(self, **settings: Any) -> Mined:
        chosen: dict[str, Any] = {"u": 2, "sigma": 10.0, "start": 1, "epoch": 1, **settings}
        return mine(self, torch.ones(2, 1, 3, 4), self.labels, backward=backpropagate, **chosen)

    def counted(self) -> list[float]:
        """How many times each sample's eq. 7 entered, from the gradient on its scores."""
        assert self.scores.grad is not None
        once = (self.scores.detach().softmax(1) - torch.eye(3)[self.labels]) / 2
        ratio = self.scores.grad.norm(dim=1) / once.norm(dim=1)
        return [float(times) for times in ratio]


P = math.exp(2) / (math.exp(2) + 2)


def test_misclassified_sample_in_the_default_reading() -> None:
    case = Misclassified()
    found = case.mine(reading="default")
    assert found.passes == 3
    torch.testing.assert_close(found.mask[1], case.mask[1])  # falls back to R+ of t = 0
    torch.testing.assert_close(found.mask[0], P * case.mask[0])
    assert case.counted() == pytest.approx([3, 1])
    assert (case.seen[-1][1] == 1).all(), "an untrusted sample is not erased"
    assert (case.seen[-1][0] < 1).all()


def test_misclassified_sample_in_the_literal_reading() -> None:
    case = Misclassified()
    found = case.mine(reading="literal", epoch=0)  # Algorithm 1 erases from the first epoch on
    assert found.passes == 3
    assert (found.mask[1] == 0).all()
    torch.testing.assert_close(found.mask[0], P * case.mask[0])
    assert case.counted() == pytest.approx([3, 0])


def test_misclassified_sample_in_the_released_reading() -> None:
    case = Misclassified()
    found = case.mine(reading="released")
    assert found.passes == 2
    assert (found.mask[1] == 0).all()
    assert case.counted() == pytest.approx([2, 2])


@pytest.mark.parametrize("reading", ["default", "released"])
def test_plain_before_erasing_starts(reading: Erasing) -> None:
    case = Misclassified()
    found = case.mine(reading=reading, epoch=0)
    assert found.passes == 1
    assert torch.equal(found.mask, case.mask)
    assert case.counted() == pytest.approx([1, 1])


def test_released_without_depth_is_plain_and_the_others_trust() -> None:
    case = Misclassified()
    assert torch.equal(case.mine(reading="released", u=0).mask, case.mask)
    torch.testing.assert_close(Misclassified().mine(reading="literal", u=0).mask[0], P * case.mask[0])


def test_released_forgives_a_rise_of_the_loss_but_not_a_wrong_label() -> None:
    scores = iter([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [3.0, 0.0, 0.0]])

    def localize(images: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tensor([next(scores)]), torch.full((1, 1, 3, 4), 0.5)

    found = run(localize, torch.ones(1, 1, 3, 4), torch.tensor([0]), reading="released", u=3)
    third = math.exp(-0.2) * math.exp(3) / (math.exp(3) + 2) * 0.5
    torch.testing.assert_close(found.mask.max(), torch.tensor(max(third, P * 0.5)))
    assert found.passes == 3


def test_the_batch_stops_when_no_sample_is_trusted() -> None:
    def localize(images: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tensor([[0.0, 1.0, 0.0]]), torch.full((1, 1, 3, 4), 0.5)

    assert run(localize, torch.ones(1, 1, 3, 4), torch.tensor([0]), u=6).passes == 1


class Kept:
    """A tensor that a graph saved for its backward pass."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@pytest.mark.parametrize("reading", ["default", "literal", "released"])
def test_no_pass_keeps_the_graph_of_another(reading: Erasing) -> None:
    config = MinMaxEntropy.Config(
        backbone="resnet10_slim", weights="random", output_stride=8, u=4, erasing=reading, erasing_start=0, dropout=0.0
    )
    method = MinMaxEntropy(config, synthetic_task(MinMaxEntropy))
    torch.manual_seed(0)
    model: Any = method.build().train()
    kept: weakref.WeakSet[Kept] = weakref.WeakSet()
    alive: list[int] = []
    passes = model.localize

    def localize(inputs: Tensor, *, erased: bool = False) -> Any:
        alive.append(len(kept))
        return passes(inputs, erased=erased)

    model.localize = localize

    def save(tensor: Tensor) -> Kept:
        box = Kept(tensor)
        kept.add(box)
        return box

    batch = synthetic_batch(MinMaxEntropy, method.task)
    # labels that the untrained localizer happens to predict, so that it is trusted and goes on
    predicted = passes(model.normalize(batch.images))[0].argmax(1)
    batch = replace(batch, labels=predicted)
    step = Step(epoch=0, stage="train", generator=torch.Generator(), backward=backpropagate)
    with torch.autograd.graph.saved_tensors_hooks(save, lambda box: box.tensor):
        losses = method.training_step(model, batch, step)
    assert losses["passes"] >= 2, "the case has to recurse"
    assert alive == [0] * len(alive)
    assert len(kept) == 0


def test_step_losses_add_up_and_the_mask_stops_the_gradient() -> None:
    config = MinMaxEntropy.Config(backbone="resnet10_slim", weights="random", output_stride=8, u=1, erasing_start=0)
    method = MinMaxEntropy(config, synthetic_task(MinMaxEntropy))
    torch.manual_seed(0)
    model: Any = method.build().train()
    calls: list[Tensor] = []

    def backward(loss: Tensor) -> None:
        model.zero_grad()
        backpropagate(loss)
        calls.append(model.localizer.maps.weight.grad)

    batch = synthetic_batch(MinMaxEntropy, method.task)
    losses = method.training_step(
        model, batch, Step(epoch=0, stage="train", generator=torch.Generator(), backward=backward)
    )
    parts = losses["loss_positive"] + losses["loss_negative"] + losses["loss_localizer"]
    torch.testing.assert_close(losses["loss"], parts)
    # eq. 3 and 5 come last and never reach the localizer's head
    assert calls[-1] is None
    assert calls[-2] is None
    assert all(grad is not None for grad in calls[:-2])
