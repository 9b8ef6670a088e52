"""What of a mask file is the region: by a stated rule, or refused."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter, TiffImagePlugin

from data.data_layouts import save
from raysearch.data import CheckReport, DataSpec, check
from raysearch.data._image_file import UnreadableError
from raysearch.data._manifest import Brighter, Foreground, OtherColour, Values
from raysearch.data._mask_file import read_foreground
from raysearch.data._mask_levels import region_of

ROWS, COLUMNS = np.mgrid[:64, :64]
DISK = (ROWS - 32) ** 2 + (COLUMNS - 30) ** 2 < 15**2
WHITE, BLACK, RED = (255, 255, 255), (0, 0, 0), (255, 0, 0)
GRAY = Brighter(127)


def rgba(path: Path, colour: tuple[int, ...], hidden: tuple[int, ...], alpha: int = 255) -> Path:
    """The disk in a colour, all else transparent."""
    pixels = np.empty((64, 64, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = hidden, 0
    pixels[DISK] = (*colour, alpha)
    return save(path, pixels)


@pytest.mark.parametrize("foreground", [None, GRAY])
@pytest.mark.parametrize(("colour", "hidden"), [(WHITE, WHITE), (BLACK, BLACK), (RED, RED), (WHITE, BLACK)])
def test_a_mask_may_be_drawn_into_the_alpha_channel(
    tmp_path: Path, colour: tuple[int, ...], hidden: tuple[int, ...], foreground: Foreground | None
) -> None:
    np.testing.assert_array_equal(read_foreground(rgba(tmp_path / "m.png", colour, hidden), foreground), DISK)


def test_alpha_of_gray_and_of_palettes(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    Image.fromarray(np.dstack([0 * DISK, 255 * DISK]).astype(np.uint8), "LA").save(path)
    np.testing.assert_array_equal(read_foreground(path, None), DISK)
    for transparency in (0, b"\0\xff"):
        palette(path, DISK, BLACK, WHITE, transparency=transparency)
        for foreground in (None, GRAY):
            np.testing.assert_array_equal(read_foreground(path, foreground), DISK)
    Image.fromarray(255 * DISK.astype(np.uint8)).save(path, transparency=0)
    np.testing.assert_array_equal(read_foreground(path, None), DISK)


def test_nothing_drawn_is_an_empty_mask_and_opaque_ones_are_read_by_their_colours(tmp_path: Path) -> None:
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[..., 3] = 0
    assert not read_foreground(save(tmp_path / "m.png", pixels), None).any()
    pixels[..., 3] = 255
    pixels[2:, :, :3] = 0
    assert read_foreground(save(tmp_path / "m.png", pixels), None).mean() == 0.25
    pixels[..., 3] = 128
    assert read_foreground(save(tmp_path / "m.png", pixels), None).mean() == 0.25


def test_colours_on_transparent_black_are_read(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:2, :, 0] = pixels[2:4, :, 1] = pixels[:6, :, 3] = 255  # two regions, and opaque black
    assert read_foreground(save(tmp_path / "m.png", pixels), None).mean() == 0.5


@pytest.mark.parametrize("foreground", [None, GRAY])
def test_alpha_that_contradicts_the_colours_is_refused(tmp_path: Path, foreground: Foreground | None) -> None:
    with pytest.raises(UnreadableError, match="an alpha channel and colours that both vary"):
        read_foreground(rgba(tmp_path / "m.png", BLACK, WHITE), foreground)
    overlay = np.zeros((8, 8, 4), np.uint8)
    overlay[:2, :, 0], overlay[..., 3], overlay[:4, :, 3] = 255, 255, 128
    with pytest.raises(UnreadableError, match="an alpha channel and colours that both vary"):
        read_foreground(save(tmp_path / "m.png", overlay), foreground)


@pytest.mark.parametrize("foreground", [Values((1,), (1, 2)), OtherColour((0, 0, 254), 40)])
def test_alpha_is_never_dropped(tmp_path: Path, foreground: Foreground) -> None:
    with pytest.raises(UnreadableError, match="an alpha channel that varies"):
        read_foreground(rgba(tmp_path / "m.png", (1, 1, 1), (1, 1, 1)), foreground)


def palette(path: Path, indices: np.ndarray, *colours: tuple[int, ...], **options: int | bytes) -> Path:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette([channel for colour in colours for channel in colour])
    image.save(path, **options)
    return path


def test_indices_are_meant_where_the_colours_do_not_contradict_them(tmp_path: Path) -> None:
    regions = DISK * 1 + (ROWS < 4) * 2
    for colours in ((BLACK, (128, 0, 0), (0, 128, 0)), (WHITE, RED, BLACK), (BLACK, WHITE, (128, 128, 128))):
        path = palette(tmp_path / "m.png", regions, *colours)
        np.testing.assert_array_equal(read_foreground(path, None), regions > 0)


@pytest.mark.parametrize("background", [WHITE, BLACK])
def test_a_palette_in_which_0_is_a_colour_and_another_index_black_or_white_is_refused(
    tmp_path: Path, background: tuple[int, int, int]
) -> None:
    path = palette(tmp_path / "m.png", 1 - DISK, RED, background)  # so do programs that sort colours
    with pytest.raises(UnreadableError, match=r"a palette in which 1 is (black|white) and 0 a colour"):
        read_foreground(path, None)


def coloured(*colours: tuple[int, int, int], background: tuple[int, int, int] = BLACK) -> np.ndarray:
    """Rows of 8 pixels in these colours on the left, the background on the right."""
    pixels = np.empty((64, 64, 3), np.uint8)
    pixels[:] = background
    for row, colour in enumerate(colours):
        pixels[8 * row : 8 * row + 8, :32] = colour
    return pixels


def test_colours_on_black_number_regions_however_bright_they_are(tmp_path: Path) -> None:
    pixels = coloured((200, 10, 30), (10, 220, 40), (5, 5, 250), (40, 0, 0))
    np.testing.assert_array_equal(read_foreground(save(tmp_path / "m.png", pixels), None), pixels.any(axis=2))


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (coloured(RED, (0, 128, 0), background=WHITE), "colours and no black"),
        (coloured(RED, WHITE), "colours beside black and white"),
    ],
)
def test_colours_that_do_not_tell_the_background_are_refused(tmp_path: Path, pixels: np.ndarray, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        read_foreground(save(tmp_path / "m.png", pixels), None)


@pytest.mark.parametrize(
    ("pixels", "foreground", "said"),
    [
        (coloured(RED), GRAY, "colours; expected black and white"),
        ((5 * DISK).astype(np.uint8), GRAY, "no value above 5; expected black and white, 0 to 255"),
        ((765 * DISK).astype(np.uint16), GRAY, "no value above 765, which is white in no depth"),
        ((0.6 * DISK).astype(np.float32), GRAY, "floating-point values that are not whole numbers"),
        ((255 * DISK).astype(np.uint8), OtherColour((0, 0, 254), 40), "gray alone, expected the background in"),
    ],
)
def test_masks_written_in_another_way_than_their_release_says_are_refused(
    tmp_path: Path, pixels: np.ndarray, foreground: Foreground, said: str
) -> None:
    with pytest.raises(UnreadableError, match=said):
        read_foreground(save(tmp_path / "m.tif", pixels), foreground)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
@pytest.mark.parametrize("indices", [DISK, 0 * DISK, 1 | DISK], ids=["both", "0 alone", "1 alone"])
def test_a_palette_of_grays_whose_order_is_inverted_is_refused(
    tmp_path: Path, indices: np.ndarray, suffix: str
) -> None:
    path = palette(tmp_path / f"m.{suffix}", indices, WHITE, BLACK)
    with pytest.raises(UnreadableError, match="a palette in which 0 is lighter than"):
        read_foreground(path, None)
    np.testing.assert_array_equal(read_foreground(path, GRAY), indices == 0)  # palettes are looked up


def white_is_zero(path: Path, values: np.ndarray) -> Path:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[262] = 0
    Image.fromarray(values).save(path, tiffinfo=directory)
    assert Image.open(path).tag_v2[262] == 0
    return path


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16])
def test_where_zero_is_white_what_is_shown_is_the_region(tmp_path: Path, dtype: type) -> None:
    # up to 8 bits Pillow inverts what it writes as well as what it reads
    stored = np.where(DISK, 0, 65535).astype(dtype) if dtype is np.uint16 else DISK.astype(dtype) * dtype(255)
    path = white_is_zero(tmp_path / "m.tif", stored)
    for foreground in (None, GRAY):
        np.testing.assert_array_equal(read_foreground(path, foreground), DISK)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbers_where_zero_is_white_are_refused(tmp_path: Path, dtype: type) -> None:
    path = white_is_zero(tmp_path / "m.tif", DISK.astype(dtype))
    for foreground in (None, Values((1,), (0, 1))):
        with pytest.raises(UnreadableError, match="a TIFF in which 0 is white"):
            read_foreground(path, foreground)


def soft(radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(255 * DISK.astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius)))


def lossy(quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(255 * DISK.astype(np.uint8)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


HEAT = np.round(255 * np.exp(-((np.mgrid[:256, :256] - 128) ** 2).sum(axis=0) / (2 * 30**2)))
"""A map that rises slowly: of a network, not of a region."""


@pytest.mark.parametrize(
    "values",
    [
        *(DISK, DISK * 7, DISK * 255, DISK * 4095, DISK * 65535, np.where(DISK, 252, 3), DISK * 250 + ROWS % 3),
        *(soft(0.8), soft(2), soft(2).astype(int) * 257, lossy(95), lossy(75), lossy(40)),
    ],
)
def test_black_and_white_in_all_its_forms(values: np.ndarray) -> None:
    found = region_of(values.astype(np.int64))
    assert (found != DISK).sum() <= 16, "a strong blur cuts corners"
    np.testing.assert_array_equal(found, values > values.max() / 2)


def test_numbers_of_regions_are_all_but_zero() -> None:
    for numbers in (DISK * 1 + (ROWS < 8) * 2, DISK * 3 + (ROWS < 8) * 60 + (ROWS > 60) * 7, (ROWS // 8) * 20):
        np.testing.assert_array_equal(region_of(numbers), numbers > 0)
    many = DISK * 300 + (ROWS < 8) * 2
    np.testing.assert_array_equal(region_of(many), many > 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.where(ROWS < 8, 255, DISK), r"255 beside low numbers, white or void, .* values are 0, 1, 255; expected"),
        (np.where(DISK, 255, 1), "255 beside low numbers, white or void"),
        (np.where(ROWS < 8, 65535, DISK), "65535 beside low numbers, white or void"),
        (np.where(ROWS < 8, 128, 255 * DISK), r"labels or black and white, nothing tells; its values are 0, 128, 255"),
        ((ROWS // 8) * 36, "labels or black and white"),
        (soft(2).astype(int) * 2 // 3, r"gray edges up to 1\d\d"),
        (HEAT, "labels or black and white, nothing tells"),
        (np.linspace(0, 255, 64 * 64).reshape(64, 64).round(), "labels or black and white, nothing tells"),
        (np.random.default_rng(0).integers(0, 256, (64, 64)), "labels or black and white, nothing tells"),
    ],
)
def test_values_that_nothing_tells_the_meaning_of_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(UnreadableError, match=message):
        region_of(values.astype(np.int64))


@given(seed=st.integers(0, 1000), value=st.integers(1, 65535), share=st.sampled_from([0.0, 0.01, 0.5, 1.0]))
def test_one_value_beside_zero_is_the_region(seed: int, value: int, share: float) -> None:
    region = np.random.default_rng(seed).random((13, 17)) < share
    np.testing.assert_array_equal(region_of(region * value), region)


def test_void_beside_ones_is_refused_for_gray_masks(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.where(ROWS < 8, 255, DISK).astype(np.uint8))
    with pytest.raises(UnreadableError, match="values of 0 and 1 only beside 255, white or void"):
        read_foreground(path, GRAY)
    path = save(tmp_path / "m.png", DISK.astype(np.uint16) * 4095)
    np.testing.assert_array_equal(read_foreground(path, GRAY), DISK)


def test_masks_of_other_colour_spaces_and_of_fractions_are_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "m.tif")
    with pytest.raises(UnreadableError, match="CMYK pixels; expected gray, a palette or RGB"):
        read_foreground(tmp_path / "m.tif", None)
    np.testing.assert_array_equal(read_foreground(save(tmp_path / "m.tif", DISK.astype(np.float32)), None), DISK)
    for value in (0.5, np.nan):
        with pytest.raises(UnreadableError, match="floating-point values that are not whole numbers"):
            read_foreground(save(tmp_path / "m.tif", np.where(DISK, value, 0).astype(np.float32)), None)


def checked(root: Path, options: str = "") -> CheckReport:
    return check(DataSpec.parse(f"covid_chestxray:{root},size=64{options}"))


@pytest.mark.parametrize("colour", [WHITE, BLACK])
def test_lesions_in_the_alpha_channel_are_present(tmp_path: Path, colour: tuple[int, ...]) -> None:
    save(tmp_path / "images" / "a.png", np.arange(4096, dtype=np.uint16).reshape(64, 64).astype(np.uint8))
    (tmp_path / "metadata.csv").write_text("patientid,finding,modality,filename\n1,COVID-19,X-ray,a.png\n")
    for name in ("consolidation", "ground_glass_opacities", "pleural_effusion", "pneumothorax"):
        rgba(tmp_path / "segmentations" / name / "a.png", colour, colour)
    report = checked(tmp_path, ",task=lesions")
    assert report.ok
    assert [count.present for count in report.classes] == [1, 1, 1, 1]
    assert report.classes[0].foreground_share == pytest.approx(DISK.mean())
