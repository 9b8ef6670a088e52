from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data.data_layouts import save, texture
from raysearch.data._fit import Fit
from raysearch.data._image_file import UnreadableError
from raysearch.data._manifest import Boxes
from raysearch.data._picture import read_image
from raysearch.data._regions import draw_boxes, read_mask


@given(width=st.integers(1, 300), height=st.integers(1, 300), size=st.integers(1, 128))
def test_fit_keeps_aspect_and_centres(width: int, height: int, size: int) -> None:
    fit = Fit((width, height), size)
    placed, offset = fit.placed, fit.offset
    assert max(placed) == size
    assert abs(placed[0] * height - placed[1] * width) <= max(width, height)
    for axis in range(2):
        after = size - placed[axis] - offset[axis]
        assert 0 <= offset[axis] <= after <= offset[axis] + 1


def test_gray_image_is_padded_to_a_square(tmp_path: Path) -> None:
    pixels = texture(0, 20, 40)
    image, fit, *_ = read_image(save(tmp_path / "a.png", pixels), 40, channels=1)
    assert image.shape == (1, 40, 40)
    np.testing.assert_array_equal(image[0, 10:30], pixels)
    assert not image[0, :10].any()
    assert not image[0, 30:].any()
    assert fit.source == (40, 20)


def test_shrinking_averages(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64), np.uint8)
    pixels[::2] = 255  # without antialiasing every second row would be all that is seen
    image, *_ = read_image(save(tmp_path / "a.png", pixels), 8, channels=1)
    assert abs(int(image[0, 4, 4]) - 128) <= 2


def test_color_stays_color_and_coded_gray_becomes_gray(tmp_path: Path) -> None:
    pixels = texture(0, 8, 8, 3)
    image, *_ = read_image(save(tmp_path / "c.png", pixels), 8, channels=3)
    np.testing.assert_array_equal(image, pixels.transpose(2, 0, 1))
    gray = texture(1, 8, 8)
    image, *_ = read_image(save(tmp_path / "g.png", np.repeat(gray[..., None], 3, axis=2)), 8, channels=1)
    np.testing.assert_array_equal(image[0], gray)


def test_16_bit_images_map_linearly(tmp_path: Path) -> None:
    wide = np.array([[0, 257, 65535], [128, 129, 32896]], np.uint16).repeat(2, axis=0)[:3]
    image, *_ = read_image(save(tmp_path / "w.png", wide), 3, channels=1)
    np.testing.assert_array_equal(image[0], np.round(wide / 257).astype(np.uint8))


def test_palette_images_are_looked_up(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "L").convert("P")
    image.putpalette([200, 200, 200, 10, 10, 10])
    image.putdata([0, 1, 1, 0])
    image.save(tmp_path / "p.png")
    pixels, *_ = read_image(tmp_path / "p.png", 2, channels=1)
    np.testing.assert_array_equal(pixels[0], [[200, 10], [10, 200]])


