from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.data_layouts import make_covid, make_nih, save, texture
from data.kind_layouts import make_jsrt
from raysearch.data import PRESENT, DataSpec, _cache, load_collection, open_collection, reopen_collection
from raysearch.data._npy import NpyWriter, read_npy
from raysearch.errors import DataError, StorageError


def count_builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    built: list[str] = []
    write = _cache.write_contents

    def counted(*args, **kwargs):
        built.append("once")
        return write(*args, **kwargs)

    monkeypatch.setattr(_cache, "write_contents", counted)
    return built


@given(shape=st.tuples(st.integers(0, 3), st.integers(1, 3)), rows=st.integers(0, 12))
def test_writer_gives_an_npy_file(tmp_path_factory, shape: tuple[int, int], rows: int) -> None:
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    data = np.random.default_rng(rows).integers(0, 256, (rows, *shape), np.uint8)
    with NpyWriter(path, shape, np.uint8) as writer:
        for row in data:
            writer.append(row)
    np.testing.assert_array_equal(np.load(path), data)
    np.testing.assert_array_equal(read_npy(path, mapped=True), data)


def test_writer_refuses_rows_of_another_shape_or_type(tmp_path: Path) -> None:
    with NpyWriter(tmp_path / "a.npy", (2,), np.uint8) as writer:
        with pytest.raises(ValueError, match=r"expected"):
            writer.append(np.zeros(3, np.uint8))
        with pytest.raises(ValueError, match=r"expected"):
            writer.append(np.zeros(2, np.int8))


def test_second_call_decodes_nothing_and_maps_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = DataSpec.parse(f"chestxray14:{make_nih(tmp_path / 'nih')},size=32")
    built = count_builds(monkeypatch)
    done: list[tuple[int, int]] = []
    first = open_collection(spec, "multi", progress=lambda *step: done.append(step))
    again = open_collection(spec, "multi")
    assert len(built) == 1
    assert done == [(row + 1, 6) for row in range(6)]
    assert isinstance(again.images, np.memmap)
    assert not again.images.flags.writeable
    assert again.source == str(spec)
    loaded = load_collection(first.folder)
    for name in ("labels", "truth", "mask_row", "patients", "official", "images", "masks"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(first, name))
    assert (loaded.image_ids, loaded.classes, loaded.view, loaded.notes, loaded.fingerprint) == (
        first.image_ids,
        first.classes,
        first.view,
        first.notes,
        first.fingerprint,
    )


def test_phantom_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = DataSpec.parse("phantom:images=16,size=32")
    built = count_builds(monkeypatch)
    data = open_collection(spec, "single")
    assert open_collection(spec, "single").fingerprint == data.fingerprint
    assert len(built) == 1
    assert data.images.shape == (16, 1, 32, 32)
    present = np.argwhere(data.truth == PRESENT)
    assert len(present) == len(data.masks)
    assert all(data.mask(row, label).any() for row, label in present)
    assert open_collection(spec, "multi").fingerprint != data.fingerprint


@pytest.mark.parametrize(
    ("change", "same"),
    [("nothing", True), ("copy", True), ("label", False), ("pixel", False), ("mask", False), ("class", False)],
)
def test_fingerprint_is_of_the_content(tmp_path: Path, change: str, same: bool) -> None:
    root = make_covid(tmp_path / "covid")
    spec = f"covid_chestxray:{root},size=30,masks=segmentations"
    before = open_collection(DataSpec.parse(spec), "single").fingerprint
    if change == "copy":
        shutil.copytree(root, tmp_path / "elsewhere")  # with other times and another path
        spec = f"covid_chestxray:{tmp_path / 'elsewhere'},size=30,masks=segmentations"
    elif change == "label":
        table = root / "metadata.csv"
        table.write_text(table.read_text().replace("No Finding", "todo"))
    elif change == "pixel":
        save(root / "images" / "c.png", texture(99, 40, 60))
    elif change == "mask":
        save(root / "segmentations" / "left_lung" / "a.png", np.ones((40, 60), np.uint8))
    elif change == "class":
        spec += ",task=lesions"
    assert (open_collection(DataSpec.parse(spec), "single").fingerprint == before) is same


