"""A disk that is full, and one that cannot be written. Needs the right to mount."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from export.finished_studies import SMALL, begun_study, copy_of_finished
from PIL import Image

from cli.conftest import Call, Refuse
from raysearch.errors import StorageError, StudyError
from raysearch.study import Changes, Study, extend, open_study, this_machine
from raysearch.study._study import disk_full

TUNE = ("tune", "--method", "cam_avg", "--data", SMALL, "--study", "new")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "none", str(path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> None:
    """Leaves no byte: first in large steps, then in small ones."""
    with open(disk / "filler", "ab", buffering=0) as file:
        for step in (1 << 20, 1 << 12):
            try:
                while file.write(b"\0" * step):
                    pass
            except OSError:
                continue


def test_a_new_study(refuse: Refuse, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(disk / "studies"))
    (disk / "studies" / "new").mkdir(parents=True)
    fill(disk)
    line = refuse(*TUNE, code=1, says=(f"the disk of {disk}/studies is full, so no study was made", "RAYSEARCH_"))
    assert "resume" not in line
    assert not list(disk.glob("studies/new/*")), "nothing half written is left"


def test_a_new_study_whose_split_finds_no_room(refuse: Refuse, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """study.yaml is written already: it is taken away again, and the same command works once there is room."""
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(disk / "studies"))
    monkeypatch.setattr("raysearch.study._save.write_parts", lambda study, *_: fill_into(study.path, disk))
    line = refuse(*TUNE, code=1, says=("studies is full, so no study was made", "give the same command again"))
    assert "resume" not in line
    assert not list((disk / "studies").iterdir())
    (disk / "filler").unlink()
    monkeypatch.undo()
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(disk / "studies"))
    with pytest.raises(StudyError, match="no study 'new'"):
        open_study("new")


def fill_into(folder: Path, disk: Path) -> None:
    fill(disk)
    (folder / "split.csv").write_bytes(bytes(1 << 14))


def test_a_study_that_is_there(disk: Path) -> None:
    study = begun_study(disk / "studies", name="begun")
    assert f"what was finished is safe: free some space, then 'raysearch resume {study.path}'" in str(
        disk_full(study.path)
    )


def test_a_cache(refuse: Refuse, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSEARCH_CACHE", str(disk / "cache"))
    (disk / "cache").mkdir()
    fill(disk)
    refuse(*TUNE, code=1, says=(f"cache {disk}/cache", "No space left", "free some space"))


def test_a_larger_budget(disk: Path) -> None:
    study = begun_study(disk / "studies", name="begun")
    before = (study.path / "study.yaml").read_text()
    fill(disk)
    with pytest.raises(StorageError, match=r"begun is full, so that study 'begun' keeps its budget of 1 trial"):
        extend(study, Changes(samples=9), this_machine())
    assert (study.path / "study.yaml").read_text() == before
    assert open_study("begun", disk / "studies").config.budget.samples == 1


def test_an_export(refuse: Refuse, study: Study, disk: Path) -> None:
    fill(disk)
    refuse(
        "export", "done", "--out", disk / "model", code=1, says=(f"the disk of {disk}/model is full", "export again")
    )
    assert [path.name for path in disk.iterdir()] == ["filler"], "nothing half written is left"


def test_an_export_that_runs_out_in_its_middle(refuse: Refuse, study: Study, disk: Path) -> None:
    fill(disk)
    with open(disk / "filler", "r+b") as file:
        file.truncate((disk / "filler").stat().st_size - (100 << 10))  # the text files fit, the weights do not
    refuse(
        "export", "done", "--out", disk / "model", code=1, says=(f"the disk of {disk}/model is full", "export again")
    )
    assert [path.name for path in disk.iterdir()] == ["filler"], "nothing half written is left"


def test_predictions(refuse: Refuse, model: Path, tmp_path: Path, disk: Path) -> None:
    image = tmp_path / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(image)
    fill(disk)
    refuse("predict", model, image, "--out", disk / "out", code=1, says=("the disk of", "is full", "predict again"))


def test_a_disk_that_is_read_only(
    refuse: Refuse,
    call: Call,
    disk: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = copy_of_finished(tmp_path_factory.getbasetemp(), disk / "studies")
    monkeypatch.setenv("RAYSEARCH_STUDIES", str(disk / "studies"))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert call("status", "done").code == 0
    assert call("studies").code == 0
    refuse("resume", "done", says=(str(study.path), "cannot be written", "Read-only"))
    refuse("resume", "done", "--samples", "9", says=(str(study.path), "cannot be written", "Read-only"))
    refuse(*TUNE, says=(f"{disk}/studies", "cannot be written", "Read-only", "RAYSEARCH_STUDIES"))
    refuse("export", "done", "--out", disk / "model", says=(f"{disk}/model", "cannot be written", "Read-only"))
    refuse("export", "done", "--out", tmp_path / "model", says=(f"{disk}/studies cannot be written", "Read-only"))
