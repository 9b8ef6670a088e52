"""Losses of limited_annotation (eq. 5 to 12) and li_base (eq. 1 to 3)."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from methods._patches import AnnotatedPairs
from methods.li_base import losses as base
from methods.limited_annotation.losses import (
    annotated_loss,
    annotated_loss_sigmoid,
    unannotated_loss,
    unannotated_loss_sigmoid,
)

Z = torch.tensor([[[0.9, 0.4], [0.1, 0.2]]], dtype=torch.float64)
LEFT = torch.tensor([[[True, False], [True, False]]])


def one(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


def test_eq_9_by_hand() -> None:
    # S_in = 1.0 of 2 patches, S_out = 0.6 of 2
    assert float(annotated_loss(Z, LEFT, one(0.7), one(0.1))) == pytest.approx((1.4 - 1.0) / 2 + (0.6 - 0.2) / 2)
    assert float(annotated_loss(Z, LEFT, one(0.5), one(0.3))) == pytest.approx(0.0)


def test_eq_9_where_a_region_covers_nothing_or_everything() -> None:
    nothing, everything = torch.zeros_like(LEFT), torch.ones_like(LEFT)
    assert float(annotated_loss(Z, nothing, one(0.7), one(0.1))) == pytest.approx((1.6 - 0.4) / 4)
    assert float(annotated_loss(Z, everything, one(0.7), one(0.1))) == pytest.approx((2.8 - 1.6) / 4)
    assert annotated_loss(Z[:0], LEFT[:0], one(0.7)[:0], one(0.1)[:0]).shape == (0,)


def test_eq_11_by_hand() -> None:
    z = Z.expand(3, 1, 2, 2)
    labels = torch.tensor([[1.0], [0.0], [-1.0]])
    found = unannotated_loss(z, labels, one(2.0), one(0.6), one(0.25))
    assert found[:, 0].tolist() == pytest.approx([2.0 - 1.6, 0.25 * (1.6 - 0.6), 0.0])
    assert unannotated_loss(z, labels, one(1.0), one(2.0), one(1.0))[:, 0].tolist() == [0.0, 0.0, 0.0]


def test_eq_5_and_8_by_hand() -> None:
    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    found = annotated_loss_sigmoid(Z, LEFT, one(0.7), one(0.1))
    assert float(found) == pytest.approx(-sigmoid(1.0 - 1.4) * sigmoid(0.2 - 0.6))
    labels = torch.tensor([[1.0], [0.0], [-1.0]])
    image = unannotated_loss_sigmoid(Z.expand(3, 1, 2, 2), labels, one(2.0), one(0.6))
    assert image[:, 0].tolist() == pytest.approx([-sigmoid(-0.4), -sigmoid(-1.0), 0.0])


grids = st.lists(st.floats(0.01, 0.99), min_size=9, max_size=9)


@settings(max_examples=40)
@given(grids, st.lists(st.booleans(), min_size=9, max_size=9), st.floats(0, 1), st.floats(0, 1))
def test_eq_9_is_zero_just_where_both_conditions_hold(
    values: list[float], bits: list[bool], tau: float, rho: float
) -> None:
    z, cells = torch.tensor(values, dtype=torch.float64).view(1, 3, 3), torch.tensor(bits).view(1, 3, 3)
    inside = [v for v, b in zip(values, bits, strict=True) if b]
    outside = [v for v, b in zip(values, bits, strict=True) if not b]
    few = max(0.0, tau - sum(inside) / len(inside)) if inside else 0.0
    many = max(0.0, sum(outside) / len(outside) - rho) if outside else 0.0
    assert float(annotated_loss(z, cells, one(tau), one(rho))) == pytest.approx(few + many, abs=1e-12)


def test_gradients() -> None:
    torch.manual_seed(0)
    z = (0.05 + 0.9 * torch.rand(2, 3, 3, 3, dtype=torch.float64)).requires_grad_()
    cells = torch.rand(3, 3, 3) < 0.4
    labels = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]])
    low, high, gamma = torch.full((3,), 1.1), torch.full((3,), 6.7), torch.tensor([0.3, 1.0, 2.0])
    assert gradcheck(lambda x: annotated_loss(x[0], cells, high / 9, low / 9), z)
    assert gradcheck(lambda x: annotated_loss_sigmoid(x[0], cells, high / 9, low / 9), z)
    assert gradcheck(lambda x: unannotated_loss(x, labels, high, low, gamma), z)
    assert gradcheck(lambda x: unannotated_loss_sigmoid(x, labels, high, low), z)


def test_the_gradient_of_a_condition_that_holds_is_zero() -> None:
    z = torch.tensor([[[0.5, 0.25], [0.25, 0.25]]], requires_grad=True)
    # S_out is rho |b_bar| exactly, where the derivative of the ReLU is 0
    annotated_loss(z, LEFT, one(0.7), one(0.25)).sum().backward()
    assert z.grad is not None
    assert z.grad[0].tolist() == [[-0.5, 0.0], [-0.5, 0.0]]


def test_an_annotated_pair_counts_by_its_region_alone() -> None:
    regions = AnnotatedPairs(image=torch.tensor([0]), label=torch.tensor([1]), cells=LEFT)
    unannotated = torch.tensor([[1.0, 100.0], [2.0, 3.0]])
    loss, first, second = regions.total(torch.tensor([0.5]), unannotated, 70.0)
    assert float(first) == pytest.approx(70 * 0.5 / 2)
    assert float(second) == pytest.approx((1 + 2 + 3) / 2)
    assert float(loss) == pytest.approx(float(first) + float(second))


def slow_base(p: list[float], cells: list[bool], low: float) -> tuple[float, float, float]:
    """Eq. 1 and -log q, -log(1 - q) of eq. 2 by literal products."""
    yes = [low + (1 - low) * v for v in p]
    no = [low + (1 - low) * (1 - v) for v in p]
    annotated = math.prod(y if b else n for y, n, b in zip(yes, no, cells, strict=True))
    return -math.log(annotated), -math.log(1 - math.prod(no)), -math.log(math.prod(no))


@settings(max_examples=40)
@given(
    st.lists(st.floats(-6, 6), min_size=4, max_size=4),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.sampled_from([None, 0.5, 0.98]),
)
def test_eq_1_to_3_are_their_products(logits: list[float], bits: list[bool], rescale_min: float | None) -> None:
    x, cells = torch.tensor(logits, dtype=torch.float64).view(1, 1, 2, 2), torch.tensor(bits).view(1, 2, 2)
    present, absent = base.log_probabilities(x, rescale_min)
    p = [1 / (1 + math.exp(-v)) for v in logits]
    annotated, positive, negative = slow_base(p, bits, rescale_min or 0.0)
    assert float(base.annotated_loss(present[:, 0], absent[:, 0], cells)) == pytest.approx(annotated)
    for label, expected in ((1.0, positive), (0.0, negative), (-1.0, 0.0)):
        found = base.unannotated_loss(absent, torch.tensor([[label]]))
        assert float(found) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("level", [-200.0, -50.0, 0.0, 50.0, 200.0])
@pytest.mark.parametrize("rescale_min", [None, 0.98])
def test_400_patches_neither_underflow_nor_lose_their_gradient_to_nan(level: float, rescale_min: float | None) -> None:
    logits = torch.full((2, 1, 20, 20), level, requires_grad=True)
    present, absent = base.log_probabilities(logits, rescale_min)
    cells = torch.zeros(1, 20, 20, dtype=torch.bool)
    cells[0, :3, :3] = True
    loss = base.annotated_loss(present[:1, 0], absent[:1, 0], cells).sum()
    loss = loss + base.unannotated_loss(absent, torch.tensor([[1.0], [0.0]])).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_gradients_of_the_base_model() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    cells, labels = torch.rand(2, 2, 3) < 0.5, torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    for low in (None, 0.98):
        assert gradcheck(lambda x, m=low: base.unannotated_loss(base.log_probabilities(x, m)[1], labels), logits)
        assert gradcheck(
            lambda x, m=low: base.annotated_loss(*(t[:, 0] for t in base.log_probabilities(x, m)), cells), logits
        )
