"""Batches: every row once an epoch, the same whatever the workers, and nothing read that is not asked for."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raysearch.data._augment import augment
from raysearch.data._collection import PRESENT, UNKNOWN, Collection, View
from raysearch.data._loader import Loader, evaluation_batches
from raysearch.data._phantom import phantom_arrays
from raysearch.data._pool import pool_of
from raysearch.data._streams import whole_pool
from raysearch.errors import DataError
from raysearch.method import Augmentation

PLAIN = Augmentation()
STRONG = Augmentation(horizontal_flip=True, rotation=10, crop=24, jitter=(0.2, 0.2, 0.0, 0.0))
ROWS = np.array([3, 5, 8, 9, 12, 13, 17, 20, 21, 22, 30])


def collection(view: View) -> Collection:
    data = phantom_arrays(view, images=32, size=32, annotated=0.8)
    return Collection(
        source="phantom:images=32,size=32",
        view=view,
        classes=data.classes,
        image_ids=data.ids,
        patients=data.patients,
        images=data.images,
        labels=data.labels,
        truth=data.truth,
        mask_row=data.mask_row,
        masks=data.masks,
        official=data.official,
        fingerprint="",
        folder="",
    )


MULTI, SINGLE = collection("multi"), collection("single")


def loader_of(
    data: Collection,
    rows: np.ndarray,
    batch: int,
    seed: int,
    how: Augmentation,
    *,
    annotated: np.ndarray | None = None,
    labelled: np.ndarray | None = None,
    **settings: Any,
) -> Loader:
    """Of a stage that names no stream."""
    pool = pool_of(data, rows, annotated, labelled)
    return Loader(data, pool, [whole_pool(pool, batch, how, data.source)], seed, **settings)


@given(
    st.integers(0, 2**31),
    st.integers(1, 32).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
    st.integers(1, 4),
)
def test_an_epoch_holds_every_row_once(seed: int, sizes: tuple[int, int], workers: int) -> None:
    n, batch = sizes
    rows = np.arange(32)[-n:]
    steps = -(-n // batch)
    if n // steps < workers:
        with pytest.raises(DataError, match=f"some of the {workers} workers"):
            loader_of(MULTI, rows, batch, seed, PLAIN, workers=workers)
        return
    alone = [b.index.numpy() for b in loader_of(MULTI, rows, batch, seed, PLAIN).epoch(2)]
    assert len(alone) == steps
    assert sorted(np.concatenate(alone)) == sorted(rows)
    assert max(map(len, alone)) <= batch
    assert max(map(len, alone)) - min(map(len, alone)) <= 1
    loaders = [loader_of(MULTI, rows, batch, seed, PLAIN, rank=rank, workers=workers) for rank in range(workers)]
    for whole, parts in zip(alone, zip(*(loader.epoch(2) for loader in loaders), strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate([p.index.numpy() for p in parts]), whole)
        np.testing.assert_allclose([p.share for p in parts], [len(p.index) / len(whole) for p in parts])
        assert min(len(p.index) for p in parts) > 0


def test_workers_see_the_same_pixels() -> None:
    whole = list(loader_of(MULTI, ROWS, 4, 0, STRONG, pixel=True).epoch(1))
    parts = [list(loader_of(MULTI, ROWS, 4, 0, STRONG, pixel=True, rank=rank, workers=2).epoch(1)) for rank in (0, 1)]
    for one, left, right in zip(whole, *parts, strict=True):
        for name in ("images", "labels", "masks", "truth"):
            joined = torch.cat([getattr(left, name), getattr(right, name)])
            torch.testing.assert_close(joined, getattr(one, name), rtol=0, atol=1e-6)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [int(i) for b in loader_of(MULTI, ROWS, 4, seed, PLAIN).epoch(epoch) for i in b.index]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_an_epoch_can_be_repeated_on_the_same_loader() -> None:
    loader = loader_of(SINGLE, ROWS, 4, 0, STRONG)
    first = list(loader.epoch(3))
    list(loader.epoch(4))
    for one, two in zip(first, loader.epoch(3), strict=True):
        assert torch.equal(one.images, two.images)


def test_images_and_labels_are_the_collections() -> None:
    for b in loader_of(MULTI, ROWS, 4, 0, PLAIN).epoch(0):
        assert b.images.dtype == torch.float32
        np.testing.assert_allclose(b.images.numpy() * 255, MULTI.images[b.index.numpy()], atol=1e-4)
        assert b.labels.dtype == torch.float32
        np.testing.assert_array_equal(b.labels.numpy(), MULTI.labels[b.index.numpy()])
        assert b.masks is None
        assert b.truth is None


def test_single_view_gives_class_indices() -> None:
    labels = SINGLE.labels.copy()
    labels[ROWS[2]] = UNKNOWN
    some = dataclasses.replace(SINGLE, labels=labels)
    for b in loader_of(some, ROWS, 4, 0, PLAIN).epoch(0):
        assert b.labels.dtype == torch.int64
        for row, label in zip(b.index.tolist(), b.labels.tolist(), strict=True):
            assert label == (-1 if row == ROWS[2] else list(labels[row]).index(PRESENT))


def test_pixel_batches_carry_masks_and_truth() -> None:
    for b in loader_of(MULTI, ROWS, 4, 0, PLAIN, pixel=True).epoch(0):
        assert b.masks is not None
        assert b.truth is not None
        np.testing.assert_array_equal(b.truth.numpy(), MULTI.truth[b.index.numpy()])
        pairs = [(row, k) for row in b.index.tolist() for k in range(4) if MULTI.truth[row, k] == PRESENT]
        assert b.masks.shape == (len(pairs), 32, 32)
        for mask, (row, k) in zip(b.masks, pairs, strict=True):
            np.testing.assert_array_equal(mask.numpy(), MULTI.mask(row, k))


def test_a_region_that_was_cropped_away_is_absent() -> None:
    small = Augmentation(crop=8)
    gone = 0
    for b in loader_of(MULTI, np.arange(32), 8, 0, small, pixel=True).epoch(0):
        assert b.masks is not None
        assert b.truth is not None
        rows = b.index.numpy()
        dense = torch.from_numpy(np.stack([[_region(row, k) for k in range(4)] for row in rows]))
        owner = torch.arange(len(rows)).repeat_interleave(4)
        flat = augment(b.images, dense.flatten(0, 1), small, seed=0, epoch=0, rows=rows, owner=owner)[1]
        assert flat is not None
        there = flat.flatten(1).any(1).view(-1, 4)
        before = torch.from_numpy(MULTI.truth[rows])
        assert torch.equal(b.truth == PRESENT, (before == PRESENT) & there)
        assert torch.equal(b.truth == UNKNOWN, before == UNKNOWN)
        assert torch.equal(b.masks, flat.view(*there.shape, 8, 8)[b.truth == PRESENT])
        gone += int(((before == PRESENT) & ~there).sum())
    assert gone > 0


def _region(row: int, label: int) -> np.ndarray:
    known = MULTI.truth[row, label] != UNKNOWN
    return (MULTI.mask(row, label) if known else np.zeros((32, 32))).astype(np.float32)


@given(st.sets(st.sampled_from(ROWS.tolist())))
def test_only_annotated_rows_have_truth_and_masks(annotated: set[int]) -> None:
    rows = np.array(sorted(annotated), np.int64)
    everything = {
        int(row): (truth, image)
        for b in loader_of(MULTI, ROWS, 4, 0, STRONG, pixel=True).epoch(0)
        for row, truth, image in zip(b.index, cast(torch.Tensor, b.truth), b.images, strict=True)
    }
    for b in loader_of(MULTI, ROWS, 4, 0, STRONG, pixel=True, annotated=rows).epoch(0):
        assert b.masks is not None
        assert b.truth is not None
        assert b.masks.shape == (int((b.truth == PRESENT).sum()), 24, 24)
        assert bool(b.masks.flatten(1).any(1).all())
        for row, truth, image in zip(b.index.tolist(), b.truth, b.images, strict=True):
            assert torch.equal(truth, everything[row][0] if row in annotated else torch.full_like(truth, UNKNOWN))
            assert torch.equal(image, everything[row][1])


@given(st.integers(0, 32), st.integers(1, 12), st.integers(1, 4))
def test_evaluation_keeps_the_order(n: int, batch: int, workers: int) -> None:
    rows = np.random.default_rng(n).permutation(32)[:n]
    shares = [list(evaluation_batches(MULTI, rows, batch, rank, workers)) for rank in range(workers)]
    seen = [part for share in shares for part, _ in share]
    np.testing.assert_array_equal(np.concatenate([*seen, np.zeros(0, np.int64)]), rows)
    for part, images in (pair for share in shares for pair in share):
        assert 0 < len(part) <= batch
        np.testing.assert_allclose(images.numpy() * 255, MULTI.images[part], atol=1e-4)


class Recorder:
    """Stands for the memory map and notes the rows that are read."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape = array.shape
        self.read: list[int] = []

    def __getitem__(self, rows: Any) -> Any:
        self.read += list(rows)
        return self.array[rows]


