"""Cells that boxes cover, beside exact rational numbers; on NIH's own boxes where they are at hand."""

from __future__ import annotations

import csv
import math
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raysearch.data._fit import Fit
from raysearch.data._manifest import Boxes
from raysearch.data._regions import place_boxes
from raysearch.method import RegionBoxes, cells_of_boxes, covered_cells

TABLES = Path(os.environ.get("RAYSEARCH_DATA", "../shared/data")) / "chestxray14_tables"


def rational_span(start: Fraction, length: Fraction, frame: int, cells: int) -> tuple[int, int]:
    """Cells [first, end) of which a half-open span covers some length."""
    first, end = start * cells / frame, (start + length) * cells / frame
    return max(0, math.floor(first)), min(cells, math.ceil(end))


@pytest.mark.skipif(not TABLES.is_dir(), reason=f"no tables of ChestX-ray14 in {TABLES}")
@pytest.mark.parametrize("size", [64, 128, 512])
@pytest.mark.parametrize("cells", [8, 16, 20])
def test_cells_of_nihs_boxes_are_exact(size: int, cells: int) -> None:
    with open(TABLES / "BBox_List_2017.csv", newline="") as table:
        rows = [row[2:6] for row in list(csv.reader(table))[1:]]
    assert len(rows) == 984
    check_cells(rows, size, cells)


def check_cells(rows: list[list[str]], size: int, cells: int) -> None:
    """Boxes in decimals, as a table has them, in a frame of 1024 pixels."""
    boxes = place_boxes(Boxes(np.array(rows, np.float64), (1024, 1024)), Fit((1024, 1024), size))
    found = cells_of_boxes(torch.from_numpy(boxes), (size, size), (cells, cells), "any").numpy()
    expected = np.zeros_like(found)
    for n, row in enumerate(rows):
        x, y, width, height = map(Fraction, row)
        left, right = rational_span(x, width, 1024, cells)
        top, bottom = rational_span(y, height, 1024, cells)
        expected[n, top:bottom, left:right] = True
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [64, 128, 512])
@pytest.mark.parametrize("cells", [8, 16, 20])
def test_cells_of_boxes_in_decimals_are_exact(size: int, cells: int) -> None:
    """Of boxes like NIH's, some of which end where a cell does: 539.631746031746 + 74.768253968254 is 614.4."""
    rng = np.random.default_rng(cells)
    rows = [
        ["818.116402116402", "539.631746031746", "96.4402116402116", "74.768253968254"],
        ["614.4", "409.6", "51.2", "1"],
    ]
    for corner, side in zip(rng.integers(0, 9000, (300, 2)), rng.integers(1, 1200, (300, 2)), strict=True):
        rows.append([f"{n // 10}.{n % 10}" for n in (*corner.tolist(), *side.tolist())])
    check_cells(rows, size, cells)


@given(data=st.data(), rule=st.sampled_from(["any", "centre", "half"]))
def test_boxes_of_whole_pixels_cover_what_their_masks_cover(data: st.DataObject, rule: str) -> None:
    height, width = data.draw(st.integers(3, 20)), data.draw(st.integers(3, 20))
    cells = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    spans = [
        data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True).map(sorted)) for n in (width, height)
    ]
    box = [spans[0][0], spans[1][0], spans[0][1], spans[1][1]]
    mask = torch.zeros(1, height, width)
    mask[0, box[1] : box[3], box[0] : box[2]] = 1
    found = cells_of_boxes(torch.tensor([box], dtype=torch.float64), (height, width), cells, rule)  # type: ignore[arg-type]
    if rule == "any":  # adaptive pooling rounds the edges of cells to pixels
        exact = [
            [
                max(Fraction(r * height, cells[0]), box[1]) < min(Fraction((r + 1) * height, cells[0]), box[3])
                and max(Fraction(c * width, cells[1]), box[0]) < min(Fraction((c + 1) * width, cells[1]), box[2])
                for c in range(cells[1])
            ]
            for r in range(cells[0])
        ]
        assert found[0].tolist() == exact
    elif rule == "half":
        assert torch.equal(found, covered_cells(mask, cells, "half"))
    else:
        exact = [
            [
                box[1] <= Fraction(2 * r + 1, 2) * height / cells[0] < box[3]
                and box[0] <= Fraction(2 * c + 1, 2) * width / cells[1] < box[2]
                for c in range(cells[1])
            ]
            for r in range(cells[0])
        ]
        assert found[0].tolist() == exact


def test_boxes_count_instead_of_their_masks_and_several_are_one_region() -> None:
    masks = torch.ones(3, 8, 8)
    boxes = RegionBoxes(
        torch.tensor([[0.0, 0, 1, 1], [7, 7, 8, 8], [1.9, 1.9, 2.1, 2.1]], dtype=torch.float64), torch.tensor([0, 0, 2])
    )
    found = covered_cells(masks, (4, 4), "any", boxes)
    assert found[0].nonzero().tolist() == [[0, 0], [3, 3]]
    assert found[1].all()
    assert found[2].nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert torch.equal(covered_cells(masks, (4, 4), "any"), torch.ones(3, 4, 4, dtype=torch.bool))
