from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
from threshold_examples import random_batch

from raysearch.errors import StorageError, StudyError
from raysearch.thresholds import Counts, load_counts, save_counts


@pytest.fixture
def counts() -> Counts:
    return Counts.from_maps(**random_batch(0))


def test_round_trip(counts: Counts, tmp_path: Path) -> None:
    save_counts(counts, tmp_path / "counts.npz")
    again = load_counts(tmp_path / "counts.npz")
    for field in dataclasses.fields(Counts):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(counts, field.name))
    assert [path.name for path in tmp_path.iterdir()] == ["counts.npz"]


def test_is_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 256, (8, 1, 224, 224), dtype=np.uint8)
    masks = (rng.random(maps.shape) < 0.15).astype(np.uint8)
    evidence = Counts.from_maps(maps, masks, np.ones((8, 1), np.int8), np.arange(8), ["p"] * 8, ["a"])
    save_counts(evidence, tmp_path / "counts.npz")
    assert (tmp_path / "counts.npz").stat().st_size < 8 * 2048


def test_every_cut_is_noticed(counts: Counts, tmp_path: Path) -> None:
    save_counts(counts, tmp_path / "counts.npz")
    whole = (tmp_path / "counts.npz").read_bytes()
    for size in range(0, len(whole), 97):
        (tmp_path / "cut.npz").write_bytes(whole[:size])
        with pytest.raises(StudyError) as raised:
            load_counts(tmp_path / "cut.npz")
        assert "cut.npz" in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_flipped_byte_is_noticed(counts: Counts, tmp_path: Path) -> None:
    save_counts(counts, tmp_path / "counts.npz")
    damaged = bytearray((tmp_path / "counts.npz").read_bytes())
    damaged[len(damaged) // 3] ^= 0xFF
    (tmp_path / "counts.npz").write_bytes(damaged)
    with pytest.raises(StudyError, match="not readable as evidence"):
        load_counts(tmp_path / "counts.npz")


@pytest.mark.parametrize(
    "change",
    [
        {"foreground": np.zeros((2, 256), np.uint32)},
        {"image": np.zeros((3, 3))},
        {"patient": np.array([{"pickled": 1}], dtype=object)},
        {"label": None},
    ],
)
def test_contradictions_and_pickles_are_refused(counts: Counts, tmp_path: Path, change: dict) -> None:
    arrays = {**dataclasses.asdict(counts), **change}
    np.savez(tmp_path / "bad.npz", **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(StudyError, match=r"bad.npz: not readable as evidence"):
        load_counts(tmp_path / "bad.npz")


def test_a_file_that_unpacks_too_far_is_not_unpacked(
    counts: Counts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_counts(counts, tmp_path / "counts.npz")
    monkeypatch.setattr("raysearch.thresholds._store._LIMIT", 1000)
    with pytest.raises(StudyError, match="more than the limit"):
        load_counts(tmp_path / "counts.npz")


def test_missing_file_and_folder(counts: Counts, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no evidence there"):
        load_counts(tmp_path / "none.npz")
    with pytest.raises(StorageError, match="cannot be written"):
        save_counts(counts, tmp_path / "none" / "counts.npz")


def test_a_failed_write_leaves_the_old_file(counts: Counts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "counts.npz"
    save_counts(counts, path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(StorageError, match="No space left"):
        save_counts(counts, path)
    assert zipfile.is_zipfile(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["counts.npz"]
