from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.layers.grid import to_grid, to_pixels
from raysearch.method import covered_cells


def test_features_are_enlarged_bilinearly_and_reduced_by_their_maximum() -> None:
    small = torch.tensor([[[[0.0, 1.0]]]])
    torch.testing.assert_close(to_grid(small, 4)[0, 0, 0], torch.tensor([0.0, 0.25, 0.75, 1.0]))
    large = torch.arange(36.0).view(1, 1, 6, 6)
    assert to_grid(large, 2)[0, 0].tolist() == [[14.0, 17.0], [32.0, 35.0]]
    # 5 rows to 2: patches share the row in the middle
    assert to_grid(torch.arange(5.0).view(1, 1, 5, 1), 2)[0, 0, :, 0].tolist() == [2.0, 4.0]
    assert torch.equal(to_grid(large, 6), large)


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@settings(max_examples=50)
@given(sizes, sizes)
def test_a_pixel_has_the_value_of_the_patch_that_holds_its_centre(
    cells: tuple[int, int], size: tuple[int, int]
) -> None:
    grid = torch.arange(float(cells[0] * cells[1])).view(1, 1, *cells)
    found = to_pixels(grid, size)[0, 0]
    for y in range(size[0]):
        for x in range(size[1]):
            row, column = (int((i + Fraction(1, 2)) * n / h) for i, n, h in zip((y, x), cells, size, strict=True))
            assert found[y, x] == grid[0, 0, row, column]


def areas(mask: torch.Tensor, cells: tuple[int, int]) -> list[list[Fraction]]:
    """Covered share of each patch, exactly."""

    def shared(n: int, pixels: int, r: int, y: int) -> Fraction:
        low, high = max(Fraction(r * pixels, n), Fraction(y)), min(Fraction((r + 1) * pixels, n), Fraction(y + 1))
        return max(Fraction(0), high - low)

    height, width = mask.shape
    whole = Fraction(height * width, cells[0] * cells[1])
    return [
        [
            sum(
                (
                    shared(cells[0], height, r, y) * shared(cells[1], width, c, x)
                    for y in range(height)
                    for x in range(width)
                    if mask[y, x]
                ),
                Fraction(0),
            )
            / whole
            for c in range(cells[1])
        ]
        for r in range(cells[0])
    ]


@settings(max_examples=40)
@given(st.tuples(st.integers(1, 4), st.integers(1, 4)), st.tuples(st.integers(2, 7), st.integers(2, 7)), st.data())
def test_covered_patches_are_those_of_exact_areas(
    cells: tuple[int, int], size: tuple[int, int], data: st.DataObject
) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=size[0] * size[1], max_size=size[0] * size[1]))
    mask = torch.tensor(bits).view(size)
    found = covered_cells(mask[None].float(), cells, "half")[0].tolist()
    assert found == [[share >= Fraction(1, 2) for share in row] for row in areas(mask, cells)]
    centres = covered_cells(mask[None].float(), cells, "centre")[0]
    for r in range(cells[0]):
        for c in range(cells[1]):
            y, x = ((i + Fraction(1, 2)) * h / n for i, n, h in zip((r, c), cells, size, strict=True))
            assert bool(centres[r, c]) == bool(mask[int(y), int(x)])


@pytest.mark.parametrize("rule", ["centre", "half"])
def test_a_small_region_may_cover_no_patch(rule: str) -> None:
    mask = torch.zeros(1, 16, 16)
    mask[0, 3, 3] = 1
    assert not covered_cells(mask, (4, 4), rule).any()  # type: ignore[arg-type]
    assert covered_cells(torch.zeros(0, 16, 16), (4, 4), rule).shape == (0, 4, 4)  # type: ignore[arg-type]
