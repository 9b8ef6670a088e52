"""What rounding leaves of equal values is not stretched, ranked, or divided by a threshold; small real spans stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from methods.chexseg.cams import over_maximum
from methods.chexseg.irnet.seeds import seeds
from methods.chexseg.thresholds import GRID, counts_by_level, enlarged, otsu_masks, reached
from methods.layers.maps import min_max, min_max_batch, resized, resized_aligned
from methods.layers.rounding import EPS, SLACK, constant, exceeds, reaches
from methods.minmax_entropy.mask import full_resolution, mask
from methods.saliency_proposals.inference import percentiles, proposal_map, scaled

values = st.floats(-(2.0**100), 2.0**100, width=32) | st.floats(-1.0, 1.0, width=32)
sides = st.integers(1, 24)
sizes = st.integers(1, 90)


@given(values, st.tuples(sides, sides), st.tuples(sizes, sizes))
@settings(max_examples=200)
def test_a_constant_map_is_filled_after_any_interpolation(value: float, cells: Any, size: Any) -> None:
    maps = torch.full((1, 1, *cells), value)
    for interpolated in (resized(maps, size), resized_aligned(maps, size)):
        for scale in (min_max, min_max_batch):
            assert (scale(interpolated, fill=0.3) == 0.3).all()
        assert not percentiles(interpolated).any()
        assert not scaled(interpolated).any()
    for normalization in ("sample", "batch"):
        fine = full_resolution(maps, size, normalization=normalization, sigma_prime=0.3)
        assert (mask(fine, omega=8.0, sigma_prime=0.3) == 0.5).all()


def test_interpolation_does_leave_something() -> None:
    """The test above can fail: a comparison with 0 would let these through."""
    found = resized_aligned(torch.full((1, 1, 7, 7), 0.1), (37, 45))
    assert 0 < float(found.max() - found.min()) <= 4 * EPS * 0.1


@pytest.mark.parametrize("value", [1.0, -3.7, 1e-20, 2e10])
def test_a_small_span_that_is_none_of_rounding_survives(value: float) -> None:
    maps = torch.full((1, 1, 4, 4), value)
    maps[0, 0, 1, 2] *= 1 + 64 * EPS
    assert {float(min_max(maps, fill=0.5).min()), float(min_max(maps, fill=0.5).max())} == {0.0, 1.0}
    assert float(percentiles(maps).max()) == 1
    maps = torch.zeros(1, 1, 2, 2)
    maps[0, 0, 0, 0] = 1e-30
    assert min_max(maps, fill=0.5).flatten().tolist() == [1, 0, 0, 0]


def test_constant_of_numbers_around_zero_and_of_no_number() -> None:
    low = torch.tensor([0.0, -1e-20, -torch.inf, torch.nan, 1.0, torch.inf])
    high = torch.tensor([0.0, 1e-20, torch.inf, torch.nan, 1 + EPS, -torch.inf])
    assert constant(low[[0, 1, 3, 4, 5]], high[[0, 1, 3, 4, 5]]).tolist() == [True, False, False, True, True]


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_a_level_is_reached_by_what_equals_it_on_paper(numerator: int, denominator: int) -> None:
    level = numerator / denominator
    found = torch.tensor([float(numerator)]) / denominator
    noisy = torch.stack((found * (1 - 4 * EPS), found, found * (1 + 4 * EPS)))
    assert reaches(noisy, level).all()
    assert not exceeds(noisy, level).any()
    assert not reaches(found * (1 - 64 * EPS), level).any()
    assert exceeds(found * (1 + 64 * EPS), level).all()
    assert not exceeds(torch.zeros(1), 0.0).any()


@given(st.floats(2.0**-60, 2.0**60, width=32), st.tuples(sides, sides), st.tuples(sizes, sizes))
@settings(max_examples=100)
def test_a_constant_saliency_map_makes_one_answer_of_all_pixels(value: float, cells: Any, size: Any) -> None:
    unit = enlarged(over_maximum(torch.full((1, *cells), value)), size)
    assert not otsu_masks(unit).any(), "nothing is above a threshold within one value"
    assert reached(unit, torch.ones(1, dtype=torch.float64)).all()
    # as float32 interpolation on another device would leave it
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 4, unit.shape)).float()
    assert not otsu_masks(unit * (1 - noise * EPS)).any()
    assert (seeds(unit * (1 - noise * EPS), foreground=1.0, background=1.0) == -1).all()


def test_every_threshold_of_the_grid_is_reached_by_its_own_value() -> None:
    """As single-precision numbers 0.7 and many others are just below the multiples of 0.01 in double precision."""
    steps = torch.arange(1, GRID) / GRID
    counts = counts_by_level(steps[None, None], torch.ones(1, 1, GRID - 1), torch.tensor([0]), 1)
    assert counts[1, 0].tolist() == [0] + [1] * (GRID - 1)
    for nth, step in enumerate(steps, 1):
        assert reached(step.view(1, 1, 1), torch.tensor([nth / GRID], dtype=torch.float64)).all()


def test_bytes_are_those_of_levels_that_rounding_left_just_below() -> None:
    levels = torch.arange(256) / 255
    nudged = torch.stack((levels, levels * (1 - 2 * EPS)))
    assert ((255 * (1 + SLACK) * nudged.double()).to(torch.uint8) == torch.arange(256)).all()
    # two levels, divided by one: each of the pixels of the lower one is on its side
    maps = torch.full((1, 8, 8), 100 / 255)
    maps[0, :4] = 101 / 255
    noise = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 * EPS
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[:4] = True
    assert torch.equal(otsu_masks(maps * (1 - noise))[0], expected)


def test_a_box_that_ends_at_the_centre_of_a_cell_is_painted_alike_at_every_scale() -> None:
    for cells, size in ((12, 45), (7, 37), (20, 333), (33, 70)):
        for first in range(cells - 1):
            ends = (torch.tensor([first, first + 1], dtype=torch.float64) + 0.5) * size / cells
            for nudge in (-1.0, 0.0, 1.0):
                left, right = (ends * (1 + nudge * EPS)).tolist()
                found = _painted(torch.tensor([[[[left, 0.0, right, size]]]]), cells, size)
                assert found.tolist() == [float(column == first) for column in range(cells)]


def _painted(boxes: Tensor, cells: int, size: int) -> Tensor:
    return proposal_map(torch.ones(1, 1, 1), boxes, (cells, cells), (size, size))[0, 0, 0]
