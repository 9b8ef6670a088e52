from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.layers.pooling import (
    WildcatHead,
    average_pool,
    cell_count,
    log_sum_exp_pool,
    max_pool,
    wildcat_pool,
)


@pytest.mark.parametrize(
    ("k", "cells", "expected"),
    [
        (0, 100, 0),
        (-1, 100, 0),
        (0.09, 100, 9),
        (0.09, 49, 4),  # 4.41
        (0.125, 20, 2),  # 2.5, half to even
        (0.175, 20, 4),  # 3.5, half to even
        (1, 100, 1),
        (1.0, 100, 100),
        (7, 100, 7),
        (500, 100, 100),
    ],
)
def test_cell_count_is_a_fraction_or_a_count(k: float, cells: int, expected: int) -> None:
    assert cell_count(k, cells) == expected


def slow_wildcat(values: list[float], kmax: float, kmin: float, alpha: float) -> float:
    ranked = sorted(values, reverse=True)
    top = max(1, cell_count(kmax, len(ranked)))
    score = sum(ranked[:top]) / top
    bottom = cell_count(kmin, len(ranked))
    if alpha and bottom:
        score = (score + alpha * sum(ranked[-bottom:]) / bottom) / 2
    return score


@settings(max_examples=40)
@given(
    st.lists(st.floats(-10, 10), min_size=6, max_size=6),
    st.sampled_from([0.09, 0.3, 1, 1.0, 2]),
    st.sampled_from([0, 0.2, 0.5, 1]),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_wildcat_is_the_mean_of_the_sorted_ends(values: list[float], kmax: float, kmin: float, alpha: float) -> None:
    maps = torch.tensor(values, dtype=torch.float64).view(1, 1, 2, 3)
    found = float(wildcat_pool(maps, kmax=kmax, kmin=kmin, alpha=alpha))
    assert math.isclose(found, slow_wildcat(values, kmax, kmin, alpha), abs_tol=1e-9)


def test_log_sum_exp_lies_between_mean_and_maximum_and_reaches_both() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    for r in (0.1, 1.0, 10.0):
        slow = torch.stack([(r * m).exp().mean().log() / r for m in maps.flatten(0, 1)]).view(2, 3)
        torch.testing.assert_close(log_sum_exp_pool(maps, r), slow)
        assert (log_sum_exp_pool(maps, r) >= average_pool(maps)).all()
        assert (log_sum_exp_pool(maps, r) <= max_pool(maps)).all()
    torch.testing.assert_close(log_sum_exp_pool(maps, 1e-6), average_pool(maps), atol=1e-5, rtol=0)
    torch.testing.assert_close(log_sum_exp_pool(maps, 1e4), max_pool(maps), atol=1e-3, rtol=0)


@pytest.mark.parametrize("spread", [1e-2, 1.0, 30.0])
def test_log_sum_exp_is_precise_at_any_sharpness(spread: float) -> None:
    maps = spread * torch.randn(2, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    maps[1, 0, 3, 4] = 40 * spread  # a lone peak
    for beta in range(-12, 7):
        r = torch.tensor([float(beta)], dtype=torch.float64).exp()
        below = r * (maps.double() - maps.double().amax((2, 3), keepdim=True))
        exact = maps.double().amax((2, 3)) + torch.log1p(torch.expm1(below).mean((2, 3))) / r
        found = log_sum_exp_pool(maps, r.float())
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=4e-7 * float(maps.abs().max()))


def test_log_sum_exp_becomes_the_mean_as_its_sharpness_becomes_0() -> None:
    maps = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    learned = torch.full((3,), -200.0, requires_grad=True)
    found = log_sum_exp_pool(maps, learned.exp())
    torch.testing.assert_close(found, average_pool(maps), rtol=0, atol=1e-5)
    for gradient in torch.autograd.grad(found.sum(), (maps, learned)):
        assert torch.isfinite(gradient).all()


def test_gradients() -> None:
    torch.manual_seed(1)
    maps = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    for r in (1e-3, 0.1, 10.0):
        sharpness = torch.tensor(r, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(log_sum_exp_pool, (maps, sharpness))
    assert torch.autograd.gradcheck(lambda x: wildcat_pool(x, kmax=0.3, kmin=0.2, alpha=0.7), maps)
    assert torch.autograd.gradcheck(average_pool, maps)
    assert torch.autograd.gradcheck(max_pool, maps)


def test_dropout_acts_in_training_and_keeps_the_expectation() -> None:
    maps = torch.ones(4000, 1, 4, 4)
    torch.manual_seed(0)
    scores = wildcat_pool(maps, kmax=0.5, dropout=0.75, training=True)
    assert scores.std() > 0.1
    torch.testing.assert_close(scores.mean(), torch.tensor(1.0), atol=0.05, rtol=0)
    assert (wildcat_pool(maps, kmax=0.5, dropout=0.75, training=False) == 1).all()


def test_a_class_map_is_the_mean_of_that_classes_modalities() -> None:
    torch.manual_seed(0)
    head = WildcatHead(5, 3, modalities=2, kmax=1.0, kmin=0, alpha=0.0, dropout=0.9).eval()
    features = torch.randn(2, 5, 4, 4)
    scores, maps = head(features)
    raw = head.maps(features)
    for k in range(3):
        torch.testing.assert_close(maps[:, k], (raw[:, 2 * k] + raw[:, 2 * k + 1]) / 2)
    torch.testing.assert_close(scores, maps.mean((2, 3)))
