from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from methods.chexseg.irnet.losses import boundary_loss, pair_sets
from methods.chexseg.irnet.pairs import line_to, pairs_within
from methods.chexseg.irnet.walk import transitions, walk


def dense_transitions(boundary: Tensor, radius: int, beta: float) -> Tensor:
    """T (h w, h w) of a boundary map (h, w), by loops over cells."""
    height, width = boundary.shape
    affinity = torch.eye(height * width, dtype=boundary.dtype)
    for i in range(height * width):
        for j in range(i + 1, height * width):
            (y, x), (v, u) = divmod(i, width), divmod(j, width)
            if math.hypot(v - y, u - x) < radius:
                between = [float(boundary[y + b, x + a]) for b, a in line_to((v - y, u - x))]
                affinity[i, j] = affinity[j, i] = 1 - max(between)
    powered = affinity**beta
    return powered / powered.sum(0, keepdim=True)


@pytest.mark.parametrize(("radius", "beta", "times"), [(2, 1.0, 0), (3, 5.0, 3), (5, 10.0, 5), (9, 2.5, 1)])
def test_the_walk_is_the_power_of_the_dense_matrix(radius: int, beta: float, times: int) -> None:
    generator = torch.Generator().manual_seed(0)
    boundary = torch.rand(2, 5, 6, generator=generator, dtype=torch.float64)
    maps = torch.rand(3, 5, 6, generator=generator, dtype=torch.float64)
    image = torch.tensor([1, 0, 1])
    found = walk(maps, boundary, image, radius=radius, beta=beta, steps=2**times)
    for m in range(3):
        edge = boundary[image[m]]
        matrix = dense_transitions(edge, radius, beta)
        for _ in range(times):
            matrix = matrix @ matrix
        expected = (maps[m] * (1 - edge)).flatten() @ matrix
        torch.testing.assert_close(found[m].flatten(), expected)


def test_pairs_are_made_once_and_those_of_a_walk_serve_a_step_with_a_gradient() -> None:
    pairs_within.cache_clear()
    boundary, image = torch.full((1, 4, 5), 0.5), torch.zeros(1, dtype=torch.long)
    with torch.inference_mode():
        for _ in range(3):
            walk(boundary, boundary, image, radius=3, beta=2.0, steps=1)
    pairs = pairs_within(3, boundary.device)
    assert pairs_within.cache_info().misses == 1
    edges = boundary.clone().requires_grad_()
    boundary_loss(pairs, edges, pair_sets(pairs, torch.ones(1, 4, 5), image, 1)).backward()  # type: ignore[no-untyped-call]
    assert edges.grad is not None


def test_columns_add_up_to_one() -> None:
    boundary = torch.rand(2, 4, 7, generator=torch.Generator().manual_seed(1))
    source, weight = transitions(boundary, 3, 4.0)
    torch.testing.assert_close(weight.sum(1), torch.ones(2, 28))
    assert int(source.min()) >= 0
    assert int(source.max()) < 28


def test_saliency_does_not_cross_a_boundary() -> None:
    boundary = torch.zeros(1, 6, 9)
    boundary[:, :, 4] = 1
    maps = torch.zeros(1, 6, 9)
    maps[0, 2, 1] = 1
    found = walk(maps, boundary, torch.zeros(1, dtype=torch.long), radius=3, beta=5.0, steps=64)[0]
    assert float(found[:, :4].min()) > 0
    assert not found[:, 4:].any()