def test_transparency_is_dropped(tmp_path: Path) -> None:
    pixels = texture(0, 8, 8, 4)
    pixels[..., 3] = 0
    image, *_ = read_image(save(tmp_path / "t.png", pixels), 8, channels=3)
    np.testing.assert_array_equal(image, pixels[..., :3].transpose(2, 0, 1))


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.write_bytes({"truncated": data[: len(data) // 2], "zero": b"", "text": b"hello" * 50}[how])


@pytest.mark.parametrize(
    ("how", "message"), [("truncated", "corrupt or truncated"), ("zero", "zero bytes"), ("text", "not an image")]
)
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_damaged_files_are_told_apart(tmp_path: Path, how: str, message: str, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", texture(0, 64, 64))
    damage(path, how)
    with pytest.raises(UnreadableError, match=message):
        read_image(path, 64, channels=1)


def test_oversized_images_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    Image.new("1", (9_000, 9_500)).save(tmp_path / "bomb.png")
    with pytest.raises(UnreadableError, match=r"oversized: 9000x9500"):
        read_image(tmp_path / "bomb.png", 8, channels=1)


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "f.tiff", np.zeros((4, 4), np.float32))
    with pytest.raises(UnreadableError, match=r"floating-point"):
        read_image(tmp_path / "f.tiff", 4, channels=1)


def test_masks_are_the_union_of_what_is_not_zero(tmp_path: Path) -> None:
    first, second = np.zeros((2, 8, 8), np.uint8)
    first[0] = 1
    second[:, 0] = 9
    paths = [save(tmp_path / "1.png", first), save(tmp_path / "2.bmp", second)]
    np.testing.assert_array_equal(read_mask(paths, Fit((8, 8), 8)), (first + second) > 0)


def test_transparency_of_a_mask_is_no_foreground(tmp_path: Path) -> None:
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[..., 3] = 255
    mask[1, 2, 0] = 255
    read = read_mask([save(tmp_path / "m.png", mask)], Fit((4, 4), 4))
    np.testing.assert_array_equal(np.argwhere(read), [[1, 2]])


def test_mask_pixels_are_those_at_least_half_covered(tmp_path: Path) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[0, :2] = 255  # half of the top left cell
    mask[2, 2] = 255  # a quarter of another
    small = read_mask([save(tmp_path / "m.png", mask)], Fit((8, 8), 4))
    expected = np.zeros((4, 4), np.uint8)
    expected[0, 0] = 1
    np.testing.assert_array_equal(small, expected)


@given(seed=st.integers(0, 1000), size=st.integers(3, 40), share=st.sampled_from([0.0, 0.001, 0.05, 0.5, 1.0]))
def test_a_mask_is_empty_exactly_if_its_source_is(tmp_path_factory, seed: int, size: int, share: float) -> None:
    mask = (np.random.default_rng(seed).random((30, 47)) < share).astype(np.uint8)
    path = save(tmp_path_factory.mktemp("mask") / "m.png", mask)
    assert read_mask([path], Fit((47, 30), size)).any() == mask.any()


def test_a_line_thinner_than_half_a_pixel_stays_whole(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 21] = 1
    small = read_mask([save(tmp_path / "m.png", mask)], Fit((64, 64), 16))
    assert small[:, 5].all()
    assert small.sum() == 16


def test_an_exact_rescale_of_a_mask_fits_and_another_aspect_does_not(tmp_path: Path) -> None:
    mask = np.zeros((10, 20), np.uint8)
    mask[:, :10] = 1
    path = save(tmp_path / "m.png", mask)
    assert read_mask([path], Fit((60, 30), 60))[15:45, :30].all()
    with pytest.raises(UnreadableError, match=r"m.png: 20x10 does not fit the image of 60x60"):
        read_mask([path], Fit((60, 60), 60))


def test_a_mask_with_lossy_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"JPEG data"):
        read_mask([save(tmp_path / "m.jpg", np.zeros((8, 8), np.uint8))], Fit((8, 8), 8))


def slow_boxes(region: Boxes, fit: Fit) -> np.ndarray:
    mask = np.zeros((fit.size, fit.size), np.uint8)
    (width, height), (left, top) = fit.placed, fit.offset
    for x, y, w, h in region.boxes:
        for row in range(height):
            for column in range(width):
                cx = (column + 0.5) * region.frame[0] / width
                cy = (row + 0.5) * region.frame[1] / height
                mask[top + row, left + column] |= x <= cx < x + w and y <= cy < y + h
    return mask


left = st.integers(0, 14).map(lambda cell: cell * 6.1)
top = st.integers(0, 10).map(lambda cell: cell * 6.1)
side = st.integers(1, 6).map(lambda cells: 4.3 * cells + 4.0)  # covers a centre of every grid below


@given(boxes=st.lists(st.tuples(left, top, side, side), min_size=1, max_size=3), size=st.integers(20, 33))
def test_boxes_cover_the_pixels_whose_centres_they_hold(boxes: list[tuple[float, ...]], size: int) -> None:
    region = Boxes(np.array(boxes), (96, 72))
    fit = Fit((192, 144), size)
    np.testing.assert_array_equal(draw_boxes(region, fit), slow_boxes(region, fit))


@given(x=st.floats(0, 99.9), y=st.floats(0, 49.9), side=st.floats(0.01, 0.5))
def test_a_tiny_box_keeps_the_pixel_that_holds_its_centre(x: float, y: float, side: float) -> None:
    fit = Fit((100, 50), 10)
    mask = draw_boxes(Boxes(np.array([[x, y, side, side]]), (100, 50)), fit)
    assert mask.sum() == 1
    row, column = np.argwhere(mask)[0]
    assert abs((row - 2 + 0.5) * 10 - y) <= 5.5
    assert abs((column + 0.5) * 10 - x) <= 5.5


def test_an_empty_file_of_an_object_that_is_shown_makes_its_region_unknown(tmp_path: Path) -> None:
    left, none = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    left[:, :4] = 255
    paths = [save(tmp_path / "left.png", left), save(tmp_path / "right.png", none)]
    assert read_mask(paths, Fit((8, 8), 8)).sum() == 32
    assert not read_mask(paths, Fit((8, 8), 8), shown=True).any()
