"""What a kind of data computes is looked at before it is taken for images, labels and truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from raysearch.data._manifest import ArrayManifest
from raysearch.errors import DataError

MADE = ArrayManifest(
    classes=("a", "b"),
    ids=("one", "two", "three"),
    patients=np.array(["p", "q", "r"]),
    images=np.zeros((3, 1, 8, 8), np.uint8),
    labels=np.array([[1, 0], [0, 1], [-1, -1]], np.int8),
    truth=np.array([[1, 0], [0, -1], [-1, 1]], np.int8),
    mask_row=np.array([[1, -1], [-1, -1], [-1, 0]], np.int32),
    masks=np.ones((2, 8, 8), np.uint8),
    official=np.array(["", "train", "test"]),
)


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("masks", np.full((2, 8, 8), 255, np.uint8), "regions must be 0 or 1, found 255"),
        ("masks", np.full((2, 8, 8), 0.5), "masks must be uint8"),
        ("masks", np.ones((2, 8, 9), np.uint8), "masks must be uint8"),
        ("labels", np.full((3, 2), 2, np.int8), "labels must be 1"),
        ("labels", np.full((3, 2), 255, np.uint8), "labels must be 1"),
        ("labels", np.full((3, 2), np.nan), "labels must be whole numbers"),
        ("labels", np.zeros((3, 1), np.int8), "labels must be whole numbers of shape"),
        ("truth", np.array([[1, 2], [0, -1], [-1, 1]], np.int8), "truth must be 1"),
        ("images", np.zeros((3, 1, 8, 8), np.float32), "images must be uint8"),
        ("images", np.zeros((3, 2, 8, 8), np.uint8), "images must be uint8"),
        ("images", np.zeros((3, 8, 8), np.uint8), "images must be uint8"),
        ("mask_row", np.array([[2, -1], [-1, -1], [-1, 0]], np.int32), "mask_row must name one of the 2 masks"),
        ("mask_row", np.array([[1, -1], [0, -1], [-1, 0]], np.int32), "mask_row must name one of the 2 masks"),
        ("mask_row", np.full((3, 2), -1, np.int32), "mask_row must name one of the 2 masks"),
        ("ids", ("one", "two", "one"), "twice"),
        ("patients", np.array([1, 2, 3]), "patients must be text"),
        ("official", np.array(["train"]), "official must be text"),
    ],
)
def test_arrays_of_another_meaning_are_refused(field: str, value: Any, found: str) -> None:
    with pytest.raises(DataError, match=found) as refused:
        replace(MADE, **{field: value})
    assert "\n" not in str(refused.value)


def test_sound_ones_are_taken() -> None:
    assert replace(MADE, images=np.zeros((3, 3, 8, 8), np.uint8)).images.shape[1] == 3
