"""Losses of MultiMix and MixMatch against slow arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.nn import functional as F

from methods.multimix.losses import bernoulli_divergence, channel_divergence, dice_loss, pseudo_label_loss
from methods.multimix.mixmatch import consistency_loss, mix_up, mixed_label_loss, ramp_up, sharpen

T = torch.tensor([0.7, 0.7], dtype=torch.float64)


def logits_of(*first: float) -> torch.Tensor:
    """(N, 2) logits whose softmax has these first probabilities."""
    return torch.tensor([[math.log(p), math.log(1 - p)] for p in first], dtype=torch.float64)


def test_pseudo_labels_are_kept_from_t_on_and_divided_by_all() -> None:
    weak, strong = logits_of(0.75, 0.2, 0.5), logits_of(0.6, 0.9, 0.5)
    losses, sure = pseudo_label_loss(weak, strong, T)
    assert sure.tolist() == [True, True, False]
    assert losses.tolist() == pytest.approx([-math.log(0.6), -math.log(0.1), 0.0])


def test_the_threshold_is_closed() -> None:
    weak = torch.tensor([[2.0, 0.5]], dtype=torch.float64)
    confidence = weak.softmax(1)[0, 0]
    for t, kept in ((confidence, True), (torch.nextafter(confidence, torch.tensor(1.0)), False)):
        _, sure = pseudo_label_loss(weak, weak, torch.stack((t, torch.zeros_like(t))))
        assert sure.tolist() == [kept]


def test_each_class_has_its_own_confidence() -> None:
    weak = logits_of(0.8, 0.2)
    _, sure = pseudo_label_loss(weak, weak, torch.tensor([0.9, 0.6], dtype=torch.float64))
    assert sure.tolist() == [False, True]


def test_a_pseudo_label_carries_no_gradient() -> None:
    weak, strong = logits_of(0.9).requires_grad_(), logits_of(0.6).requires_grad_()
    pseudo_label_loss(weak, strong, T)[0].sum().backward()
    assert weak.grad is None
    assert strong.grad is not None
    assert strong.grad.abs().sum() > 0


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 2), st.integers(0, 2**20))
def test_dice_is_its_sum(count: int, classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(count, classes, 3, 4, generator=generator, dtype=torch.float64)
    target = (torch.rand(count, classes, 3, 4, generator=generator) < 0.5).double()
    found = dice_loss(logits, target)
    for n in range(count):
        for k in range(classes):
            s = [1 / (1 + math.exp(-x)) for x in logits[n, k].flatten().tolist()]
            g = target[n, k].flatten().tolist()
            slow = 1 - (2 * sum(a * b for a, b in zip(s, g, strict=True)) + 1) / (sum(s) + sum(g) + 1)
            assert float(found[n, k]) == pytest.approx(slow)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(-6, 6), st.floats(-6, 6)), min_size=1, max_size=6))
def test_divergence_is_that_of_each_pixel(pairs: list[tuple[float, float]]) -> None:
    one, other = (torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1) for values in zip(*pairs, strict=True))
    slow = 0.0
    for a, b in pairs:
        p, q = 1 / (1 + math.exp(-a)), 1 / (1 + math.exp(-b))
        slow += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert float(bernoulli_divergence(one, other)) == pytest.approx(slow / len(pairs), abs=1e-9)
    assert float(bernoulli_divergence(one, other)) >= -1e-12
    assert float(bernoulli_divergence(one, one)) == 0.0


def test_divergence_is_finite_where_probabilities_are_0_or_1() -> None:
    sure = torch.full((1, 1, 2, 2), 200.0)
    assert float(bernoulli_divergence(sure, -sure)) == pytest.approx(200.0)


def test_the_released_divergence_of_one_channel_is_0_and_teaches_nothing() -> None:
    one, other = (3 * torch.randn(4, 1, 5, 5)).requires_grad_(), (3 * torch.randn(4, 1, 5, 5)).requires_grad_()
    found = channel_divergence(one, other)
    assert found.tolist() == [0.0] * 4
    found.sum().backward()
    for side in (one, other):
        assert side.grad is not None
        assert not side.grad.any()
    assert float(bernoulli_divergence(one, other).detach().min()) > 0


def test_the_released_divergence_of_two_channels_is_that_of_their_softmax() -> None:
    one, other = torch.randn(2, 2, 3, 3, dtype=torch.float64), torch.randn(2, 2, 3, 3, dtype=torch.float64)
    p, q = one.softmax(1), other.softmax(1)
    torch.testing.assert_close(channel_divergence(one, other), (p * (p / q).log()).sum(1).mean((1, 2)))


def test_sharpening() -> None:
    p = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64)
    squares = [0.36, 0.09, 0.01]
    assert sharpen(p, 0.5)[0].tolist() == pytest.approx([x / sum(squares) for x in squares])
    torch.testing.assert_close(sharpen(p, 1.0), p)
    # at a low temperature the largest takes all, without 0 / 0
    assert sharpen(torch.full((1, 4), 0.25), 1e-3)[0].tolist() == pytest.approx([0.25] * 4)
    assert sharpen(p, 1e-3)[0].tolist() == pytest.approx([1.0, 0.0, 0.0])


def test_a_mixed_image_is_more_itself_than_its_partner() -> None:
    values, partners = torch.ones(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    found = mix_up(values, partners, torch.tensor([0.2, 0.5, 0.9]))
    assert found[:, 0, 0, 0].tolist() == pytest.approx([0.8, 0.5, 0.9])
    assert mix_up(torch.eye(2), torch.eye(2).flip(0), torch.tensor([0.3, 0.3])).sum(1).tolist() == pytest.approx([1, 1])


def test_mixmatch_losses_are_their_equations() -> None:
    logits = torch.randn(5, 3, dtype=torch.float64)
    target = torch.rand(5, 3, dtype=torch.float64).softmax(1)
    torch.testing.assert_close(mixed_label_loss(logits, target), F.cross_entropy(logits, target, reduction="none"))
    p = logits.softmax(1).tolist()
    slow = [sum((p[n][k] - float(target[n, k])) ** 2 for k in range(3)) / 3 for n in range(5)]
    assert consistency_loss(logits, target).tolist() == pytest.approx(slow)


def test_the_weight_of_unlabelled_images_grows_and_stays() -> None:
    assert [ramp_up(epoch, 4) for epoch in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert ramp_up(0, 0) == 1.0


def test_gradients() -> None:
    torch.manual_seed(0)

    def logits(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    target = (torch.rand(2, 2, 3, 3) < 0.5).double()
    weak, label = torch.randn(4, 3, dtype=torch.float64), torch.rand(4, 3, dtype=torch.float64).softmax(1)
    low = torch.full((3,), 0.4, dtype=torch.float64)
    assert gradcheck(lambda x: dice_loss(x, target), logits(2, 2, 3, 3))
    assert gradcheck(bernoulli_divergence, (logits(2, 2, 3, 3), logits(2, 2, 3, 3)))
    assert gradcheck(channel_divergence, (logits(2, 2, 3, 3), logits(2, 2, 3, 3)))
    assert gradcheck(lambda x: pseudo_label_loss(weak, x, low)[0], logits(4, 3))
    assert gradcheck(lambda x: mixed_label_loss(x, label), logits(4, 3))
    assert gradcheck(lambda x: consistency_loss(x, label), logits(4, 3))
    assert gradcheck(
        lambda x, y: mix_up(x, y, torch.tensor([0.2, 0.9], dtype=torch.float64)), (logits(2, 3), logits(2, 3))
    )
