from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from methods.chexseg._upstream import weak_rows
from methods.chexseg.cams import over_maximum
from methods.chexseg.pseudo_labels import region_of
from methods.chexseg.thresholds import GRID, best_thresholds, counts_by_level, otsu_levels, otsu_masks, packed
from methods.layers.grad_cam import grad_cam, grad_cams
from raysearch.method import Pool


def test_grad_cams_are_those_pixel_by_pixel() -> None:
    torch.manual_seed(0)
    head = nn.Sequential(nn.Conv2d(4, 6, 2), nn.Tanh(), nn.Flatten(), nn.Linear(24, 3)).double()
    features = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    scores, maps = grad_cams(features, head)
    for n in range(2):
        for c in range(3):
            leaf = features[n : n + 1].clone().requires_grad_()
            head(leaf)[0, c].backward()
            assert leaf.grad is not None
            weights = [sum(float(leaf.grad[0, k, i, j]) for i in range(3) for j in range(3)) / 9 for k in range(4)]
            for i in range(3):
                for j in range(3):
                    value = sum(weights[k] * float(features[n, k, i, j]) for k in range(4))
                    assert float(maps[n, c, i, j]) == pytest.approx(max(0.0, value))
    best = scores.argmax(1)
    torch.testing.assert_close(grad_cam(features, head)[1][:, 0], maps[torch.arange(2), best])
    assert not maps.requires_grad


def test_the_sigmoid_is_not_in_the_score() -> None:
    features = torch.rand(1, 2, 2, 2) * 50
    _, maps = grad_cams(features, lambda a: a.sum((2, 3)))
    torch.testing.assert_close(maps[0], features[0])


def slow_threshold(maps: Tensor, masks: Tensor) -> float:
    best, found = -1.0, 0.0
    for g in range(1, GRID):
        mask = maps.double() >= g / GRID
        iou = float((mask & (masks > 0)).sum()) / max(1, float((mask | (masks > 0)).sum()))
        if iou > best:
            best, found = iou, g / GRID
    return best and found


def test_chosen_thresholds_are_those_by_trying_each() -> None:
    generator = torch.Generator().manual_seed(0)
    masks = (torch.rand(9, 6, 7, generator=generator) < 0.4).float()
    maps = (masks * torch.tensor([0.5, 0.3, 0.1])[torch.arange(9) % 3, None, None]) + 0.5 * torch.rand(
        9, 6, 7, generator=generator
    )
    maps[0, 0, 0], maps[1, 0, 0] = 0.37, 0.29  # on the grid
    label = torch.arange(9) % 3
    counts = counts_by_level(maps, masks, label, 4)
    assert int(counts.sum()) == 9 * 42
    assert torch.equal(
        counts_by_level(maps[:5], masks[:5], label[:5], 4) + counts_by_level(maps[5:], masks[5:], label[5:], 4), counts
    )
    best = best_thresholds(counts)
    assert best is not None
    for k in range(3):
        assert float(best[k]) == pytest.approx(slow_threshold(maps[label == k], masks[label == k]))
    assert 0 < float(best[3]) < 1, "a class without a region gets that of the others"
    assert best_thresholds(torch.zeros_like(counts)) is None


def test_equal_thresholds_go_to_the_lowest() -> None:
    masks = torch.tensor([[[1.0, 0.0]]])
    best = best_thresholds(counts_by_level(torch.tensor([[[0.8, 0.5]]]), masks, torch.tensor([0]), 1))
    assert best is not None
    # above 0.5, which is on the grid and reaches its own threshold, up to 0.8
    assert float(best[0]) == pytest.approx(0.51)


def slow_otsu(image: NDArray[np.uint8]) -> int:
    """The level that leaves the least variance inside the two classes, by trying each."""
    pixels = image.ravel().astype(np.float64)
    within = {}
    for level in range(255):
        low, high = pixels[pixels <= level], pixels[pixels > level]
        if len(low) and len(high):
            within[level] = len(low) * low.var() + len(high) * high.var()
    least = min(within.values())
    return min(level for level, value in within.items() if value <= least * (1 + 1e-9))