def test_only_the_rows_asked_for_are_read() -> None:
    recorder = Recorder(MULTI.images)
    some = dataclasses.replace(MULTI, images=recorder)  # type: ignore[arg-type]
    list(loader_of(some, ROWS, 4, 0, PLAIN, rank=1, workers=2).epoch(0))
    assert len(recorder.read) == len(set(recorder.read)) < len(ROWS)
    assert set(recorder.read) <= set(ROWS.tolist())


def test_at_most_one_batch_is_read_ahead_and_no_thread_stays() -> None:
    recorder = Recorder(MULTI.images)
    some = dataclasses.replace(MULTI, images=recorder)  # type: ignore[arg-type]
    batches = loader_of(some, ROWS, 3, 0, PLAIN).epoch(0)
    next(batches)
    assert len(recorder.read) <= 6
    batches.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_an_error_while_reading_reaches_the_caller() -> None:
    with pytest.raises(DataError, match="crop of 40 pixels"):
        next(loader_of(MULTI, ROWS, 4, 0, Augmentation(crop=40)).epoch(0))


@pytest.mark.parametrize("batch", [0, 12])
def test_a_batch_must_fit_the_split(batch: int) -> None:
    with pytest.raises(
        DataError, match=f"batch of {batch} images .* 11 training images: set batch .* 1 to 11"
    ) as error:
        loader_of(MULTI, ROWS, batch, 0, PLAIN)
    assert "\n" not in str(error.value)
