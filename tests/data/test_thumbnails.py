from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from raysearch.data import phantom_arrays
from raysearch.data._thumbnails import SIDE, same_pictures, thumbnail


def picture(seed: int, height: int = 160, width: int = 128) -> np.ndarray:
    """(height, width) uint8, shapes of several sizes."""
    rng = np.random.default_rng(seed)
    shapes = sum(
        sigma * gaussian_filter(rng.normal(size=(height, width)), sigma)
        for sigma in (width / 8, width / 16, width / 32)
    )
    return np.asarray(128 + 60 * shapes / np.std(shapes)).clip(0, 255).astype(np.uint8)


def saved_again(pixels: np.ndarray, share: float = 1, quality: int = 50) -> np.ndarray:
    image = Image.fromarray(pixels)
    image = image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def groups(*pictures: np.ndarray) -> list[int]:
    return same_pictures(np.stack([thumbnail(pixels[None]) for pixels in pictures])).tolist()


def test_copies_at_another_size_or_saved_again_are_found() -> None:
    one, other = picture(0), picture(1)
    assert groups(other, one, saved_again(one), saved_again(one, 0.5), saved_again(one, 1.7), picture(2), other) == [
        *(0, 1, 1, 1, 1, -1, 0)
    ]


def test_another_picture_is_none_however_alike() -> None:
    """A quarter of another one mixed in, one that is turned, one that is lighter by a tenth of the range."""
    one = picture(0)
    mixed = (0.75 * one + 0.25 * picture(1)).astype(np.uint8)
    assert groups(one, mixed) == [-1, -1]
    assert groups(one, one[:, ::-1].copy()) == [-1, -1]
    assert groups(one, one // 2, one // 2 + 25) == [-1, -1, -1]


def test_blank_pictures_say_nothing_of_who_was_imaged() -> None:
    blank = np.zeros((50, 50), np.uint8)
    speck = blank.copy()
    speck[10, 10] = 40
    assert groups(blank, blank, speck, speck, np.full((50, 50), 200, np.uint8)) == [-1] * 5


def test_copies_of_copies_are_one_picture() -> None:
    """Neighbours are copies, the ends are too far apart to be."""
    one, other = picture(0).astype(float), picture(1).astype(float)
    steps = [(one + share * (other - one)).round().astype(np.uint8) for share in np.linspace(0, 0.4, 9)]
    assert groups(steps[0], steps[-1]) == [-1, -1]
    assert groups(*steps) == [0] * 9


def test_no_phantom_is_a_copy() -> None:
    for task in ("findings", "lungs"):
        made = phantom_arrays("multi", task=task, images=300, size=64).images
        assert (same_pictures(np.stack([thumbnail(pixels) for pixels in made])) == -1).all()


@pytest.mark.parametrize("block", [7, 512])
def test_every_pair_is_compared(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies are found wherever they are, whatever the blocks, and so are hundreds of one picture."""
    monkeypatch.setattr("raysearch.data._thumbnails._BLOCK", block)
    rng = np.random.default_rng(0)
    made = np.stack([thumbnail(picture(seed, 64, 64)[None]) for seed in range(60)])
    noisy = (made[:20].astype(int) + rng.integers(-2, 3, (20, SIDE, SIDE))).clip(0, 255).astype(np.uint8)
    many = (made[59].astype(int) + rng.integers(-1, 2, (40, SIDE, SIDE))).clip(0, 255).astype(np.uint8)
    shuffled = rng.permutation(120)
    found = same_pictures(np.concatenate([made, noisy, many])[shuffled])[np.argsort(shuffled)]
    assert np.array_equal(found[:20], found[60:80])
    assert (found[:20] >= 0).all()
    assert len(set(found[:20].tolist())) == 20
    assert (found[80:] == found[59]).all()
    assert (found[20:59] == -1).all()


def test_none_at_all() -> None:
    assert same_pictures(np.empty((0, SIDE, SIDE), np.uint8)).shape == (0,)
