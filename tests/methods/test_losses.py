from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.minmax_entropy.losses import label_loss, uniform_loss


def slow_posterior(scores: list[float]) -> list[float]:
    weights = [math.exp(s) for s in scores]
    return [w / sum(weights) for w in weights]


score_rows = st.lists(st.floats(-5, 5), min_size=2, max_size=6)


@settings(max_examples=40)
@given(score_rows, st.data())
def test_losses_are_their_equations(scores: list[float], data: st.DataObject) -> None:
    p = slow_posterior(scores)
    y = data.draw(st.integers(0, len(p) - 1))
    logits, label = torch.tensor([scores], dtype=torch.float64), torch.tensor([y])
    assert math.isclose(float(label_loss(logits, label)), -math.log(p[y]), abs_tol=1e-9)
    assert math.isclose(float(uniform_loss(logits)), -sum(map(math.log, p)) / len(p), abs_tol=1e-9)


def test_uniform_loss_is_least_at_the_uniform_posterior() -> None:
    uniform = torch.zeros(1, 5, dtype=torch.float64)
    skewed = torch.tensor([[0.3, 0.0, 0.0, 0.0, -0.2]], dtype=torch.float64)
    assert math.isclose(float(uniform_loss(uniform)), math.log(5))
    assert uniform_loss(skewed) > uniform_loss(uniform)


def test_losses_stay_finite_for_extreme_scores() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]])
    assert float(label_loss(logits, torch.tensor([1]))) == 2e4
    assert torch.isfinite(uniform_loss(logits)).all()


def test_gradients() -> None:
    torch.manual_seed(1)
    logits = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 3, 1])
    assert torch.autograd.gradcheck(uniform_loss, logits)
    assert torch.autograd.gradcheck(lambda x: label_loss(x, labels), logits)
