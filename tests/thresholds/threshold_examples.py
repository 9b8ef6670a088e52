"""Small evidence for the tests, and the slow obvious way to count it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from raysearch.thresholds import BINS, FROM_MAPS, Counts, Evidence, Logits, Regions
from raysearch.thresholds._boxes import Boxes, cover


def random_batch(seed: int, images: int = 6, classes: int = 3, size: int = 12, maps: int | None = None) -> dict:
    """Arguments of `Counts.from_maps`: maps that follow the regions, with noise; every kind of truth."""
    rng = np.random.default_rng(seed)
    masks = (rng.random((images, classes, size, size)) < rng.uniform(0.05, 0.6, (images, classes, 1, 1))).astype(
        np.uint8
    )
    truth = rng.choice([1, 0, -1], (images, classes), p=[0.6, 0.2, 0.2]).astype(np.int8)
    truth[:2] = [[1], [0]]
    masks[truth != 1] = 0
    blurred = 0.5 * masks[:, : maps or classes] + rng.random((images, maps or classes, size, size)) * 0.6
    return {
        "maps": np.clip(blurred * 255 / 1.1, 0, 255).astype(np.uint8),
        "masks": masks,
        "truth": truth,
        "rows": rng.permutation(1000)[:images],
        "patients": [f"p{number % 4}" for number in range(images)],
        "classes": [f"c{k}" for k in range(classes)],
    }


def naive_confusion(predicted: NDArray[np.bool_], region: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    return (
        int(np.count_nonzero(predicted & region)),
        int(np.count_nonzero(predicted & ~region)),
        int(np.count_nonzero(~predicted & region)),
        int(np.count_nonzero(~predicted & ~region)),
    )


def boxes_iou(boxes: Boxes, truth: Boxes, size: tuple[int, int]) -> float:
    """IoU of the pixels in any of `boxes` with those in any of `truth`, in [0, 1]; 0 without a box."""
    predicted, region = cover(boxes, size), cover(truth, size)
    either = np.count_nonzero(predicted | region)
    return np.count_nonzero(predicted & region) / either if either else 0.0


@st.composite
def tables(draw: st.DrawFn, max_rows: int = 14) -> Counts:
    """Evidence with random patients, classes, presence and histograms (few pixels, so that ties occur)."""
    rows = draw(st.integers(1, max_rows))
    classes = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    present = rng.random(rows) < draw(st.sampled_from([0.3, 0.8, 1.0]))
    present[0] = True
    values = rng.choice(BINS, 4, replace=False)
    histograms = np.zeros((2, rows, BINS), np.uint32)
    histograms[:, :, values] = rng.integers(0, 5, (2, rows, 4))
    histograms[0, ~present] = 0
    return Counts(
        classes=tuple(f"c{k}" for k in range(classes)),
        foreground=histograms[0],
        background=histograms[1],
        image=np.arange(rows),
        label=rng.integers(0, classes, rows).astype(np.int32),
        patient=rng.choice([f"p{n}" for n in range(draw(st.integers(1, 8)))], rows),
        present=present,
    )


Make = Callable[[Any], Evidence]


def _logits(rows: Any) -> Evidence:
    rng = np.random.default_rng(3)
    scores, labels = rng.random((6, 3)), rng.integers(-1, 2, (6, 3)).astype(np.int8)
    batch = random_batch(1)
    patients = np.asarray(batch["patients"])[rows]
    return Logits.from_scores(scores[rows], labels[rows], batch["rows"][rows], patients, batch["classes"], "multi")


def _regions(rows: Any) -> Evidence:
    rng = np.random.default_rng(3)
    grid, batch = rng.random((6, 3, 4, 4)).astype(np.float32), random_batch(1)
    cells = (rng.random(grid.shape) < 0.4) & (batch["truth"] == 1)[:, :, None, None]
    patients = np.asarray(batch["patients"])[rows]
    labels = batch["truth"][rows]
    return Regions.from_maps(grid[rows], cells[rows], labels, labels, batch["rows"][rows], patients, batch["classes"])


def _from_maps(kind: str) -> Make:
    def make(rows: Any) -> Evidence:
        batch = random_batch(1)
        part = {name: value if name == "classes" else np.asarray(value)[rows] for name, value in batch.items()}
        return FROM_MAPS[kind].from_maps(**part)

    return make


MAKERS: dict[str, Make] = {**{kind: _from_maps(kind) for kind in FROM_MAPS}, "logits": _logits, "regions": _regions}
"""By kind, what makes evidence of rows of a batch of six images."""


def assert_equal(found: Evidence, expected: Evidence) -> None:
    assert type(found) is type(expected)
    for field in dataclasses.fields(expected):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), field.name)
