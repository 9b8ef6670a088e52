"""Boxes that cannot be of their picture, or are written in another way than they were read."""

from __future__ import annotations

import numpy as np
import pytest

from raysearch.data._box_check import are_shares, is_rescale, refuse_misplaced
from raysearch.data._image_file import UnreadableError
from raysearch.data._manifest import Boxes


@pytest.mark.parametrize(
    "box", [(0.2, 0.2, 0.5, 0.5), (0, 0, 1, 1), (0.2, 0.2, 1, 0.4), (0.6, 0.5, 0.3, 1), (20, 30, 0.5, 0.5)]
)
def test_shares_of_an_image_are_told_though_they_reach_all_of_it(box: tuple[float, ...]) -> None:
    assert are_shares(*box)
    with pytest.raises(UnreadableError, match="is smaller than a pixel; expected pixels of the image of 64x48"):
        refuse_misplaced(Boxes(np.array([box], float), None), (64, 48))


def test_a_thin_box_and_one_of_a_pixel_in_the_picture_are_pixels() -> None:
    refuse_misplaced(Boxes(np.array([[20, 30, 0.5, 8], [5, 6, 1, 1]], float), None), (64, 48))


@pytest.mark.parametrize("size", [(64, 48), (48, 64), (512, 500)])
def test_boxes_of_an_image_of_another_shape_are_refused(size: tuple[int, int]) -> None:
    region = Boxes(np.array([[0, 0, 10, 10]], float), (1024, 1024))
    refuse_misplaced(region, (256, 256))
    with pytest.raises(
        UnreadableError, match=r"^boxes are of an image of 1024x1024, the image is .*, of another shape"
    ):
        refuse_misplaced(region, size)


def test_sides_of_what_was_shrunk_are_rounded() -> None:
    assert is_rescale((775, 522), (256, 172))
    assert is_rescale((256, 172), (775, 522))
    assert not is_rescale((775, 522), (256, 169))
