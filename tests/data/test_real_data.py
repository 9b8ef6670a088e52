"""Exact counts of the published files; skipped where they are not at hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from raysearch.data import (
    PRESENT,
    UNKNOWN,
    Collection,
    DataSpec,
    check,
    choose_annotated,
    make_folds,
    make_split,
    open_collection,
)
from raysearch.data._manifest import Boxes, FileManifest
from raysearch.data.kinds import get_kind
from raysearch.data.kinds._tables import read_table


def read(text: str, view: str) -> FileManifest:
    spec = DataSpec.parse(text)
    manifest = get_kind(spec.kind).read(spec, view)
    assert isinstance(manifest, FileManifest)
    assert not manifest.problems
    return manifest


def test_chestxray14(real_data: Path) -> None:
    manifest = read(f"chestxray14:{real_data}/chestxray14", "multi")
    boxes = [region for regions in manifest.regions.values() for region in regions.values()]
    assert len(manifest.ids) == 77
    assert len(manifest.regions) == 21
    assert sum(len(region.boxes) for region in boxes if isinstance(region, Boxes)) == 25
    assert (manifest.labels == PRESENT).sum(axis=0)[manifest.classes.index("Pneumonia")] == 35
    assert ((manifest.labels == PRESENT).sum(axis=1) == 0).sum() == 32
    assert Counter(manifest.official.tolist()) == {"train": 49, "test": 28}


def test_chestxray14_normal_vs_pneumonia(real_data: Path) -> None:
    spec = DataSpec.parse(f"chestxray14:{real_data}/chestxray14,task=normal-vs-pneumonia,size=64")
    data = open_collection(spec, "single")
    assert (data.labels == PRESENT).sum(axis=0).tolist() == [32, 35]
    assert (data.truth == PRESENT).sum(axis=0).tolist() == [0, 20]
    assert (data.truth[:, 0] == UNKNOWN).all()
    row = data.image_ids.index("00002980_000.png")  # box 263.4, 592.0, 586.0 x 297.0 of 1024
    expected = np.zeros((64, 64), np.uint8)
    expected[37:56, 16:53] = 1
    np.testing.assert_array_equal(data.mask(row, 1), expected)
    split = make_split(data, "official")
    boxed = (data.truth == PRESENT).any(axis=1)
    assert [int(boxed[part].sum()) for part in (split.train, split.tuning, split.test)] in (
        [7, 7, 6],
        [7, 6, 7],
        [6, 7, 7],
    )
    assert (data.official[split.test] == "test").all()


def test_chestxray14_official_leaves_annotated_images_in_train(real_data: Path) -> None:
    data = open_collection(DataSpec.parse(f"chestxray14:{real_data}/chestxray14,size=32"), "multi")
    split = make_split(data, "official")
    boxed = (data.truth == PRESENT).any(axis=1)
    assert [int(boxed[part].sum()) for part in (split.train, split.tuning, split.test)] == [7, 7, 7]
    some = choose_annotated(data, split.train, 0.05, 1.0, split.seed)
    assert set(some.annotated.tolist()) < set(split.train[boxed[split.train]].tolist())
    assert len(some.annotated) == 2
    np.testing.assert_array_equal(some.train, split.train)
    eight = open_collection(DataSpec.parse(f"chestxray14:{real_data}/chestxray14,size=32,classes=8"), "multi")
    assert eight.image_ids == data.image_ids
    np.testing.assert_array_equal(eight.truth, data.truth[:, :8])
    np.testing.assert_array_equal(eight.images, data.images)
    folds = make_folds(data, 5)
    tested = np.concatenate([fold.test for fold in folds])
    assert set(np.flatnonzero(boxed)) <= set(tested.tolist())
    assert len(np.unique(tested)) == len(tested)


def whole_tables(real_data: Path, options: str) -> Collection:
    """All 112,120 images but for their pixels."""
    tables = real_data / "chestxray14_tables"
    if not tables.is_dir():
        pytest.skip("the full tables are not at hand")
    names = read_table(tables / "Data_Entry_2017_v2020.csv", ("Image Index",))["Image Index"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("raysearch.data.kinds.chestxray14._image_files", lambda root: {n: root / n for n in names})
        manifest = read(f"chestxray14:{tables}{options}", "multi")
    truth = manifest.truth.astype(np.int8)
    for row, regions in manifest.regions.items():
        truth[row, list(regions)] = PRESENT
    return Collection(
        source="tables",
        view="multi",
        classes=manifest.classes,
        image_ids=manifest.ids,
        patients=manifest.patients,
        images=np.zeros((0, 1, 1, 1), np.uint8),
        labels=manifest.labels.astype(np.int8),
        truth=truth,
        mask_row=np.full(truth.shape, -1, np.int32),
        masks=np.zeros((0, 1, 1), np.uint8),
        official=manifest.official,
        fingerprint="",
        folder="",
    )


@pytest.mark.parametrize(("options", "classes"), [("", 14), (",classes=8", 8)])
def test_chestxray14_splits_of_the_whole_tables(real_data: Path, options: str, classes: int) -> None:
    data = whole_tables(real_data, options)
    boxed = (data.truth == PRESENT).any(axis=1)
    assert (len(data), len(data.classes), int(boxed.sum())) == (112120, classes, 880)
    split = make_split(data, "official")
    shares = [int(boxed[part].sum()) for part in (split.train, split.tuning, split.test)]
    assert sum(shares) == 880
    assert min(shares) >= 260
    assert (data.official[split.test] == "test").all()
    for classwise in ((data.truth[part] == PRESENT).sum(axis=0)[:8] for part in (split.train, split.tuning)):
        assert classwise.min() >= 20
    some = choose_annotated(data, split.train, 0.001, 0.2, 0)
    assert len(some.annotated) == 74
    assert (data.truth[some.annotated] == PRESENT).sum(axis=0)[:8].min() >= 9
    assert len(some.train) == 74 + round(0.2 * (len(split.train) - 74))
    folds = make_folds(data, 5)
    assert sum(int(boxed[fold.test].sum()) for fold in folds) == 880
    assert max(int(boxed[fold.test].sum()) for fold in folds) < 1.1 * 176


def test_chestxray14_whole_tables(real_data: Path, tmp_path: Path) -> None:
    tables = real_data / "chestxray14_tables"
    if not tables.is_dir():
        pytest.skip("the full tables are not at hand")
    for path in tables.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "images").symlink_to(real_data / "chestxray14" / "images")
    manifest = read(f"chestxray14:{tmp_path},missing=skip", "multi")
    assert len(manifest.ids) == 77
    assert manifest.notes == (
        "112043 of 112120 images that Data_Entry_2017_v2020.csv lists are absent and left out (missing=skip)",
    )
    subset = read(f"chestxray14:{real_data}/chestxray14", "multi")
    np.testing.assert_array_equal(manifest.labels, subset.labels)
    assert {row: sorted(regions) for row, regions in manifest.regions.items()} == {
        row: sorted(regions) for row, regions in subset.regions.items()
    }


def test_covid_lungs(real_data: Path) -> None:
    report = check(DataSpec.parse(f"covid_chestxray:{real_data}/covid_chestxray,size=64"), "single")
    assert report.ok
    assert report.images == 353
    covid, other = report.classes
    assert (covid.images, other.images, covid.unlabelled) == (194, 74, 85)
    assert (covid.present, other.present) == (189, 2)
    multi = read(f"covid_chestxray:{real_data}/covid_chestxray", "multi")
    assert len(multi.regions) == 192
    both = read(f"covid_chestxray:{real_data}/covid_chestxray,masks=segmentations", "multi")
    assert len(both.regions) == 42, "two more have the mask of one lung alone"


def test_covid_lesions(real_data: Path) -> None:
    spec = DataSpec.parse(f"covid_chestxray:{real_data}/covid_chestxray,task=lesions,size=64")
    data = open_collection(spec, "multi")
    assert (data.truth == PRESENT).sum(axis=0).tolist() == [15, 43, 1, 1]
    assert (data.labels != UNKNOWN).all(axis=1).sum() == 50  # 44 annotated and 6 without finding
