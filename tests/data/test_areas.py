"""Areas of pictures and boxes of regions: from files into a collection, past the guard, into batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from data.data_layouts import GLAS_FOLDER, GLAS_ROWS, make_glas, save, texture
from raysearch.data import Collection, guard, join, open_collection, parse_data
from raysearch.data._fit import Fit
from raysearch.data._loader import Loader
from raysearch.data._manifest import Boxes
from raysearch.data._pool import pool_of
from raysearch.data._regions import draw_boxes, place_boxes
from raysearch.data._spec import JoinedSpec
from raysearch.method import Augmentation, Batch, Stream, shuffled


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """CUB in small: six pictures of 80 x 40, and one of 40 x 40, with a box each."""
    root = tmp_path_factory.mktemp("cub")
    sizes = [(80, 40)] * 6 + [(40, 40)]
    for number, (width, height) in enumerate(sizes, start=1):
        save(root / "images" / "001.Bird" / f"Bird_{number}.jpg", texture(number, height, width, 3))
    tables = {
        "classes.txt": ["1 001.Bird"],
        "images.txt": [f"{n} 001.Bird/Bird_{n}.jpg" for n in range(1, 8)],
        "image_class_labels.txt": [f"{n} 1" for n in range(1, 8)],
        "train_test_split.txt": [f"{n} {int(n < 6)}" for n in range(1, 8)],
        "bounding_boxes.txt": [f"{n} {n}.5 4.0 20.25 30.0" for n in range(1, 8)],
    }
    for name, lines in tables.items():
        (root / name).write_text("\n".join(lines) + "\n")
    return open_collection(parse_data(f"cub:{root},regions=boxes,size=32"), "single")


def test_a_collection_knows_where_its_pictures_and_boxes_are(birds: Collection) -> None:
    assert birds.areas is not None
    assert birds.areas.tolist() == [[0, 8, 32, 24]] * 6 + [[0, 0, 32, 32]]
    scale = 32 / 80
    expected = [[(n + 0.5) * scale, 8 + 4 * scale, (n + 20.75) * scale, 8 + 34 * scale] for n in range(1, 7)]
    expected.append([7.5 * 0.8, 4 * 0.8, 27.75 * 0.8, 34 * 0.8])
    np.testing.assert_allclose(birds.boxes, expected, rtol=1e-12)
    assert birds.box_mask.tolist() == list(range(7))
    boxes, owner = birds.boxes_of(np.array([3, 1]))
    np.testing.assert_array_equal(boxes, birds.boxes[[3, 1]])
    assert owner.tolist() == [0, 1]
    inside = birds.inside(np.array([0, 6]))
    assert inside is not None
    assert inside.sum(axis=(1, 2)).tolist() == [16 * 32, 32 * 32]
    assert inside[0, 8:24].all()
    assert birds.inside(np.array([6])) is None


def test_square_pictures_have_no_areas() -> None:
    assert open_collection(parse_data("phantom:images=16,size=32"), "single").areas is None


def test_boxes_of_the_test_split_are_out_of_reach(birds: Collection) -> None:
    allowed = guard(birds, np.array([0, 2]))
    np.testing.assert_array_equal(allowed.boxes, birds.boxes[[0, 2]])
    assert allowed.box_mask.tolist() == [0, 2]
    assert allowed.boxes_of(np.array([1]))[0].shape == (0, 4)


def batches(birds: Collection, how: Augmentation) -> list[Batch]:
    rows = np.arange(7)
    stream = Stream(name="all", draw=shuffled, batch=7, augmentation=how)
    return list(Loader(birds, pool_of(birds, rows, rows, rows), [stream], 0, pixel=True).epoch(0))


def test_batches_carry_both(birds: Collection) -> None:
    (batch,) = batches(birds, Augmentation())
    assert batch.inside is not None
    assert batch.boxes is not None
    inside = birds.inside(batch.index.numpy())
    assert inside is not None
    assert torch.equal(batch.inside, torch.from_numpy(inside))
    np.testing.assert_array_equal(batch.boxes.boxes, birds.boxes[batch.index.numpy()])
    moved = batch.to(torch.device("cpu"))
    assert moved.boxes is not None
    assert torch.equal(moved.boxes.region, batch.boxes.region)


def test_a_crop_takes_boxes_along_or_leaves_them_behind(birds: Collection) -> None:
    (batch,) = batches(birds, Augmentation(crop=12))
    assert batch.masks is not None
    assert batch.inside is not None
    assert batch.inside.shape == (7, 12, 12)
    if batch.boxes is not None:
        assert batch.boxes.boxes.min() >= 0
        assert batch.boxes.boxes.max() <= 12
        assert int(batch.boxes.region.max()) < len(batch.masks)


def test_two_sources_keep_the_areas_and_the_boxes_of_their_own(birds: Collection) -> None:
    phantom = open_collection(parse_data("phantom:images=16,size=32,task=lungs"), "multi")
    spec = JoinedSpec.parse(f"cls={birds.source},seg={birds.source}")
    both = join(spec, {"cls": birds, "seg": birds}, "single")
    assert both.areas is not None
    np.testing.assert_array_equal(both.areas[7:], birds.areas)
    np.testing.assert_array_equal(both.boxes, birds.boxes)
    assert phantom.areas is None


@pytest.mark.parametrize(("fit", "area"), [("pad", [0, 13, 78, 65]), ("crop", None), ("stretch", None)])
def test_fits_of_files(tmp_path: Path, fit: str, area: list[int] | None) -> None:
    data = open_collection(parse_data(f"glas:{make_glas(tmp_path)},size=78,fit={fit}"), "single")
    assert (data.areas is None) == (area is None)
    if area is not None and data.areas is not None:
        assert data.areas.tolist() == [area] * len(GLAS_ROWS)
    mask = data.mask(0, 0)
    expected = {  # glands in the left upper and the right lower quarter of 78 x 52
        "pad": (26 * 39, 26 * 39),
        "crop": (39 * 39, 39 * 39),
        "stretch": (39 * 39, 39 * 39),
    }[fit]
    assert (int(mask[:39, :39].sum()), int(mask[39:, 39:].sum())) == expected
    assert GLAS_FOLDER


@pytest.mark.parametrize("mode", ["pad", "crop", "stretch"])
def test_canvas_and_source_are_each_others_inverse(mode: str) -> None:
    fit = Fit((30, 20), 20, mode)  # type: ignore[arg-type]
    left, top, right, bottom = fit.cut
    corners = np.array([[left, top], [right, bottom]], np.float64)
    np.testing.assert_allclose(fit.to_canvas(corners, (30, 20)).ravel(), fit.area)
    values = np.zeros((20, 20), np.uint8)
    values[fit.window] = 1
    assert fit.to_source(values).sum() == (right - left) * (bottom - top)


def test_a_box_that_a_crop_leaves_out_is_gone() -> None:
    fit = Fit((40, 20), 20, "crop")
    region = Boxes(np.array([[0.0, 0, 8, 8], [12, 4, 10, 10]]), None)
    assert place_boxes(region, fit).tolist() == [[2, 4, 12, 14]]
    assert draw_boxes(region, fit).sum() == 100
