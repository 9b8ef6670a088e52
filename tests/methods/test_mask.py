from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from methods.layers.maps import min_max, min_max_batch, predicted_class_map
from methods.minmax_entropy.mask import full_resolution, localization_map, mask


def test_localization_map_weights_class_maps_by_the_posterior() -> None:
    torch.manual_seed(0)
    logits, maps = torch.randn(2, 3), torch.randn(2, 3, 4, 5)
    found = localization_map(logits, maps)
    for i in range(2):
        p = [math.exp(s) / sum(math.exp(t) for t in logits[i].tolist()) for s in logits[i].tolist()]
        torch.testing.assert_close(found[i, 0], sum(p[k] * maps[i, k] for k in range(3)))


def test_eq_9_pixel_by_pixel_and_its_gradient() -> None:
    torch.manual_seed(0)
    fine = torch.rand(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    found = mask(fine, omega=8.0, sigma_prime=0.4)
    for t, r in zip(fine.flatten().tolist(), found.flatten().tolist(), strict=True):
        assert math.isclose(r, 1 / (1 + math.exp(-8.0 * (t - 0.4))))
    assert torch.autograd.gradcheck(lambda x: mask(x, omega=8.0, sigma_prime=0.4), fine)


def test_full_resolution_is_detached_scaled_and_aligned_at_the_corners() -> None:
    coarse = torch.tensor([[[[-1.0, 0.0], [1.0, 3.0]]]], requires_grad=True)
    fine = full_resolution(coarse, (5, 7), normalization="sample", sigma_prime=0.5)
    assert not fine.requires_grad
    assert fine.shape == (1, 1, 5, 7)
    corners = fine[0, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(corners, torch.tensor([0.0, 0.25, 0.5, 1.0]))
    plain = full_resolution(coarse, (5, 7), normalization="none", sigma_prime=0.5)
    torch.testing.assert_close(plain[0, 0, -1, -1], torch.tensor(3.0))


def test_sample_normalization_sees_one_image_and_batch_normalization_all() -> None:
    torch.manual_seed(0)
    coarse = torch.randn(3, 1, 4, 4) * torch.tensor([1.0, 5.0, 0.1])[:, None, None, None]
    size = (4, 4)
    alone = [full_resolution(c[None], size, normalization="sample", sigma_prime=0.5) for c in coarse]
    together = full_resolution(coarse, size, normalization="sample", sigma_prime=0.5)
    torch.testing.assert_close(together, torch.cat(alone))
    assert (together.amax((1, 2, 3)) == 1).all()
    assert (together.amin((1, 2, 3)) == 0).all()
    batch = full_resolution(coarse, size, normalization="batch", sigma_prime=0.5)
    torch.testing.assert_close(batch, (coarse - coarse.min()) / (coarse.max() - coarse.min()))


def test_a_constant_map_gives_the_mask_one_half() -> None:
    coarse = torch.stack((torch.full((1, 3, 3), 2.5), torch.randn(1, 3, 3)))
    fine = full_resolution(coarse, (6, 6), normalization="sample", sigma_prime=0.3)
    found = mask(fine, omega=8.0, sigma_prime=0.3)
    assert (found[0] == 0.5).all()
    assert found[1].std() > 0
    assert (min_max_batch(torch.full((2, 1, 2, 2), 7.0), fill=0.3) == 0.3).all()


def test_min_max_of_several_maps_uses_one_range_an_image() -> None:
    maps = torch.tensor([[[[0.0, 1.0]], [[2.0, 4.0]]]])
    torch.testing.assert_close(min_max(maps, fill=0.0), maps / 4)


def test_predicted_class_map_takes_the_highest_score() -> None:
    maps = torch.randn(3, 4, 2, 2)
    scores = F.one_hot(torch.tensor([2, 0, 3]), 4).float()
    torch.testing.assert_close(predicted_class_map(maps, scores), torch.stack((maps[0, 2:3], maps[1, :1], maps[2, 3:])))
