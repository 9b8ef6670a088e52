"""How many bits there are in 16-bit files: of single images, and of a collection."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from data.data_layouts import save, texture
from data.kind_layouts import make_montgomery
from raysearch.data import CheckReport, DataSpec, check, open_collection, parse_data
from raysearch.data._depth import DEPTHS, Depth, depth_of, to_eight
from raysearch.data._image_file import UnreadableError
from raysearch.data._picture import Picture, read_image
from raysearch.errors import DataError


def widened(pixels: np.ndarray, bits: int) -> np.ndarray:
    return pixels.astype(np.uint16) << (bits - 8)


def read(path: Path, depth: Depth | None = None) -> Picture:
    return read_image(path, 16, 1, depth=depth)


def bright(seed: int = 0) -> np.ndarray:
    pixels = texture(seed, 16, 16)
    pixels[0, :2] = 0, 255
    return pixels


@pytest.mark.parametrize("bits", DEPTHS)
def test_eight_bits_come_back_by_whichever_factor_they_were_stored(bits: int) -> None:
    eight = np.arange(256)
    highest = (1 << bits) - 1
    for stored in (eight << (bits - 8), eight * highest // 255, np.rint(eight * highest / 255).astype(np.int64)):
        np.testing.assert_array_equal(to_eight(stored, bits), eight)
    every = to_eight(np.arange(highest + 1), bits)
    assert (every[0], every[-1]) == (0, 255)
    assert (np.diff(every.astype(int)) >= 0).all()


def test_the_lowest_depth_that_holds_a_value() -> None:
    assert [depth_of(value) for value in (0, 255, 256, 1023, 1024, 4095, 4096, 16383, 16384, 65535)] == [
        *(8, 8, 10, 10, 12, 12, 14, 14, 16, 16)
    ]  # fmt: skip


@pytest.mark.parametrize(("bits", "read_as"), [(8, 8), (12, 12), (16, 16)])
def test_one_picture_is_the_same_at_every_depth(tmp_path: Path, bits: int, read_as: int) -> None:
    eight = bright()
    picture = read(save(tmp_path / "a.png", widened(eight, bits)))
    np.testing.assert_array_equal(picture.pixels[0], eight)
    assert picture.bits == read_as
    assert read(save(tmp_path / "8.png", eight)).bits is None


@pytest.mark.parametrize(("bits", "choice"), [(10, "--bits 10 or --bits 12"), (14, "--bits 14 or --bits 16")])
def test_of_an_image_by_itself_nothing_tells_some_depths(tmp_path: Path, bits: int, choice: str) -> None:
    eight = bright()
    path = save(tmp_path / "a.png", widened(eight, bits))
    with pytest.raises(UnreadableError, match=rf"16-bit pixels: no value is above [\d,]+, .*; tell which by {choice}"):
        read(path)
    np.testing.assert_array_equal(read(path, Depth(bits, stated=True)).pixels[0], eight)


def test_what_is_stated_holds_and_a_value_above_it_is_refused(tmp_path: Path) -> None:
    dark = save(tmp_path / "dark.png", widened(bright() // 32, 16))
    assert read(dark, Depth(16, stated=True)).pixels.max() == 7
    with pytest.raises(
        UnreadableError, match=r"a value of 1,792, expected at most 1,023, the highest of the 10 bits that were"
    ):
        read(dark, Depth(10, stated=True))


def tiff(path: Path, values: np.ndarray, **tags: int) -> Path:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        directory[{"photometric": 262, "highest": 281, "sign": 339}[name]] = value
    Image.fromarray(values).save(path, tiffinfo=directory)
    return path


def test_a_file_may_tell_its_depth(tmp_path: Path) -> None:
    eight = bright() // 8  # 497 at most: 10 bits, or 12 and dark
    path = tiff(tmp_path / "a.tif", widened(eight, 12), highest=4095)
    for depth in (None, Depth(16, stated=False), Depth(16, stated=True)):
        picture = read(path, depth)
        np.testing.assert_array_equal(picture.pixels[0], eight)
        assert picture.bits == 12
    with pytest.raises(UnreadableError, match="10 bits, or 12 and dark"):  # that of this picture alone
        read(tiff(tmp_path / "b.tif", widened(eight, 12), highest=496))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_zero_may_be_white(tmp_path: Path, bits: int) -> None:
    eight = bright()
    # of 8 bits Pillow inverts what it writes as well as what it reads
    stored = eight if bits == 8 else widened(255 - eight, bits)
    picture = read(tiff(tmp_path / "a.tif", stored, photometric=0), Depth(bits, stated=True))
    np.testing.assert_array_equal(picture.pixels[0], eight)


def test_signed_and_32_bit_pixels(tmp_path: Path) -> None:
    path = tiff(tmp_path / "s.tif", bright().astype(np.uint16) * 100, sign=2)
    with pytest.raises(UnreadableError, match="16-bit pixels with a sign"):
        read(path)
    path = save(tmp_path / "w.tif", bright().astype(np.int32) * 257)
    np.testing.assert_array_equal(read(path).pixels[0], bright())
    with pytest.raises(UnreadableError, match="32-bit pixels"):
        read(save(tmp_path / "w.tif", bright().astype(np.int32) * 258))


def colours(path: Path, values: np.ndarray) -> Path:
    """A PNG of 16-bit RGB, which Pillow does not write."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    data = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def test_colours_of_12_bits_in_16_are_refused(tmp_path: Path) -> None:
    eight = np.repeat(bright()[..., None], 3, axis=2)
    full = read_image(colours(tmp_path / "16.png", widened(eight, 16)), 16, 3)
    np.testing.assert_array_equal(full.pixels, eight.transpose(2, 0, 1))
    twelve = colours(tmp_path / "12.png", widened(eight, 12))
    for depth in (None, Depth(12, stated=True)):
        with pytest.raises(UnreadableError, match="colours of 12 bits stored in 16; save it with 8 bits a channel"):
            read_image(twelve, 16, 3, depth=depth)