def test_a_killed_build_is_not_taken_for_whole(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = DataSpec.parse(f"chestxray14:{make_nih(tmp_path / 'nih')},size=32")
    process = multiprocessing.get_context("spawn").Process(target=_die_at_third_image, args=(spec,))
    process.start()
    process.join()
    assert process.exitcode == 9
    left = [path.name for path in cache.iterdir() if path.is_dir()]
    assert len(left) == 1
    assert left[0].endswith(".building")
    data = open_collection(spec, "multi")
    assert [path.name for path in cache.iterdir() if path.is_dir()] == [Path(data.folder).name]


def _die_at_third_image(spec: DataSpec) -> None:
    open_collection(spec, "multi", progress=lambda done, _: os._exit(9) if done == 3 else None)


def test_processes_that_come_at_once_share_one_build(tmp_path: Path, cache: Path) -> None:
    spec = DataSpec.parse(f"chestxray14:{make_nih(tmp_path / 'nih')},size=32")
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_open_and_tell, args=(spec, results)) for _ in range(3)]
    for process in processes:
        process.start()
    told = [results.get(timeout=30) for _ in processes]
    for process in processes:
        process.join()
    assert len({fingerprint for fingerprint, _ in told}) == 1
    assert sum(built for _, built in told) == 1


def _open_and_tell(spec: DataSpec, results) -> None:
    built: list[int] = []
    data = open_collection(spec, "multi", progress=lambda done, _: built.append(done))
    results.put((data.fingerprint, bool(built)))


def test_wrong_files_leave_nothing_in_the_cache(tmp_path: Path, cache: Path) -> None:
    root = make_nih(tmp_path / "nih")
    for name in sorted(path.name for path in (root / "images").iterdir())[:5]:
        (root / "images" / name).write_bytes(b"")
    with pytest.raises(DataError) as error:
        open_collection(DataSpec.parse(f"chestxray14:{root},size=32"), "multi")
    message = str(error.value)
    assert "5 problems: 00000001_000.png: zero bytes; 00000001_001.png: zero bytes; " in message
    assert message.endswith(f"; ...; run `raysearch data check chestxray14:{root},size=32` for all")
    assert "00000004_000.png" not in message
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_full_disk(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def full(self: NpyWriter, row: np.ndarray) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(NpyWriter, "append", full)
    with pytest.raises(StorageError, match=r"No space left on device; free some space") as error:
        open_collection(DataSpec.parse("phantom:images=16,size=32"), "single")
    assert "\n" not in str(error.value)
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_cache_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DataError, match=r"cache folder .*/file/cache cannot be written \(Not a directory\); set RAYSEARCH"
    ):
        open_collection(DataSpec.parse("phantom:images=16,size=32"), "single", tmp_path / "file" / "cache")


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "labels.npy", "meta.json"])
def test_damaged_cache_says_what_to_delete(name: str) -> None:
    spec = DataSpec.parse("phantom:images=16,size=32")
    path = Path(open_collection(spec, "single").folder) / name
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(StorageError, match=r"is damaged .*; delete the folder"):
        open_collection(spec, "single")


def test_load_of_a_folder_that_is_no_collection(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no cached collection; open it again from its source"):
        load_collection(tmp_path)


def test_what_files_tell_that_are_not_read_is_noticed(tmp_path: Path) -> None:
    """The masks of the lungs say which images are published train, in the task of nodules too."""
    root = make_jsrt(tmp_path / "jsrt")
    spec = DataSpec.parse(f"jsrt:{root},task=nodule,size=32")
    assert open_collection(spec, "multi").official.tolist() == ["train", "test", "train", "test"]
    (root / "scratch").rename(root / "elsewhere")
    assert not any(open_collection(spec, "multi").official)


def test_data_that_has_changed_is_not_taken_for_what_it_was(tmp_path: Path) -> None:
    """Rows of a study would mean other images: those of test could be trained on."""
    root = make_covid(tmp_path / "covid")
    text = f"covid_chestxray:{root},size=32"
    first = open_collection(DataSpec.parse(text), "multi")
    assert reopen_collection(text, "multi", first.fingerprint).image_ids == first.image_ids
    save(root / "images" / "a.jpg", texture(99, 40, 60))
    with pytest.raises(DataError, match=r"has changed since the study was made .* restore the data, or tune again"):
        reopen_collection(text, "multi", first.fingerprint)
