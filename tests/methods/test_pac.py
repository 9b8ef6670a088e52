from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from methods.layers import pac
from methods.layers.pac import between_patches, binary_mean_field, gaussian_kernel, softmax_mean_field


def slow_mean_field(unary: Tensor, features: Tensor, weights: Tensor, unary_weight: Tensor, steps: int) -> Tensor:
    """log Q of one image, unaries (L, P, Q), features (F, P, Q), W (L, L, window, window), by loops."""
    _, height, width = unary.shape
    window = weights.shape[-1]
    radius = window // 2
    found = unary
    for _ in range(steps):
        q = found.softmax(0)
        heard = torch.zeros_like(unary)
        for y in range(height):
            for x in range(width):
                for dy in range(window):
                    for dx in range(window):
                        v, u = y + dy - radius, x + dx - radius
                        if 0 <= v < height and 0 <= u < width:
                            kernel = torch.exp(-0.5 * (features[:, y, x] - features[:, v, u]).square().sum())
                            heard[:, y, x] = heard[:, y, x] + kernel * (weights[:, :, dy, dx] @ q[:, v, u])
        found = unary_weight * unary - heard
    return found


def drawn(labels: tuple[int, ...], window: int, grid: tuple[int, int] = (3, 4)) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    unary = torch.randn(2, labels[0], *grid, dtype=torch.float64, requires_grad=True)
    features = torch.randn(2, 2, *grid, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(*labels, window, window, dtype=torch.float64, requires_grad=True)
    unary_weight = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    return unary, features, weights, unary_weight


@pytest.mark.parametrize("window", [3, 5, 11])
@pytest.mark.parametrize("room", [1, 10**6])
def test_softmax_reading_is_the_one_by_loops(window: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pac, "ROOM", room)
    unary, features, weights, unary_weight = drawn((3, 3), window)
    found = softmax_mean_field(unary, features, weights, unary_weight, 2)
    for n in range(2):
        torch.testing.assert_close(found[n], slow_mean_field(unary[n], features[n], weights, unary_weight, 2))


@pytest.mark.parametrize("window", [3, 5, 11])
@pytest.mark.parametrize("room", [1, 10**6])
def test_binary_reading_is_a_softmax_over_absent_and_present(
    window: int, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pac, "ROOM", room)
    logits, features, weights, unary_weight = drawn((3, 2, 2), window)
    found = binary_mean_field(logits, features, weights, unary_weight, 2).sigmoid()
    for n in range(2):
        for k in range(3):
            p = logits[n, k].sigmoid()
            unary = torch.stack((torch.log(1 - p), torch.log(p)))
            expected = slow_mean_field(unary, features[n], weights[k], unary_weight, 2).softmax(0)[1]
            torch.testing.assert_close(found[n, k], expected)


@pytest.mark.parametrize("room", [1, 10**6])
def test_gradients(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pac, "ROOM", room)

    def run(function: Any, inputs: tuple[Tensor, ...]) -> bool:
        return gradcheck(lambda *x: function(*x, 3), inputs)

    assert run(softmax_mean_field, drawn((2, 2), 3))
    assert run(binary_mean_field, drawn((2, 2, 2), 5, (2, 3)))


def test_without_weights_nothing_is_heard() -> None:
    logits, features, weights, _ = drawn((3, 2, 2), 5)
    one = torch.ones((), dtype=torch.float64)
    torch.testing.assert_close(binary_mean_field(logits, features, 0 * weights, one, 5), logits)
    torch.testing.assert_close(softmax_mean_field(logits, features, torch.zeros(3, 3, 5, 5).double(), one, 5), logits)


def test_the_kernel_is_symmetric_and_one_with_itself() -> None:
    torch.manual_seed(0)
    kernel = gaussian_kernel(100 + torch.randn(2, 7, 3))
    torch.testing.assert_close(kernel, kernel.transpose(1, 2))
    torch.testing.assert_close(kernel.diagonal(dim1=1, dim2=2), torch.ones(2, 7), atol=0.02, rtol=0)
    assert float(kernel.max()) <= 1


def test_weights_between_patches_follow_the_offset() -> None:
    weights = torch.arange(9.0).view(3, 3)
    dense = between_patches(weights, (2, 3))
    # patch 0 is at (0, 0): itself, one to the right, one below, below right
    assert dense[0].tolist() == [4, 5, 0, 7, 8, 0]
    assert dense[4].tolist() == [0, 1, 2, 3, 4, 5]