def montgomery(tmp_path: Path, *values: np.ndarray) -> Path:
    """Three images, of which the first ones are these."""
    root = make_montgomery(tmp_path)
    paths = sorted((root / "MontgomerySet" / "CXR_png").glob("*.png"))
    for path, pixels in zip(paths, values, strict=False):
        save(path, pixels)
    return root


def checked(root: Path, options: str = "") -> CheckReport:
    return check(DataSpec.parse(f"montgomery:{root},size=48{options}"))


def large(seed: int, highest: int = 255) -> np.ndarray:
    pixels = texture(seed, 40, 48)
    pixels[0, 0] = 255
    return (pixels.astype(int) * highest // 255).astype(np.uint8)


def test_a_collection_has_one_depth_which_is_noted(tmp_path: Path) -> None:
    pictures = [large(0), large(1, 100), large(2, 20)]
    root = montgomery(tmp_path, *(widened(pixels, 12) for pixels in pictures))
    report = checked(root)
    assert report.ok
    [note] = [note for note in report.notes if "16-bit" in note]
    assert note.startswith("3 images of 16-bit pixels: no value is above 4,080, they are read as 12 bits (bits=16 if")
    data = open_collection(parse_data(f"montgomery:{root},size=48"), "multi")
    for pixels, image in zip(pictures, data.images, strict=True):  # the dark one stays dark
        np.testing.assert_array_equal(image[0, 4:44], pixels)
    stated = open_collection(parse_data(f"montgomery:{root},size=48,bits=16"), "multi")
    assert stated.images.max() == 16
    assert not any("16-bit" in note for note in stated.notes)


@pytest.mark.parametrize(("bits", "choice"), [(10, "bits=10 or bits=12"), (14, "bits=14 or bits=16")])
def test_of_a_collection_the_user_is_asked(tmp_path: Path, bits: int, choice: str) -> None:
    pictures = [large(0), large(1), large(2)]
    root = montgomery(tmp_path, *(widened(pixels, bits) for pixels in pictures))
    [problem] = checked(root).problems
    assert problem.startswith("3 images of 16-bit pixels: no value is above ")
    assert problem.endswith(f"tell which by {choice}")
    with pytest.raises(DataError, match=choice):
        open_collection(parse_data(f"montgomery:{root},size=48"), "multi")
    data = open_collection(parse_data(f"montgomery:{root},size=48,bits={bits}"), "multi")
    np.testing.assert_array_equal(data.images[:, 0, 4:44], pictures)


def test_images_of_a_lower_depth_than_the_collection_are_problems(tmp_path: Path) -> None:
    root = montgomery(tmp_path, widened(large(0), 16), widened(large(1), 12), large(2))
    [problem] = checked(root).problems
    assert problem.startswith("MCUCXR_0002_0.png: 16-bit pixels: no value is above 4,080, less than a sixteenth of the")
    assert "set bits=16" in problem
    assert checked(root, ",bits=16").ok
    assert "a value of 65,280, expected at most 4,095" in checked(root, ",bits=12").problems[0]


def test_eight_bit_files_have_no_depth(tmp_path: Path) -> None:
    root = montgomery(tmp_path)
    assert not any("bits" in note for note in checked(root).notes)
    assert checked(root, ",bits=12").ok
