"""Several streams: how an epoch is dealt, what a batch of each carries, and what workers see of it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.test_loader import MULTI, PLAIN, ROWS, SINGLE, STRONG, loader_of
from raysearch.data import PRESENT, UNKNOWN
from raysearch.data._augment import augment
from raysearch.data._loader import NO_CLASS, Loader
from raysearch.data._pool import pool_of
from raysearch.data._pool_regions import PoolRegions
from raysearch.data._streams import deal, earlier, whole_pool
from raysearch.errors import DataError, RaysearchError
from raysearch.method import Augmentation, Batch, Pool, PseudoRegions, Stream, shuffled

Rows = np.ndarray
ALL = np.arange(32)


def first(count: int) -> Callable[[Pool, np.random.Generator], Rows]:
    """A `Draw`: the first rows of the pool in random order."""

    def draw(pool: Pool, generator: np.random.Generator) -> Rows:
        return generator.permutation(pool.rows[:count])

    return draw


def streams_of(sizes: list[tuple[int, int]]) -> list[Stream]:
    return [Stream(name=f"s{k}", draw=first(n), batch=b) for k, (n, b) in enumerate(sizes)]


@given(st.lists(st.integers(0, 5), max_size=30))
def test_earlier_counts(rows: list[int]) -> None:
    assert earlier(np.array(rows, np.int64)).tolist() == [rows[:k].count(row) for k, row in enumerate(rows)]


@given(st.lists(st.tuples(st.integers(0, 32), st.integers(1, 12)), min_size=1, max_size=4), st.integers(0, 1000))
def test_every_step_gets_some_of_every_stream(sizes: list[tuple[int, int]], seed: int) -> None:
    dealt = deal(pool_of(MULTI, ALL), streams_of(sizes), seed, epoch=2)
    steps = max(-(-n // b) for n, b in sizes)
    assert [len(hands) for hands in dealt] == [steps] * len(sizes)
    for (n, batch), hands in zip(sizes, dealt, strict=True):
        counts = [len(rows) for rows, _ in hands]
        assert max(counts, default=0) - min(counts, default=0) <= 1
        assert all(count <= min(n, batch) for count in counts)
        if -(-n // batch) < steps:
            assert set(counts) == {min(n, batch)}, "a shorter stream gives whole batches"
        seen = [int(row) for rows, _ in hands for row in rows]
        times = Counter(seen)
        assert set(times) <= set(range(n))
        if n and steps:
            full, rest = divmod(len(seen), n)
            assert sorted(times.values()) == [full] * (n - rest) + [full + 1] * rest, "pass after pass"
            assert all(sorted(seen[k * n : (k + 1) * n]) == list(range(n)) for k in range(full))
        assert [int(e) for _, earlier_ in hands for e in earlier_] == [seen[:k].count(r) for k, r in enumerate(seen)]


def test_passes_streams_epochs_and_seeds_differ() -> None:
    pool = pool_of(MULTI, ALL)
    sizes = [(32, 4), (8, 4), (8, 4)]

    def order(seed: int, epoch: int) -> list[tuple[int, ...]]:
        dealt = deal(pool, streams_of(sizes), seed, epoch)
        seen = [np.concatenate([rows for rows, _ in hands]) for hands in dealt[1:]]
        return [tuple(part.tolist()) for rows in seen for part in np.split(rows, 4)]

    assert order(0, 0) == order(0, 0)
    orders = [one for seed in (0, 1) for epoch in (0, 1) for one in order(seed, epoch)]
    assert len(set(orders)) == len(orders) == 32


def test_a_stage_without_streams_draws_as_the_first_stream() -> None:
    pool = pool_of(MULTI, ROWS)
    alone = deal(pool, [whole_pool(pool, 4, PLAIN, "phantom")], 3, 5)[0]
    named = deal(pool, [Stream(name="own", draw=shuffled, batch=4), *streams_of([(2, 1)])], 3, 5)[0]
    for (rows, _), (others, _) in zip(alone, named, strict=True):
        np.testing.assert_array_equal(rows, others)
    permuted = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(5,))).permutation(ROWS)
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in alone]), permuted)


def some_streams() -> list[Stream]:
    return [
        Stream(name="labelled", draw=first(11), batch=4, augmentation=STRONG),
        Stream(name="few", draw=first(3), batch=5, strong=Augmentation(operations=2)),
        Stream(name="none", draw=first(0), batch=4, augmentation=STRONG, strong=STRONG),
        Stream(name="twice", draw=lambda pool, g: np.repeat(pool.rows[:8], 2), batch=6, augmentation=STRONG),
    ]


def batches_of(rank: int = 0, workers: int = 1, epoch: int = 1) -> list[Batch]:
    loader = Loader(MULTI, pool_of(MULTI, ROWS), some_streams(), 0, pixel=True, rank=rank, workers=workers)
    batches = list(loader.epoch(epoch))
    assert loader.steps(epoch) == len(batches)
    return batches


def test_batches_of_all_streams_come_together() -> None:
    batches = batches_of()
    assert [len(b.images) for b in batches] == [4, 4, 3]
    for b in batches:
        assert list(b.beside) == ["few", "none", "twice"]
        assert b.share == b.beside["few"].share == 1.0
        assert b.strong is None
        few, none, twice = b.beside.values()
        assert sorted(few.index.tolist()) == ROWS[:3].tolist(), "cut to what it draws"
        assert few.strong is not None
        assert few.strong.shape == few.images.shape
        assert none.images.shape == (0, 1, 24, 24)
        assert none.strong is not None
        assert none.strong.shape == (0, 1, 24, 24)
        assert none.share == 0.0
        assert none.labels.shape == (0, 4)
        assert none.masks is not None
        assert none.masks.shape == (0, 24, 24)
        assert max(Counter(twice.index.tolist()).values()) == 2
        for part in (b, *b.beside.values()):
            np.testing.assert_array_equal(part.labels.numpy(), MULTI.labels[part.index.numpy()])
    moved = batches[0].to(torch.device("meta"))
    assert moved.beside["few"].strong is not None
    assert moved.beside["few"].strong.device.type == "meta"


def test_an_image_that_comes_again_is_augmented_anew() -> None:
    views: dict[int, list[torch.Tensor]] = {}
    for b in batches_of():
        twice = b.beside["twice"]
        for row, image in zip(twice.index.tolist(), twice.images, strict=True):
            views.setdefault(row, []).append(image)
    assert all(len(both) == 2 and not torch.equal(*both) for both in views.values())
    alone = {
        int(row): image
        for b in loader_of(MULTI, ROWS, 4, 0, STRONG).epoch(1)
        for row, image in zip(b.index, b.images, strict=True)
    }
    for row, (image, _) in views.items():
        torch.testing.assert_close(image, alone[row], rtol=0, atol=1e-6)  # the first time as if it came once


def test_the_strong_view_is_of_the_same_images_and_drawn_apart() -> None:
    streams = [Stream(name="both", draw=shuffled, batch=4, augmentation=STRONG, strong=STRONG)]
    for b in Loader(MULTI, pool_of(MULTI, ROWS), streams, 0, pixel=True).epoch(0):
        assert b.strong is not None
        rows = b.index.numpy()
        plain = torch.from_numpy(MULTI.images[rows]).float() / 255
        for view, copy in ((b.images, 0), (b.strong, 1)):
            copies = np.full(len(rows), copy)
            expected, _ = augment(plain, None, STRONG, seed=0, epoch=0, rows=rows, copies=copies)
            torch.testing.assert_close(view, expected, rtol=0, atol=1e-6)
        assert not torch.equal(b.images, b.strong)


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_see_what_one_would(workers: int) -> None:
    parts = [batches_of(rank, workers) for rank in range(workers)]
    for whole, *shares in zip(batches_of(), *parts, strict=True):
        for one, theirs in [
            (whole, shares),
            *((whole.beside[name], [share.beside[name] for share in shares]) for name in whole.beside),
        ]:
            for name in ("images", "labels", "index", "masks", "truth", "strong"):
                if getattr(one, name) is None:
                    assert all(getattr(part, name) is None for part in theirs)
                    continue
                joined = torch.cat([getattr(part, name) for part in theirs])
                torch.testing.assert_close(joined, getattr(one, name), rtol=0, atol=1e-6)
            assert sum(part.share for part in theirs) == pytest.approx(one.share)


def test_hidden_labels_are_unknown() -> None:
    seen = ROWS[::3]
    for data, unknown in ((MULTI, [-1.0] * 4), (SINGLE, NO_CLASS)):
        full = {
            int(row): label
            for b in loader_of(data, ROWS, 4, 0, PLAIN).epoch(0)
            for row, label in zip(b.index, b.labels.tolist(), strict=True)
        }
        for b in loader_of(data, ROWS, 4, 0, PLAIN, labelled=seen).epoch(0):
            for row, label in zip(b.index.tolist(), b.labels.tolist(), strict=True):
                assert label == (full[row] if row in seen else unknown)
    pool = pool_of(MULTI, ROWS, annotated=ROWS[:4], labelled=seen)
    np.testing.assert_array_equal(pool.labelled, np.isin(ROWS, seen))
    np.testing.assert_array_equal(pool.annotated, (MULTI.truth[ROWS] != UNKNOWN).any(axis=1) & np.isin(ROWS, ROWS[:4]))
    assert not pool.source.any()


def pseudo_regions(rows: Rows, size: int = 32) -> PseudoRegions:
    """A square for class 1 of each row, none of class 0, and nothing known of the others."""
    truth = np.tile(np.array([0, 1, -1, -1], np.int8), (len(rows), 1))
    masks = np.zeros((len(rows), size, size), np.uint8)
    for k in range(len(rows)):
        masks[k, k : k + 9, 4:13] = 1
    return PseudoRegions(rows=rows, truth=truth, packed=np.packbits(masks.reshape(len(rows), -1), axis=1))


def test_pseudo_regions_stand_in_where_none_is_known() -> None:
    annotated = ROWS[:4]
    pool = pool_of(MULTI, ROWS, annotated)
    made = pseudo_regions(ROWS[2:9])
    streams = [Stream(name="images", draw=shuffled, batch=4, augmentation=STRONG)]
    plain = {
        int(row): truth
        for b in Loader(MULTI, pool, streams, 0, pixel=True).epoch(0)
        for row, truth in zip(b.index, _truth(b), strict=True)
    }
    seen = 0
    for b in Loader(MULTI, pool, streams, 0, pixel=True, pseudo=made).epoch(0):
        rows, truth = b.index.numpy(), _truth(b)
        assert b.masks is not None
        assert b.masks.shape == (int((truth == PRESENT).sum()), 24, 24)
        masks = iter(b.masks)
        for row, found in zip(rows.tolist(), truth, strict=True):
            if pool.annotated[np.searchsorted(ROWS, row)] or row not in made.rows:
                assert torch.equal(found, plain[row])
                for _ in range(int((found == PRESENT).sum())):
                    next(masks)
                continue
            place = made.rows.tolist().index(row)
            drawn = np.unpackbits(made.packed[place], count=32 * 32).reshape(1, 32, 32).astype(np.float32)
            expected = augment(
                torch.zeros(1, 1, 32, 32), torch.from_numpy(drawn), STRONG,
                seed=0, epoch=0, rows=np.array([row]), owner=torch.zeros(1, dtype=torch.int64),
            )[1]  # fmt: skip
            assert expected is not None
            assert found.tolist() == [0, int(expected.any()), -1, -1]
            if expected.any():
                assert torch.equal(next(masks), expected[0])
                seen += 1
    assert seen >= 4


def _truth(batch: Batch) -> torch.Tensor:
    assert batch.truth is not None
    return batch.truth


@given(st.lists(st.integers(0, 10), max_size=12))
def test_own_and_made_masks_come_in_the_order_of_their_pairs(places: list[int]) -> None:
    pool = pool_of(MULTI, ROWS, ROWS[::2])
    made = pseudo_regions(ROWS[1::2])
    masks, truth, _ = PoolRegions(MULTI, pool, made).of(np.array(places, np.int64))
    expected = []
    for place, found in zip(places, truth.numpy(), strict=True):
        row = int(ROWS[place])
        if pool.annotated[place]:
            np.testing.assert_array_equal(found, MULTI.truth[row])
            expected += [MULTI.mask(row, k) for k in range(4) if found[k] == PRESENT]
        elif row in made.rows:
            bits = np.unpackbits(made.packed[made.rows.tolist().index(row)], count=32 * 32)
            expected.append(bits.reshape(32, 32))
            assert found.tolist() == [0, 1, -1, -1]
        else:
            assert (found == UNKNOWN).all()
    assert len(masks) == len(expected)
    for mask, wanted in zip(masks.numpy(), expected, strict=True):
        np.testing.assert_array_equal(mask, wanted)


def test_what_cannot_be_dealt_is_said_in_one_line() -> None:
    pool = pool_of(MULTI, ROWS)

    def refused(streams: list[Stream], pattern: str, kind: type[Exception] = DataError, **settings: object) -> None:
        with pytest.raises(kind, match=pattern) as error:
            Loader(MULTI, pool, streams, 0, **settings)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)

    refused(streams_of([(0, 4), (5, 4)]), "stream 's0', of which every step needs images, finds none among the 11")
    refused(streams_of([(2, 4), (11, 4)]), "batches of 2 images leave some of the 3 workers", workers=3)
    refused(streams_of([(5, 0)]), "stream 's0': a batch of 0 images")
    strange = Stream(name="strange", draw=lambda pool, g: np.array([3, 4]), batch=2)
    refused([strange], "stream 'strange' asked for row 4, which is none of the 11 training", RaysearchError)
    made = pseudo_regions(np.array([3, 4]))
    refused(streams_of([(5, 2)]), "pseudo-regions asked for row 4", RaysearchError, pixel=True, pseudo=made)
    wrong = dataclasses.replace(pseudo_regions(ROWS[:2]), packed=made.packed[:, :9])
    refused(
        streams_of([(5, 2)]), r"packed masks \(2, 9\) of 2 images; .* \(2, 128\)", ValueError, pixel=True, pseudo=wrong
    )
