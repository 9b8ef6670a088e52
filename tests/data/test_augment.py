"""Augmentation against slow references, and its independence of order and batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import affine_transform
from torchvision.transforms.v2 import functional as TF

from raysearch.data._augment import (
    _ANGLE,
    _BRIGHTNESS,
    _CONTRAST,
    _DRAWS,
    _HUE,
    _SATURATION,
    _SHIFT_X,
    _SHIFT_Y,
    _ZOOM,
    augment,
    uniforms,
)
from raysearch.errors import DataError
from raysearch.method import Augmentation

ROWS = np.arange(40, 52)
EVERYTHING = Augmentation(horizontal_flip=True, vertical_flip=True, rotation=20, crop=16, jitter=(0.4, 0.4, 0.4, 0.1))


def batch(channels: int = 3, height: int = 20, width: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(len(ROWS), channels, height, width, generator=generator)
    return images, (images[:, 0] > 0.6).float()


def run(
    how: Augmentation, images: torch.Tensor, masks: torch.Tensor | None = None, epoch: int = 3
) -> tuple[torch.Tensor, torch.Tensor | None]:
    owner = None if masks is None else torch.arange(len(ROWS))
    return augment(images, masks, how, seed=7, epoch=epoch, rows=ROWS, owner=owner)


@given(st.integers(0, 2**31), st.integers(0, 1000), st.permutations(range(12)), st.integers(1, 12))
def test_draws_belong_to_an_image(seed: int, epoch: int, order: list[int], count: int) -> None:
    chosen = ROWS[order][:count]
    np.testing.assert_array_equal(uniforms(seed, epoch, chosen, 5), uniforms(seed, epoch, ROWS, 5)[order][:count])


def test_draws_are_uniform_and_uncorrelated() -> None:
    draws = np.stack([uniforms(seed, epoch, np.arange(400), 9) for seed in (0, 1) for epoch in range(5)])
    assert draws.min() >= 0
    assert draws.max() < 1
    np.testing.assert_allclose(np.histogram(draws, 20, (0, 1))[0] / draws.size, 0.05, atol=0.004)
    flat = draws.reshape(-1, 9)
    assert np.abs(np.corrcoef(flat.T) - np.eye(9)).max() < 0.06
    neighbours = np.corrcoef(draws[:, 1:].ravel(), draws[:, :-1].ravel())[0, 1]
    epochs = np.corrcoef(draws[1:].ravel(), draws[:-1].ravel())[0, 1]
    assert max(abs(neighbours), abs(epochs)) < 0.02
    assert len(np.unique(draws)) == draws.size


def test_an_image_is_treated_alike_in_every_batch() -> None:
    images, masks = batch()
    whole, whole_masks = run(EVERYTHING, images, masks)
    order = torch.tensor([5, 2, 9])
    rows, owner = ROWS[order], torch.arange(3)
    part, part_masks = augment(images[order], masks[order], EVERYTHING, seed=7, epoch=3, rows=rows, owner=owner)
    assert whole_masks is not None
    assert part_masks is not None
    torch.testing.assert_close(part, whole[order], rtol=0, atol=1e-6)
    torch.testing.assert_close(part_masks, whole_masks[order], rtol=0, atol=0)
    assert not torch.equal(run(EVERYTHING, images, epoch=4)[0], whole)


@given(st.lists(st.integers(0, 11), max_size=20))
def test_masks_follow_the_image_that_owns_them(owners: list[int]) -> None:
    images, masks = batch()
    whole = run(EVERYTHING, images, masks)[1]
    owner = torch.tensor(owners, dtype=torch.int64)
    out = augment(images, masks[owner], EVERYTHING, seed=7, epoch=3, rows=ROWS, owner=owner)[1]
    assert whole is not None
    assert out is not None
    assert torch.equal(out, whole[owner])


def test_nothing_asked_nothing_done() -> None:
    images, masks = batch()
    out, out_masks = run(Augmentation(), images, masks)
    assert torch.equal(out, images)
    assert out_masks is not None
    assert torch.equal(out_masks, masks)
    assert run(Augmentation(), images)[1] is None


@pytest.mark.parametrize(
    ("how", "dim"), [(Augmentation(horizontal_flip=True), 3), (Augmentation(vertical_flip=True), 2)]
)
def test_flips_about_half(how: Augmentation, dim: int) -> None:
    images, _ = batch()
    out, _ = run(how, images)
    flipped = [torch.equal(o, i.flip(dim - 1)) for o, i in zip(out, images, strict=True)]
    kept = [torch.equal(o, i) for o, i in zip(out, images, strict=True)]
    assert all(f != k for f, k in zip(flipped, kept, strict=True))
    assert 1 < sum(flipped) < len(images) - 1


@pytest.mark.parametrize("width", [20, 27])
def test_rotation_is_scipys(width: int) -> None:
    images, masks = batch(width=width)
    out, out_masks = run(Augmentation(rotation=30), images, masks)
    assert out_masks is not None
    angles = np.deg2rad((2 * uniforms(7, 3, ROWS, _DRAWS)[:, _ANGLE] - 1) * 30)
    centre = np.array([9.5, (width - 1) / 2])
    different = 0
    for n, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, s], [-s, c]])  # (row, column) of the output to the input
        shift = centre - turn @ centre
        for channel in range(3):
            expected = affine_transform(images[n, channel].numpy(), turn, shift, order=1, mode="grid-constant")
            np.testing.assert_allclose(out[n, channel].numpy(), expected, atol=1e-4)
        nearest = affine_transform(masks[n].numpy(), turn, shift, order=0, mode="grid-constant")
        different += int((nearest != out_masks[n].numpy()).sum())
    assert different <= 0.001 * out_masks.numel()
    assert ((out_masks == 0) | (out_masks == 1)).all()


def test_crops_are_windows_and_masks_follow() -> None:
    images, masks = batch(height=20, width=24)
    out, out_masks = run(Augmentation(crop=9), images, masks)
    assert out_masks is not None
    assert out.shape[2:] == out_masks.shape[1:] == (9, 9)
    places = set()
    for image, mask, window, region in zip(images, masks, out, out_masks, strict=True):
        found = [
            (top, left)
            for top in range(12)
            for left in range(16)
            if torch.equal(image[:, top : top + 9, left : left + 9], window)
        ]
        assert len(found) == 1
        top, left = found[0]
        assert torch.equal(mask[top : top + 9, left : left + 9], region)
        places.add(found[0])
    assert len(places) > 8


@pytest.mark.parametrize(("rotation", "allowed"), [(90, {0, 1, 3}), (180, {0, 1, 2, 3})])
def test_turns_are_exact(rotation: float, allowed: set[int]) -> None:
    images, masks = batch()
    out, out_masks = run(Augmentation(rotation=rotation), images, masks)
    assert out_masks is not None
    seen = set()
    for n in range(len(images)):
        quarter = [k for k in range(4) if torch.equal(torch.rot90(images[n], k, (1, 2)), out[n])]
        assert len(quarter) == 1
        assert torch.equal(torch.rot90(masks[n], quarter[0], (0, 1)), out_masks[n])
        seen.add(quarter[0])
    assert seen == allowed


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_is_torchvisions(channels: int) -> None:
    images, masks = batch(channels)
    out, out_masks = run(Augmentation(jitter=(0.5, 0.4, 0.3, 0.1)), images, masks)
    assert out_masks is not None
    assert torch.equal(out_masks, masks)
    draws = uniforms(7, 3, ROWS, _DRAWS).tolist()
    for image, jittered, draw in zip(images, out, draws, strict=True):
        expected = TF.adjust_brightness(image, 0.5 + draw[_BRIGHTNESS])
        expected = TF.adjust_contrast(expected, 0.6 + 0.8 * draw[_CONTRAST])
        if channels == 3:
            expected = TF.adjust_saturation(expected, 0.7 + 0.6 * draw[_SATURATION])
            expected = TF.adjust_hue(expected, 0.2 * draw[_HUE] - 0.1)
        torch.testing.assert_close(jittered, expected, rtol=0, atol=2e-5)


def test_impossible_geometry_is_named() -> None:
    images, _ = batch(height=20, width=24)
    with pytest.raises(DataError, match=r"crop of 21 pixels does not fit into images of 20x24.*at most 20"):
        run(Augmentation(crop=21), images)
    with pytest.raises(DataError, match="images of 20x24 cannot be turned by 90 degrees"):
        run(Augmentation(rotation=90), images)
    assert run(Augmentation(rotation=90, crop=16), images)[0].shape[2:] == (16, 16)


@pytest.mark.parametrize("width", [20, 27])
def test_zoom_and_shift_are_scipys(width: int) -> None:
    images, masks = batch(width=width)
    out, out_masks = run(Augmentation(rotation=30, zoom=0.4, shift=0.2), images, masks)
    assert out_masks is not None
    draws = uniforms(7, 3, ROWS, _DRAWS)
    angles = np.deg2rad((2 * draws[:, _ANGLE] - 1) * 30)
    sides = 1 - 0.4 * draws[:, _ZOOM]
    shifts = (2 * draws[:, [_SHIFT_Y, _SHIFT_X]] - 1) * 0.2 * [20, width]
    centre = np.array([9.5, (width - 1) / 2])
    different = 0
    for n, (angle, side, shift) in enumerate(zip(angles, sides, shifts, strict=True)):
        c, s = np.cos(angle), np.sin(angle)
        turn = side * np.array([[c, s], [-s, c]])  # (row, column) of the output to the input
        offset = centre - turn @ (centre + shift)
        for channel in range(3):
            expected = affine_transform(images[n, channel].numpy(), turn, offset, order=1, mode="grid-constant")
            np.testing.assert_allclose(out[n, channel].numpy(), expected, atol=1e-4)
        nearest = affine_transform(masks[n].numpy(), turn, offset, order=0, mode="grid-constant")
        different += int((nearest != out_masks[n].numpy()).sum())
    assert different <= 0.001 * out_masks.numel()


def test_zoom_magnifies_and_shift_brings_zeros() -> None:
    images, place = torch.ones(len(ROWS), 1, 80, 80), torch.arange(80) - 39.5
    disc = (torch.hypot(place[:, None], place) < 20).float()
    zoomed, larger = run(Augmentation(zoom=0.5), images, disc.expand(len(ROWS), -1, -1))
    assert larger is not None
    torch.testing.assert_close(zoomed, images)  # a magnified image has no border
    growth = larger.sum((1, 2)) / disc.sum()
    expected = (1 - 0.5 * uniforms(7, 3, ROWS, _DRAWS)[:, _ZOOM]) ** -2
    np.testing.assert_allclose(growth.numpy(), expected, rtol=0.05)
    shifted, _ = run(Augmentation(shift=0.3), images)
    assert bool((shifted.flatten(1) == 0).any(1).all())
    assert float(shifted.amin((2, 3)).max()) == 0


@pytest.mark.parametrize("margin", [3, 9])
def test_pads_are_windows_of_the_reflected_image(margin: int) -> None:
    images, masks = batch(height=20, width=24)
    out, out_masks = run(Augmentation(pad=margin), images, masks)
    assert out_masks is not None
    around = [(0, 0), (margin, margin), (margin, margin)]
    places = set()
    for image, mask, window, region in zip(images, masks, out, out_masks, strict=True):
        padded = torch.from_numpy(np.pad(image.numpy(), around, mode="reflect"))
        padded_mask = torch.from_numpy(np.pad(mask.numpy(), margin, mode="reflect"))
        found = [
            (top, left)
            for top in range(2 * margin + 1)
            for left in range(2 * margin + 1)
            if torch.equal(padded[:, top : top + 20, left : left + 24], window)
        ]
        assert len(found) == 1
        top, left = found[0]
        assert torch.equal(padded_mask[top : top + 20, left : left + 24], region)
        places.add(found[0])
    assert len(places) > 8
    with pytest.raises(DataError, match=r"20x24 cannot be padded by .* of 20 pixels.*size=21.*at most 19"):
        run(Augmentation(pad=20), images)


def test_copies_of_an_image_are_treated_apart() -> None:
    images, _ = batch()
    same = images[:1].expand_as(images)
    rows, copies = np.full(len(ROWS), 44), np.arange(len(ROWS))
    out, _ = augment(same, None, EVERYTHING, seed=7, epoch=3, rows=rows, copies=copies)
    assert len({tuple(image.flatten().tolist()) for image in out}) == len(ROWS)
    alone, _ = augment(same, None, EVERYTHING, seed=7, epoch=3, rows=rows)
    torch.testing.assert_close(alone, out[:1].expand_as(out), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(uniforms(7, 3, rows, 5, copies)[0], uniforms(7, 3, rows, 5)[0])


def test_draws_of_copies_are_uncorrelated() -> None:
    draws = np.stack([uniforms(1, 0, np.arange(2000), 6, np.full(2000, copy)) for copy in range(4)])
    flat = draws.transpose(1, 0, 2).reshape(2000, -1)
    assert np.abs(np.corrcoef(flat.T) - np.eye(24)).max() < 0.09
    assert len(np.unique(draws)) == draws.size


@pytest.mark.parametrize("how", [EVERYTHING, Augmentation(rotation=180, zoom=0.1, shift=0.1, pad=2)])
def test_no_image_is_no_error(how: Augmentation) -> None:
    none, owner = torch.zeros(0, 3, 20, 20), torch.zeros(0, dtype=torch.int64)
    out, masks = augment(none, none[:, 0], how, seed=7, epoch=3, rows=ROWS[:0], owner=owner)
    assert masks is not None
    assert out.shape[:2] == (0, 3)
    assert out.shape[2:] == masks.shape[1:]
