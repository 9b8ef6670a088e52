"""Files as viewers show them; whatever is wrong with one is one exception."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.data_layouts import save, texture
from data.kind_layouts import make_cub, make_montgomery
from raysearch.data import DataSpec, check, open_collection, parse_data
from raysearch.data._image_file import UnreadableError, load
from raysearch.data._picture import Fit, read_image
from raysearch.data._regions import read_mask

ORIENTATION = 0x0112
STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}
"""EXIF orientation to the pixels of a file, in terms of the picture that viewers show (EXIF 2.32, 4.6.4)."""


def stored(path: Path, upright: np.ndarray, orientation: int, **options: object) -> Path:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))).save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize(("suffix", "options"), [("png", {}), ("tif", {}), ("tif", {"compression": "tiff_lzw"})])
@pytest.mark.parametrize("orientation", STORED)
def test_images_are_read_upright(tmp_path: Path, orientation: int, suffix: str, options: dict[str, str]) -> None:
    upright = texture(0, 6, 8)
    picture = read_image(stored(tmp_path / f"a.{suffix}", upright, orientation, **options), 8, 1)
    assert picture.fit.source == (8, 6)
    assert picture.turned == (orientation != 1)
    np.testing.assert_array_equal(picture.pixels[0][picture.fit.window], upright)


def test_jpeg_files_are_read_upright(tmp_path: Path) -> None:
    upright = np.repeat(np.repeat(texture(0, 2, 3), 8, axis=0), 8, axis=1)
    picture = read_image(stored(tmp_path / "a.jpg", upright, 6, quality=100), 24, 1)
    found = picture.pixels[0][picture.fit.window]
    assert np.abs(found.astype(int) - upright).max() <= 4


def test_an_orientation_that_says_nothing_is_upright(tmp_path: Path) -> None:
    upright = texture(0, 8, 8)
    path = tmp_path / "a.jpg"
    stored(path, upright, 3, quality=100)
    data = path.read_bytes()
    start = data.index(b"Exif\0\0") + 6
    path.write_bytes(data[:start] + b"nonsense" + data[start + 8 :])
    assert not read_image(path, 8, 1).turned


@pytest.mark.parametrize("orientation", [3, 6])
def test_masks_are_read_upright(tmp_path: Path, orientation: int) -> None:
    mask = np.zeros((6, 8), np.uint8)
    mask[0, :3] = 255
    read = read_mask([stored(tmp_path / "m.png", mask, orientation)], Fit((8, 6), 8))
    np.testing.assert_array_equal(read[1:7] * 255, mask)


def test_a_mask_of_the_image_as_it_is_stored_does_not_fit(tmp_path: Path) -> None:
    """As a program makes it that does not know of orientations."""
    picture = read_image(stored(tmp_path / "a.png", texture(0, 6, 8), 6), 8, 1)
    mask = save(tmp_path / "m.png", np.zeros((8, 6), np.uint8))
    with pytest.raises(UnreadableError, match=r"6x8 does not fit the image of 8x6; .*, upright as viewers show"):
        read_mask([mask], picture.fit)


def test_a_collection_tells_how_many_images_were_turned(tmp_path: Path) -> None:
    root = make_cub(tmp_path)
    paths = sorted((root / "CUB_200_2011" / "images").rglob("*.jpg"))
    same = open_collection(parse_data(f"cub:{root},size=60"), "multi")
    for path in paths[:2]:
        stored(path, np.asarray(Image.open(path)), 3, quality=100)
    report = check(DataSpec.parse(f"cub:{root},size=60"))
    assert report.ok
    assert [note for note in report.notes if "orientation" in note] == [
        "2 images turned upright, as the EXIF orientation says: masks and boxes are taken to be of the upright image"
    ]
    assert not any("orientation" in note for note in same.notes)
    turned = open_collection(parse_data(f"cub:{root},size=60"), "multi")
    assert np.abs(turned.images.astype(int) - same.images).mean() < 3


def test_colours_that_nothing_converts_are_one_problem(tmp_path: Path) -> None:
    lab = Image.new("LAB", (48, 40), (90, 0, 0))
    lab.save(tmp_path / "lab.tif")
    with pytest.raises(UnreadableError, match="LAB pixels, which cannot be converted to gray; save it in gray or RGB"):
        read_image(tmp_path / "lab.tif", 48, 1)
    root = make_montgomery(tmp_path)
    images = root / "MontgomerySet" / "CXR_png"
    (images / "MCUCXR_0001_0.png").unlink()
    lab.save(images / "MCUCXR_0001_0.tif")
    [problem] = check(DataSpec.parse(f"montgomery:{root},size=48")).problems
    assert problem.startswith("MCUCXR_0001_0.tif: LAB pixels")
    lab.save(root / "MontgomerySet" / "ManualMask" / "leftMask" / "MCUCXR_0002_0.png", "TIFF")
    problems = check(DataSpec.parse(f"montgomery:{root},size=48")).problems
    assert problems[1].startswith("MCUCXR_0002_0.png: mask leftMask/MCUCXR_0002_0.png: LAB pixels")


def test_a_conversion_that_fails_in_any_way_is_an_unreadable_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.png", texture(0, 8, 8, 3))

    def fail(*_: object) -> None:
        raise RuntimeError("strange\nbytes")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(UnreadableError, match=r"corrupt or truncated \(strange bytes\)"):
        read_image(path, 8, 1)


def test_a_picture_in_the_alpha_channel_alone_is_refused(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 3] = texture(0, 8, 8)
    with pytest.raises(UnreadableError, match="the picture in the alpha channel; save it without transparency"):
        read_image(save(tmp_path / "a.png", pixels), 8, 1)


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_several_pictures_in_one_file_are_refused(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 100, 200)]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableError, match=r"^3 pictures in one file; expected one"):
        load(path)


def test_reduced_copies_in_a_tiff_are_no_other_pictures(tmp_path: Path) -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    reduced = Image.fromarray(pixels[::2, ::2])
    reduced.encoderinfo = {"tiffinfo": {254: 1}}
    Image.fromarray(pixels).save(tmp_path / "a.tif", save_all=True, append_images=[reduced])
    np.testing.assert_array_equal(np.asarray(load(tmp_path / "a.tif").image), pixels)


def test_what_the_system_refuses_is_not_called_corrupt(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UnreadableError, match=r"^not readable: Is a directory$"):
        load(tmp_path / "a.png")
