"""RandAugment against Pillow, image by image, and its draws against their distribution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from raysearch.data._augment import _DRAWS, augment, uniforms
from raysearch.data._randaugment import DRAWS, OPERATIONS, rand_augment
from raysearch.errors import DataError
from raysearch.method import Augmentation

AFFINE = Image.Transform.AFFINE
PILLOW: dict[str, Callable[[Image.Image, int, int], Image.Image]] = {
    "autocontrast": lambda image, m, side: ImageOps.autocontrast(image),
    "brightness": lambda image, m, side: ImageEnhance.Brightness(image).enhance(m * 0.9 / 10 + 0.05),
    "contrast": lambda image, m, side: ImageEnhance.Contrast(image).enhance(m * 0.9 / 10 + 0.05),
    "equalize": lambda image, m, side: ImageOps.equalize(image),
    "identity": lambda image, m, side: image,
    "posterize": lambda image, m, side: ImageOps.posterize(image, int(m * 4 / 10) + 4),
    "rotate": lambda image, m, side: image.rotate(side * int(m * 30 / 10)),
    "sharpness": lambda image, m, side: ImageEnhance.Sharpness(image).enhance(m * 0.9 / 10 + 0.05),
    "shear_x": lambda image, m, side: image.transform(image.size, AFFINE, (1, side * m * 0.3 / 10, 0, 0, 1, 0)),
    "shear_y": lambda image, m, side: image.transform(image.size, AFFINE, (1, 0, 0, side * m * 0.3 / 10, 1, 0)),
    "solarize": lambda image, m, side: ImageOps.solarize(image, 256 - int(m * 256 / 10)),
    "translate_x": lambda image, m, side: image.transform(
        image.size, AFFINE, (1, 0, int(side * m * 0.3 / 10 * image.size[0]), 0, 1, 0)
    ),
    "translate_y": lambda image, m, side: image.transform(
        image.size, AFFINE, (1, 0, 0, 0, 1, int(side * m * 0.3 / 10 * image.size[1]))
    ),
}
RESAMPLED = {"rotate", "shear_x", "shear_y"}
"""Where a place may lie half-way between two pixels, and Pillow takes the other."""


def pictures(channels: int, height: int, width: int, count: int = 18) -> np.ndarray:
    """(count, C, H, W) uint8: noise of different spread, among them flat images and one of two levels."""
    rng = np.random.default_rng(0)
    spread = np.linspace(0, 1, count)[:, None, None, None]
    noise = rng.integers(0, 256, (count, channels, height, width))
    images = (rng.integers(0, 200, (count, channels, 1, 1)) * (1 - spread) + noise * spread).astype(np.uint8)
    images[-1] = 40 + 7 * (images[-1] > 128)
    return images


def pillow(image: np.ndarray, name: str, magnitude: int, side: int) -> np.ndarray:
    """(C, H, W) uint8."""
    drawn = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    out = np.asarray(PILLOW[name](drawn, magnitude, side))
    return out[None] if out.ndim == 2 else out.transpose(2, 0, 1)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 32, 32), (3, 24, 37), (1, 41, 20)])
def test_an_operation_is_pillows(name: str, channels: int, height: int, width: int) -> None:
    images = pictures(channels, height, width)
    magnitude = torch.arange(len(images)) % 9 + 1
    side = torch.where(torch.arange(len(images)) < 9, 1, -1)
    out = OPERATIONS[name](torch.from_numpy(images).float(), magnitude, side).numpy()
    settings = zip(images, magnitude.tolist(), side.tolist(), strict=True)
    expected = np.stack([pillow(image, name, much, way) for image, much, way in settings])
    different = (out != expected).mean()
    assert different <= (0.004 if name in RESAMPLED else 0)


def test_all_operations_are_compared() -> None:
    assert list(OPERATIONS) == list(PILLOW)
    images = torch.from_numpy(pictures(1, 32, 32)).float()
    magnitude, side = torch.full((len(images),), 5), torch.ones(len(images), dtype=torch.int64)
    unchanged = {name for name, act in OPERATIONS.items() if torch.equal(act(images, magnitude, side), images)}
    assert unchanged == {"identity"}


def drawn(seed: int, rows: np.ndarray, operations: int, magnitude: int) -> list[list[tuple[str, bool, int, int]]]:
    """By image and turn: name, whether done, magnitude, side; from the numbers that `augment` draws."""
    numbers = uniforms(seed, 3, rows, _DRAWS + DRAWS * operations)[:, _DRAWS:].reshape(len(rows), operations, DRAWS)
    names = list(OPERATIONS)
    return [
        [
            (names[int(a * len(names))], b < 0.5, 1 + int(c * (magnitude - 1)), -1 if d < 0.5 else 1)
            for a, b, c, d in turn
        ]
        for turn in numbers
    ]


@given(st.integers(0, 1000), st.sampled_from([1, 3]), st.integers(1, 3), st.integers(2, 11))
def test_images_get_their_own_operations_in_turn(seed: int, channels: int, operations: int, magnitude: int) -> None:
    rows = np.arange(5, 13)
    images = torch.from_numpy(pictures(channels, 20, 20, count=8)).float() / 255
    how = Augmentation(operations=operations, magnitude=magnitude)
    out, _ = augment(images, None, how, seed=seed, epoch=3, rows=rows)
    for image, after, turns in zip(images, out, drawn(seed, rows, operations, magnitude), strict=True):
        levels = (image[None] * 255).round()
        for name, done, much, side in turns:
            if done:
                levels = OPERATIONS[name](levels, torch.tensor([much]), torch.tensor([side]))
        torch.testing.assert_close(after * 255, levels[0], rtol=0, atol=1e-4)


def test_draws_are_those_of_the_paper() -> None:
    turns = [turn for image in drawn(1, np.arange(6000), 2, 10) for turn in image]
    names, done, magnitudes, sides = zip(*turns, strict=True)
    assert {name: pytest.approx(1 / 13, abs=0.01) for name in OPERATIONS} == {
        name: names.count(name) / len(turns) for name in OPERATIONS
    }
    assert np.mean(done) == pytest.approx(0.5, abs=0.02)
    assert set(magnitudes) == set(range(1, 10))
    assert np.bincount(magnitudes)[1:] / len(turns) == pytest.approx(np.full(9, 1 / 9), abs=0.015)
    assert np.mean(sides) == pytest.approx(0, abs=0.03)


def test_images_that_drew_none_are_as_they_were() -> None:
    images = torch.rand(64, 1, 8, 8)
    draws = torch.rand(64, 2 * DRAWS)
    out = rand_augment(images, draws, 2, 10)
    untouched = (draws.view(64, 2, DRAWS)[..., 1] >= 0.5).all(1)
    assert 0 < int(untouched.sum()) < 64
    assert torch.equal(out[untouched], images[untouched])
    assert float(out.min()) >= 0
    assert float(out.max()) <= 1


def test_no_image_is_no_error() -> None:
    out, _ = augment(
        torch.zeros(0, 1, 8, 8), None, Augmentation(operations=2), seed=0, epoch=0, rows=np.zeros(0, np.int64)
    )
    assert out.shape == (0, 1, 8, 8)


def test_masks_and_magnitudes_that_do_not_fit_are_refused() -> None:
    images, rows = torch.rand(2, 1, 8, 8), np.arange(2)
    with pytest.raises(DataError, match="masks, which cannot follow them: use operations=0") as error:
        augment(images, images[:, 0], Augmentation(operations=2), seed=0, epoch=0, rows=rows, owner=torch.arange(2))
    assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="magnitude of 1: expected a whole number from 2 to 11"):
        augment(images, None, Augmentation(operations=2, magnitude=1), seed=0, epoch=0, rows=rows)