def test_otsu_is_the_one_by_trying_each_level() -> None:
    generator = np.random.default_rng(0)
    bright = generator.random((20, 9, 11)) < 0.3
    drawn = np.where(bright, generator.normal(170, 30, bright.shape), generator.normal(60, 20, bright.shape))
    levels = drawn.clip(0, 255).astype(np.uint8)
    assert otsu_levels(torch.from_numpy(levels)).tolist() == [slow_otsu(image) for image in levels]
    assert int(otsu_levels(torch.full((1, 3, 3), 7, dtype=torch.uint8))[0]) == 255
    assert len(otsu_levels(torch.zeros(0, 3, 3, dtype=torch.uint8))) == 0


def test_otsu_masks_fill_holes_and_drop_points() -> None:
    maps = torch.zeros(2, 9, 9)
    maps[0, 1:6, 1:6] = 1
    maps[0, 3, 3] = 0  # a hole
    maps[0, 7, 8] = 1  # a point
    maps[0, 8, 0] = maps[0, 7, 1] = 1  # two points that touch at a corner
    masks = otsu_masks(maps)
    expected = torch.zeros(9, 9, dtype=torch.bool)
    expected[1:6, 1:6] = True
    expected[8, 0] = expected[7, 1] = True
    assert torch.equal(masks[0], expected)
    assert not masks[1].any(), "a map of zeros shows nothing"
    assert otsu_masks(maps[:0]).shape == (0, 9, 9)
    assert ndimage.label(expected.numpy(), np.ones((3, 3)))[1] == 2


def test_packed_masks_come_back() -> None:
    masks = torch.rand(3, 5, 7) < 0.5
    bits = np.unpackbits(packed(masks).numpy(), axis=1)[:, :35].reshape(3, 5, 7).astype(bool)
    assert np.array_equal(bits, masks.numpy())


def test_maps_over_their_maximum() -> None:
    maps = torch.tensor([[[0.0, 2.0], [1.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])
    assert over_maximum(maps).tolist() == [[[0, 0.5], [0.25, 1]], [[0, 0], [0, 0]]]


def test_regions_of_pairs() -> None:
    truth = torch.tensor([[1, 0, 1], [-1, 1, 0]], dtype=torch.int8)
    masks = torch.rand(3, 2, 2)
    found = region_of(masks, truth, torch.tensor([1, 0, 0, 1]), torch.tensor([1, 2, 1, 0]))
    assert torch.equal(found, torch.stack((masks[2], masks[1], 0 * masks[0], 0 * masks[0])))


def pool() -> Pool:
    """20 images; each third has regions, and each fifth no positive label."""
    rows = np.arange(5, 65, 3, dtype=np.int64)
    labels, truth = np.zeros((20, 2), np.int8), np.full((20, 2), -1, np.int8)
    labels[:, 0] = np.arange(20) % 5 > 0
    labels[:, 1] = -1
    truth[::3] = 0
    return Pool(rows=rows, labels=labels, truth=truth, source=np.zeros(20, np.int8))


def test_weak_images_are_positive_and_without_regions() -> None:
    every = weak_rows(pool(), 0, 0)
    assert every.tolist() == [5 + 3 * i for i in range(20) if i % 3 and i % 5]
    assert np.array_equal(weak_rows(pool(), 99, 3), every)


def test_subsets_differ_and_are_repeatable() -> None:
    subsets = [weak_rows(pool(), 6, subset) for subset in range(3)]
    assert all(len(set(rows)) == 6 and np.array_equal(rows, np.sort(rows)) for rows in subsets)
    assert len({tuple(rows) for rows in subsets}) == 3
    assert np.array_equal(weak_rows(pool(), 6, 1), subsets[1])
    assert set(np.concatenate(subsets)) <= set(weak_rows(pool(), 0, 0))
